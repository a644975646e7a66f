"""A first sync of many orders through the stand-ins without a budget, beside a replay of the same calls by a bare HTTP client.

The models are built and the trade is played before, and are in neither time. Every call of the first sync is recorded and then made
again, one after the other, on fresh stand-ins with the same trade; ids that the second ledger gives are put in place of the first
one's. 500 orders at scale 1; 100,000 are scale 200.

    python -m bench.first_sync --scale 2
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence

import httpx

from bench import place
from bench.report import Measure, run
from bench.trading import WITHOUT_LIMITS, Call, play, recorded, traded
from console import stands

ORDERS = 500
LIMIT = 2.0
_ID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def benchmark(scale: float) -> Iterator[Measure]:
    """One line, and where the time goes."""
    orders = max(20, int(ORDERS * scale))
    with traded(orders) as trading:
        with recorded(trading):
            began = time.monotonic()
            trading.first_sync()
            ours = time.monotonic() - began
        first = {each.system: each for each in trading.standing}
        calls = list(trading.calls)
    replayed, differing = _replay(first, calls, orders)
    waited = sum(call.seconds for call in calls)
    split = ", ".join(
        f"{step} {seconds:.1f} s"
        for step, seconds in sorted(trading.seconds.items(), key=lambda each: -each[1])
    )
    yield Measure(
        work=f"first sync of {orders} orders ({len(calls)} calls)",
        ours=f"{ours:.1f} s",
        beside=f"replay of the same calls {replayed:.1f} s",
        ratio=ours / replayed,
        target=f"at most {LIMIT:g} ×",
        is_met=ours <= LIMIT * replayed,
        note=f"build left out; {split}; of it waiting for answers {waited:.1f} s; {differing} calls were answered otherwise",
    )


def _replay(first: Mapping[str, stands.Standing], calls: Sequence[Call], orders: int) -> tuple[float, int]:
    """Seconds, and how many calls had another status than the first time."""
    with place.folder() as made:
        standing = stands.start(made, options=WITHOUT_LIMITS)
        try:
            play(standing, orders)
            second = {each.system: each for each in standing}
            return _repeat(first, second, calls)
        finally:
            stands.stop(made)


def _repeat(
    first: Mapping[str, stands.Standing], second: Mapping[str, stands.Standing], calls: Sequence[Call]
) -> tuple[float, int]:
    ids: dict[bytes, bytes] = {}
    tokens = {"xero": _token(second["xero"]), "magento": _administrator(second["magento"])}
    differing = 0
    dropped = ("host", "content-length", "connection", "authorization")
    with httpx.Client(timeout=60, trust_env=False) as client:
        began = time.monotonic()
        for call in calls:
            if "/connect/token" in call.url:
                continue
            url = _with(call.url.encode(), ids).decode()
            url = url.replace(first[call.system].address, second[call.system].address, 1)
            headers = {name: value for name, value in call.headers.items() if name not in dropped}
            headers["authorization"] = f"Bearer {tokens[call.system]}"
            answer = client.request(call.method, url, headers=headers, content=_with(call.content, ids))
            differing += answer.status_code != call.status
            ids.update(zip(_ID.findall(call.answer), _ID.findall(answer.content), strict=False))
        return time.monotonic() - began, differing


def _token(books: stands.Standing) -> str:
    """Of the second ledger."""
    answer = httpx.post(
        f"{books.address}/connect/token",
        data={"grant_type": "client_credentials"},
        auth=(books.credentials["custom_client_id"], books.credentials["custom_client_secret"]),
    )
    return str(answer.raise_for_status().json()["access_token"])


def _administrator(shop: stands.Standing) -> str:
    """A token of the second shop: signatures of the first one's calls would not fit."""
    answer = httpx.post(
        f"{shop.address}/rest/V1/integration/admin/token",
        json={
            "username": shop.credentials["admin_username"],
            "password": shop.credentials["admin_password"],
        },
    )
    return str(answer.raise_for_status().json())


def _with(text: bytes, ids: Mapping[bytes, bytes]) -> bytes:
    return _ID.sub(lambda found: ids.get(found.group(), found.group()), text)


if __name__ == "__main__":
    run(__doc__ or "", benchmark)
