"""Writing answers: JSON as the vendor writes it, XML for whoever does not ask for JSON, and dates.

JSON is indented with CRLF, slashes are escaped, decimals keep their places (114.00), business dates and
stamps are `/Date(ms+0000)/` (log excerpt in airbytehq/airbyte issue 66667; "Requests and responses"). XML
is the vendor's default and here a plain rendering of the same elements.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from xml.sax.saxutils import escape

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def milliseconds(value: date) -> int:
    """Milliseconds since 1970 of a stamp, or of a business date's UTC midnight."""
    at = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)
    delta = at - _EPOCH
    return delta.days * 86_400_000 + delta.seconds * 1000 + delta.microseconds // 1000


def iso(value: date) -> str:
    """The twin string of a date: `2026-01-31T00:00:00`."""
    return f"{value:%Y-%m-%d}T00:00:00"


def to_json(value: Any) -> str:
    """The value as JSON text."""
    parts: list[str] = []
    _write(value, parts.append, "\r\n")
    return "".join(parts)


def _write(value: Any, out: Any, newline: str) -> None:
    if isinstance(value, dict):
        _write_object(value, out, newline)
    elif isinstance(value, list):
        _write_list(value, out, newline)
    else:
        out(_scalar(value))


def _write_object(value: dict[str, Any], out: Any, newline: str) -> None:
    if not value:
        out("{}")
        return
    inner = newline + "  "
    separator = "{" + inner
    for name, each in value.items():
        out(f'{separator}"{name}": ')
        _write(each, out, inner)
        separator = "," + inner
    out(newline + "}")


def _write_list(value: list[Any], out: Any, newline: str) -> None:
    if not value:
        out("[]")
        return
    inner = newline + "  "
    separator = "[" + inner
    for each in value:
        out(separator)
        _write(each, out, inner)
        separator = "," + inner
    out(newline + "]")


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date):
        return f'"\\/Date({milliseconds(value)}+0000)\\/"'
    if isinstance(value, int):
        return str(value)
    return json.dumps(value, ensure_ascii=False).replace("/", "\\/")


def plain_json(value: Any) -> str:
    """JSON for the control page: compact, decimals exact, dates as `2026-01-31`, stamps in ISO with Z."""
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{json.dumps(name)}: {plain_json(each)}" for name, each in value.items()) + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(plain_json, value)) + "]"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return f'"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}Z"'
    if isinstance(value, date):
        return f'"{value.isoformat()}"'
    return json.dumps(value, ensure_ascii=False)


def to_xml(value: dict[str, Any]) -> str:
    """The envelope as XML: `<Response>` with one element a field, lists with singular names inside."""
    return '<?xml version="1.0" encoding="utf-8"?>' + _element("Response", value)


def _element(name: str, value: Any) -> str:
    if isinstance(value, dict):
        inner = "".join(_element(key, each) for key, each in value.items() if each is not None)
    elif isinstance(value, list):
        inner = "".join(_element(_singular(name), each) for each in value)
    elif isinstance(value, datetime):
        inner = f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}"
    elif isinstance(value, date):
        inner = iso(value)
    elif isinstance(value, bool):
        inner = str(value).lower()
    elif isinstance(value, Decimal):
        inner = f"{value:f}"
    else:
        inner = escape(str(value))
    return f"<{name}>{inner}</{name}>" if inner else f"<{name} />"


def _singular(name: str) -> str:
    if name.endswith("ies"):
        return name[:-3] + "y"
    if name.endswith("sses"):
        return name[:-2]
    return name.removesuffix("s")
