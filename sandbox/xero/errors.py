"""What the Xero Accounting API answers when it refuses: the numbered errors and the login errors.

Sources: Xero developer documentation, "HTTP response codes & errors" and "OAuth2 troubleshooting"; public
threads of the SDKs for the exact words; pyxero `tests/test_exceptions.py` for the 401 and 403 bodies.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

ZERO_ID = "00000000-0000-0000-0000-000000000000"
NOT_FOUND = "The resource you're looking for cannot be found"


class ApiError(Exception):
    """The whole request is refused: status, body (JSON when it is a mapping, else plain text), headers."""

    def __init__(
        self, status: int, body: Mapping[str, Any] | str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


class ElementError(Exception):
    """One element is refused, with the messages that its ValidationErrors will carry."""

    def __init__(self, *messages: str) -> None:
        super().__init__(*messages)
        self.messages = list(messages)


class UnknownIdError(ElementError):
    """An element names an unknown id: 404 for the whole request, unless errors are not summarised."""


def numbered(number: int, kind: str, message: str, status: int = 400) -> ApiError:
    """An error of the form `{ErrorNumber, Type, Message}`; number and HTTP status are independent."""
    return ApiError(status, {"ErrorNumber": number, "Type": kind, "Message": message})


def invalid_data(message: str) -> ApiError:
    """The body cannot be read into the endpoint's fields (ErrorNumber 14)."""
    return numbered(14, "PostDataInvalidException", message)


def unknown_element(name: str) -> ApiError:
    """A field that the endpoint does not know, or an error field sent back (pyxero issues 105 and 214)."""
    return invalid_data(
        f"The element '{name}' was not recognised. Ensure the element name has the correct case"
        " and that there are no duplicate elements of the same name."
    )


def no_data(singular: str) -> ApiError:
    """An empty body or a wrong wrapper key (ErrorNumber 17; "specifed" is the vendor's spelling)."""
    return numbered(
        17,
        "NoDataProcessedException",
        "No data has been processed for this endpoint. This endpoint is expecting"
        f" {singular} data to be specifed in the request body.",
    )


def bad_query(message: str) -> ApiError:
    """A `where` or `order` that cannot be parsed (ErrorNumber 16)."""
    return numbered(16, "QueryParseException", message)


def high_volume() -> ApiError:
    """A query too wide for an organisation with many documents (ErrorNumber 51, since September 2024)."""
    return numbered(
        51,
        "HighVolumeException",
        "The volume of data is too high for this request. Use paging and optimised filters.",
    )


def not_implemented() -> ApiError:
    """An endpoint that exists but has no such method (ErrorNumber 20)."""
    return numbered(
        20, "ApiMethodNotImplementedException", "The Api Method called is not implemented", status=501
    )


def not_found(message: str = NOT_FOUND) -> ApiError:
    """Unknown id or path: plain text."""
    return ApiError(404, message)


def unauthorised(detail: str, *, scope: bool = False) -> ApiError:
    """401: `TokenExpired: ...`, `AuthenticationUnsuccessful`, or `AuthorizationUnsuccessful` for a scope."""
    challenge = 'Bearer error="insufficient_scope"' if scope else 'Bearer error="invalid_token"'
    return ApiError(401, _problem("Unauthorized", 401, detail), {"WWW-Authenticate": challenge})


def token_expired(at: datetime) -> ApiError:
    """401 of an expired access token; the date is in US order and UTC."""
    return unauthorised(f"TokenExpired: token expired at {at:%m/%d/%Y %H:%M:%S}")


def forbidden() -> ApiError:
    """403: tenant header missing or foreign, connection removed, organisation gone."""
    return ApiError(403, _problem("Forbidden", 403, "AuthenticationUnsuccessful"))


def too_many(problem: str, wait: int | None) -> ApiError:
    """429: the body is opaque, the problem is told by a header; only minute and day say how long to wait."""
    headers = {"X-Rate-Limit-Problem": problem}
    if wait is not None:
        headers["Retry-After"] = str(wait)
    return ApiError(429, "", headers)


def _problem(title: str, status: int, detail: str) -> dict[str, Any]:
    return {
        "Type": None,
        "Title": title,
        "Status": status,
        "Detail": detail,
        "Instance": str(uuid.uuid4()),
        "Extensions": {},
    }
