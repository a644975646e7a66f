"""OAuth 1.0a with requests-oauthlib as an independent signer.

Magento sorts the parameters naturally (10 after 9), RFC 5849 by bytes (10 before 2). Up to ten filters
both agree; from eleven on a standard signer is refused.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from sandbox.serving import Running
from tests.clients.fix_magento import running

oauthlib = pytest.importorskip("requests_oauthlib")
requests = pytest.importorskip("requests")

__all__ = ["running"]


@pytest.fixture
def signed(running: Running) -> Any:
    """A session that signs with HMAC-SHA256."""
    return _session(running.credentials)


def _session(credentials: Any, **more: Any) -> Any:
    return oauthlib.OAuth1Session(
        credentials["consumer_key"],
        client_secret=credentials["consumer_secret"],
        resource_owner_key=credentials["access_token"],
        resource_owner_secret=credentials["access_token_secret"],
        signature_method=more.pop("signature_method", "HMAC-SHA256"),
        **more,
    )


def _filters(count: int, *, groups: bool) -> str:
    parts = []
    for number in range(count):
        place = f"[{number}][filters][0]" if groups else f"[0][filters][{number}]"
        for key, value in (("field", "entity_id"), ("value", str(number + 1)), ("condition_type", "gteq")):
            parts.append(f"{quote(f'searchCriteria[filter_groups]{place}[{key}]')}={value}")
    return "&".join(parts)


def test_signed_list_is_answered(signed: Any, running: Running) -> None:
    answer = signed.get(f"{running.address}/rest/V1/orders?searchCriteria%5BpageSize%5D=1")

    assert answer.status_code == 200
    assert len(answer.json()["items"]) == 1


def test_json_body_is_not_part_of_the_signature(signed: Any, running: Running) -> None:
    body = {"statusHistory": {"comment": "signed", "status": "complete"}}

    answer = signed.post(f"{running.address}/rest/V1/orders/1/comments", json=body)

    assert answer.status_code == 200
    assert answer.json() is True


def test_encoded_slash_in_the_path_is_signed_as_sent(signed: Any, running: Running) -> None:
    answer = signed.get(f"{running.address}/rest/V1/products/A%2FB")

    assert answer.status_code == 404
    assert answer.json()["message"].startswith("The product that was requested")


@pytest.mark.parametrize("groups", [True, False])
def test_ten_filters_pass_and_eleven_fail_when_sorted_by_bytes(
    signed: Any, running: Running, groups: bool
) -> None:
    ten = signed.get(f"{running.address}/rest/V1/orders?{_filters(10, groups=groups)}")
    eleven = signed.get(f"{running.address}/rest/V1/orders?{_filters(11, groups=groups)}")

    assert ten.status_code == 200
    assert eleven.status_code == 401
    assert eleven.json() == {"message": "The signature is invalid. Verify and try again."}


def test_a_plus_for_a_space_breaks_the_signature(signed: Any, running: Running) -> None:
    criteria = quote("searchCriteria[filter_groups][0][filters][0]", safe="") + "%5B{}%5D={}"
    field = criteria.format("field", "name")

    spaced = signed.get(
        f"{running.address}/rest/V1/products?{field}&{criteria.format('value', 'Enamel%20mug')}"
    )
    plus = signed.get(f"{running.address}/rest/V1/products?{field}&{criteria.format('value', 'Enamel+mug')}")

    assert spaced.status_code == 200
    assert spaced.json()["total_count"] == 1
    assert plus.status_code == 401


def test_sha1_is_not_supported(running: Running) -> None:
    session = _session(running.credentials, signature_method="HMAC-SHA1")

    answer = session.get(f"{running.address}/rest/V1/orders?searchCriteria=")

    assert answer.status_code == 400
    assert answer.json() == {"message": "Signature method %1 is not supported", "parameters": ["HMAC-SHA1"]}


def test_a_nonce_is_used_once(running: Running) -> None:
    session = _session(running.credentials, nonce="0123456789abcdef")
    address = f"{running.address}/rest/V1/orders?searchCriteria="

    first, second = session.get(address), session.get(address)

    assert (first.status_code, second.status_code) == (200, 401)
    assert "nonce is already being used" in second.json()["message"]


@pytest.mark.parametrize(("stamp", "status"), [("1000000000", 200), ("9999999999", 401)])
def test_old_stamps_pass_and_future_ones_do_not(running: Running, stamp: str, status: int) -> None:
    session = _session(running.credentials, timestamp=stamp)

    assert session.get(f"{running.address}/rest/V1/orders?searchCriteria=").status_code == status


def test_wrong_secret_is_refused(running: Running) -> None:
    session = _session(dict(running.credentials) | {"access_token_secret": "x" * 32})

    answer = session.get(f"{running.address}/rest/V1/orders?searchCriteria=")

    assert answer.status_code == 401


def test_token_lengths_and_unknown_tokens(running: Running) -> None:
    address = f"{running.address}/rest/V1/orders?searchCriteria="
    short = _session(dict(running.credentials) | {"access_token": "short"}).get(address)
    unknown = _session(dict(running.credentials) | {"access_token": "x" * 32}).get(address)
    stranger = _session(dict(running.credentials) | {"consumer_key": "y" * 32}).get(address)

    assert (short.status_code, unknown.status_code, stranger.status_code) == (400, 401, 401)
    assert unknown.json() == {"message": "Specified token does not exist"}
    assert stranger.json() == {"message": "A consumer having the specified key does not exist"}
