"""JSON as PHP writes it: exact decimals without trailing zeros, escaped slashes; and reading JSON without
floats.
"""

from __future__ import annotations

import json
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from xml.sax.saxutils import escape

CENT = Decimal("0.01")
COLUMN = Decimal("0.0001")
ZERO = Decimal(0)


def cents(amount: Decimal) -> Decimal:
    """Round half away from zero to two places, as PHP's `round` does on money."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def column(amount: Decimal) -> Decimal:
    """Round to the four places of a DECIMAL(20,4) column."""
    return amount.quantize(COLUMN, rounding=ROUND_HALF_UP)


def number(value: Decimal) -> str:
    """A JSON number: `25`, `25.5`, never an exponent."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def dumps(value: Any) -> str:
    """The JSON text of a value that may hold decimals."""
    parts: list[str] = []
    _write(value, parts)
    return "".join(parts)


def loads(text: str) -> Any:
    """Read JSON with decimals for fractions; NaN and Infinity are refused as PHP does."""
    return json.loads(text, parse_float=Decimal, parse_constant=_refuse)


def xml(value: Any) -> str:
    """The XML form, answered to `Accept: application/xml`; list entries become `<item>`."""
    return f'<?xml version="1.0"?>\n<response>{_xml(value)}</response>\n'


def _refuse(text: str) -> Any:
    raise ValueError(text)


def _string(text: str) -> str:
    return json.dumps(text).replace("/", "\\/")


def _write(value: Any, parts: list[str]) -> None:
    if isinstance(value, str):
        parts.append(_string(value))
    elif isinstance(value, bool) or value is None:
        parts.append("null" if value is None else "true" if value else "false")
    elif isinstance(value, int):
        parts.append(str(value))
    elif isinstance(value, Decimal):
        parts.append(number(value))
    elif isinstance(value, dict):
        for index, (key, item) in enumerate(value.items()):
            parts.append("," if index else "{")
            parts.append(_string(str(key)))
            parts.append(":")
            _write(item, parts)
        parts.append("}" if value else "{}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            parts.append("," if index else "[")
            _write(item, parts)
        parts.append("]" if value else "[]")
    else:
        raise TypeError(f"no JSON form for {type(value).__name__}")


def _xml(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"<{key}>{_xml(item)}</{key}>" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return "".join(f"<item>{_xml(item)}</item>" for item in value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(number(value) if isinstance(value, Decimal) else str(value))
