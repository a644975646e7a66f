"""Reading a request body, JSON or XML, into typed elements.

Numbers become Decimal, dates `date`. What does not fit the catalogue is refused as the vendor refuses it:
ErrorNumber 14 for what cannot be read, ErrorNumber 17 for a body without elements, and a validation
message for a text that is too long. Nulls are dropped: an omitted field stays as it is.
"""

from __future__ import annotations

import json
import re
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox.xero import errors
from sandbox.xero.fields import SCHEMAS, Field

LARGEST_BODY = 3_500_000  # bytes; 10 MB on another page ("FAQ Limits", "Requests and responses")

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_MICROSOFT_DATE = re.compile(r"/Date\((-?\d+)([+-]\d{4})?\)/")


def elements(
    data: bytes, content_type: str, *, plural: str, singular: str, schema: str
) -> list[dict[str, Any]]:
    """The elements of a body, untyped: one bare object or a list under the plural name.

    Raises ErrorNumber 14 for a body that cannot be read and 17 for one without an element.
    """
    if len(data) > LARGEST_BODY:
        raise errors.ApiError(413, "Request body is too large")
    if not data.strip():
        raise errors.no_data(singular)
    read = _from_xml if "xml" in content_type or data.lstrip()[:1] == b"<" else _from_json
    found = read(data, plural, singular, schema)
    if not found:
        raise errors.no_data(singular)
    return found


def typed(raw: dict[str, Any], schema: str) -> tuple[dict[str, Any], list[str]]:
    """One element with Python types, and validation messages for texts that are too long."""
    messages: list[str] = []
    return _object(raw, schema, messages), messages


def _from_json(data: bytes, plural: str, singular: str, schema: str) -> list[dict[str, Any]]:
    try:
        body = json.loads(data, parse_float=Decimal, object_pairs_hook=_unique)
    except (ValueError, UnicodeDecodeError) as error:
        message = f"JSON request body could not be read. Ensure it is valid JSON: {error}"
        raise errors.invalid_data(message) from None
    if not isinstance(body, dict):
        raise errors.no_data(singular)
    for name in (plural, singular):
        if name in body:
            inner = body[name]
            found = inner if isinstance(inner, list) else [inner]
            if not all(isinstance(each, dict) for each in found):
                raise errors.invalid_data("JSON request body could not be read. An object was expected.")
            return found
    return [body] if set(body) & set(SCHEMAS[schema]) else []


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise errors.unknown_element(name)
        found[name] = value
    return found


def _from_xml(data: bytes, plural: str, singular: str, schema: str) -> list[dict[str, Any]]:
    try:
        root = ET.fromstring(data)  # noqa: S314 - a stand-in for tests, bound to 127.0.0.1
    except ET.ParseError as error:
        raise errors.invalid_data(f"XML request body could not be read: {error}") from None
    if root.tag == plural:
        return [_xml_object(child, schema) for child in root]
    return [_xml_object(root, schema)] if root.tag == singular else []


def _xml_object(node: ET.Element, schema: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for child in node:
        if child.tag in found:
            raise errors.unknown_element(child.tag)
        field = SCHEMAS[schema].get(child.tag)
        if field is not None and field.of is not None and field.kind == "list":
            found[child.tag] = [_xml_object(each, field.of) for each in child]
        elif field is not None and field.of is not None:
            found[child.tag] = _xml_object(child, field.of)
        else:
            found[child.tag] = child.text or ""
    return found


def _object(raw: dict[str, Any], schema: str, messages: list[str]) -> dict[str, Any]:
    known = SCHEMAS[schema]
    found: dict[str, Any] = {}
    for name, value in raw.items():
        field = known.get(name)
        if field is not None and field.kind == "flag" and value is False and field.access == "refused":
            continue  # xero-python sends HasErrors and the like as false with every object, in JSON
        if field is None or field.access == "refused":
            raise errors.unknown_element(name)
        if value is None or field.access == "ignored":
            continue
        found[name] = _value(field, value, messages)
    return found


def _value(field: Field, value: Any, messages: list[str]) -> Any:
    if field.kind == "object" and field.of is not None:
        return _object(_expect(dict, field, value), field.of, messages)
    if field.kind == "list" and field.of is not None:
        return [
            _object(_expect(dict, field, each), field.of, messages) for each in _expect(list, field, value)
        ]
    return _SCALARS[field.kind](field, value, messages)


def _expect(kind: type, field: Field, value: Any) -> Any:
    if not isinstance(value, kind):
        raise _unreadable(field, value, f"Xero.{field.of or field.name}")
    return value


def _unreadable(field: Field, value: Any, kind: str) -> errors.ApiError:
    return errors.invalid_data(
        f"Error converting value {json.dumps(str(value))} to type '{kind}'. Path '{field.name}'"
    )


def _text(field: Field, value: Any, messages: list[str]) -> str:
    if isinstance(value, bool | dict | list):
        raise _unreadable(field, value, "System.String")
    text = str(value)
    if _CONTROL.search(text):
        raise errors.invalid_data(
            f"JSON request body could not be read. Invalid character in '{field.name}'."
        )
    if field.longest is not None and len(text) > field.longest:
        messages.append(f"{field.name} is too long. Maximum of {field.longest} characters allowed")
    return text


def _number(field: Field, value: Any, _messages: list[str]) -> Decimal:
    if isinstance(value, bool | dict | list) or value == "":
        raise _unreadable(field, value, "System.Decimal")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise _unreadable(field, value, "System.Decimal") from None
    if not number.is_finite():
        raise _unreadable(field, value, "System.Decimal")
    return number


def _flag(field: Field, value: Any, _messages: list[str]) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    raise _unreadable(field, value, "System.Boolean")


def _id(field: Field, value: Any, _messages: list[str]) -> str:
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        raise _unreadable(field, value, "System.Guid") from None


def _choice(field: Field, value: Any, _messages: list[str]) -> str:
    for choice in field.choices:
        if choice.lower() == str(value).lower():
            return choice
    kind = "Xero.LineAmountType" if field.name == "LineAmountTypes" else f"Xero.{field.name}"
    raise _unreadable(field, value, kind)


def business_date(text: str) -> date | None:
    """A date as the API takes it: `2026-01-31`, an ISO time, or `/Date(ms)/`; None when it is neither.

    A time with an offset is turned into UTC first and may land on the previous day (calcinai/xero-php 177).
    """
    microsoft = _MICROSOFT_DATE.fullmatch(text)
    if microsoft is not None:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(microsoft[1]))).date()
    if not re.fullmatch(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?", text):
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at.astimezone(UTC).date() if at.tzinfo is not None else at.date()


def _date(field: Field, value: Any, _messages: list[str]) -> date | None:
    if value == "":
        return None
    found = business_date(str(value))
    if found is None:
        raise errors.invalid_data(f"The string '{value}' is not a valid AllXsd value. Path '{field.name}'")
    return found


def _ignored(_field: Field, _value: Any, _messages: list[str]) -> None:
    return None


_SCALARS: dict[str, Callable[[Field, Any, list[str]], Any]] = {
    "text": _text,
    "number": _number,
    "flag": _flag,
    "id": _id,
    "choice": _choice,
    "date": _date,
    "list": _ignored,
    "object": _ignored,
}
