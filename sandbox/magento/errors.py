"""The refusals of the REST API, in the shapes a real 2.4.4 answers them.

`parameters` is a list where the message counts (`%1`) and an object where it names (`%fieldName`). A 500
comes in three shapes: JSON with a report id, plain text, and an HTML page. Source: recorded exchanges with
Magento Open Source 2.4.4.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

Parameters = Sequence[object] | Mapping[str, object]

MISSING_ENTITY = "The entity that was requested doesn't exist. Verify the entity and try again."
MISSING_PRODUCT = "The product that was requested doesn't exist. Verify the product and try again."
NO_ROUTE = "Request does not match any route."
REQUIRED = '"%fieldName" is required. Enter and try again.'
SIGN_IN = (
    "The account sign-in was incorrect or your account is disabled temporarily. "
    "Please wait and try again later."
)
CRASH_TEXT = "An error has happened during application run. See exception log for details.\n"
CRASH_PAGE = (
    '<!doctype html>\n<html xmlns="http://www.w3.org/1999/xhtml" >\n<head>\n'
    "    <title>There has been an error processing your request</title>\n</head>\n<body>\n"
    "    <h1>There has been an error processing your request</h1>\n"
    "    <p>Exception printing is disabled by default for security reasons.</p>\n</body>\n</html>\n"
)


class ApiError(Exception):
    """A refusal with a message that may hold placeholders, answered as JSON."""

    def __init__(
        self,
        status: int,
        message: str,
        parameters: Parameters | None = None,
        errors: Sequence[Mapping[str, object]] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.parameters = parameters
        self.errors = errors

    def body(self) -> dict[str, object]:
        """The JSON body."""
        body: dict[str, object] = {"message": self.message}
        if self.errors is not None:
            body["errors"] = [dict(error) for error in self.errors]
        if self.parameters is not None:
            parameters = self.parameters
            body["parameters"] = dict(parameters) if isinstance(parameters, Mapping) else list(parameters)
        return body


class Crash(Exception):
    """A 500 that is not JSON: `text/plain`, or the HTML error page."""

    def __init__(self, *, page: bool = False) -> None:
        super().__init__("crash")
        self.body = CRASH_PAGE if page else CRASH_TEXT
        self.content_type = "text/html; charset=utf-8" if page else "text/plain;charset=UTF-8"


def bad_request(message: str, parameters: Parameters | None = None) -> ApiError:
    """A 400, which every localized exception becomes but "no such entity" and those of authorisation."""
    return ApiError(400, message, parameters)


def not_found(message: str = MISSING_ENTITY, parameters: Parameters | None = None) -> ApiError:
    """A 404."""
    return ApiError(404, message, parameters)


def required(*names: str) -> ApiError:
    """A 400 that names missing input; several become one message with `errors`."""
    if len(names) == 1:
        return bad_request(REQUIRED, {"fieldName": names[0]})
    errors = [{"message": REQUIRED, "parameters": {"fieldName": name}} for name in names]
    return ApiError(400, "One or more input exceptions have occurred.", errors=errors)


def unauthorized(resource: str) -> ApiError:
    """The one 401 for no token, a bad token and a lacking permission alike."""
    message = "The consumer isn't authorized to access %resources."
    return ApiError(401, message, {"resources": resource})


def masked() -> ApiError:
    """The 500 of production mode: SQL faults, deadlocks, unknown body keys."""
    report = secrets.token_hex(7)[:13]
    return ApiError(
        500, f"Internal Error. Details are available in Magento log file. Report ID: webapi-{report}"
    )


def wrong_type(value: object, kind: str, field: str | None = None) -> ApiError:
    """The serializer's refusal of a value of the wrong type."""
    prefix = f'Error occurred during "{field}" processing. ' if field else ""
    cause = f'The "{value}" value\'s type is invalid. The "{kind}" type was expected.'
    return bad_request(f"{prefix}{cause} Verify and try again.")


def invalid_document(kind: str, messages: Sequence[str]) -> ApiError:
    """The joined refusal of an invoice, credit memo or shipment."""
    return bad_request("\n".join([f"{kind} Document Validation Error(s):", *messages]))
