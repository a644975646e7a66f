"""How Xero shows what it was sent: comparing values, and taking from a record the paths that we sent.

Facts (Xero developer documentation, "Requests and responses", "Invoices", "Contacts", read autumn 2026):
dates are written `YYYY-MM-DD` and read `/Date(ms+0000)/`, a business date being midnight UTC; unit prices
show 4 decimals only with `unitdp=4`; Xero makes an AUTHORISED document PAID by itself; an empty text clears a
field; names lose outer and double blanks; tracking that it does not know is dropped without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from cdc.writing import Outgoing, is_cleared

GONE = frozenset({"VOIDED", "DELETED"})

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"^/Date\((-?\d+)(?:[+-]\d{4})?\)/$")
_DATES = frozenset({"Date", "DueDate", "ExpectedPaymentDate", "PlannedPaymentDate", "FullyPaidOnDate"})
_UNIT_PRICES = frozenset({"UnitAmount", "UnitPrice"})
_FOLDED = frozenset({"EmailAddress"})
# Lists of fixed slots: Xero always shows all of them, sent or not.
_SLOTS = {"Addresses": "AddressType", "Phones": "PhoneType"}
_RATE_PLACES = Decimal("0.000001")
_CENT = Decimal("0.01")


def same(field: str, sent: object, held: object) -> bool:
    """Does Xero's value say what was sent? `field` is the name, or a path of which the last name counts."""
    name = field.rpartition(".")[2]
    if is_cleared(sent) or _is_empty(sent):
        return _is_empty(held)
    if isinstance(sent, Mapping):
        return isinstance(held, Mapping) and all(
            same(part, value, held.get(part)) for part, value in sent.items() if not part.startswith("_")
        )
    if isinstance(sent, list):
        return isinstance(held, list) and _same_lists(name, sent, held)
    if isinstance(sent, bool) or isinstance(held, bool):
        return str(sent).lower() == str(held).lower()
    if name in _DATES:
        return business_date(sent) == business_date(held)
    if name == "Status" and {sent, held} <= {"AUTHORISED", "PAID"}:
        return True
    if isinstance(sent, int | Decimal):
        return _same_numbers(name, sent, held)
    return _text(name, sent) == _text(name, held)


def returned(payload: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """The paths of the payload as the record shows them; lines with their LineItemID, in Xero's order."""
    return {
        name: _restricted(name, sent, record.get(name)) for name, sent in payload.items() if name[:1] != "_"
    }


def differs(outgoing: Outgoing, record: Mapping[str, Any], *, total_field: str | None) -> tuple[str, ...]:
    """Paths that we sent and the record does not show; `_total` when the amount is another.

    A line is named by our `_line`: `LineItems[2].AccountCode`. A removal is compared by status alone.
    """
    if outgoing.operation == "remove":
        return () if is_gone(record) else ("Status",)
    found: list[str] = []
    for name in sent_fields(outgoing):
        sent, held = outgoing.payload[name], record.get(name)
        if name == "LineItems" and isinstance(sent, list):
            found += _lines_that_differ(sent, held, outgoing.line_ids)
        elif not same(name, sent, held):
            found.append(name)
    if total_field and outgoing.total is not None and not is_gone(record):
        amount = as_number(record.get(total_field))
        if amount is None or amount != outgoing.total:
            found.append("_total")
    return tuple(found)


def sent_fields(outgoing: Outgoing) -> tuple[str, ...]:
    """The top-level fields that this entry sends."""
    names = outgoing.payload if outgoing.operation != "update" or outgoing.fields is None else outgoing.fields
    return tuple(name for name in names if name[:1] != "_" and name in outgoing.payload)


def lacking(payload: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[str, ...]:
    """Fields that the record has empty; only these may be sent to a record that others made."""
    return tuple(
        name
        for name, sent in payload.items()
        if name[:1] != "_"
        and not _is_empty(sent)
        and not is_cleared(sent)
        and _lacks(name, sent, record.get(name))
    )


def line_ids(one: Outgoing, record: Mapping[str, Any]) -> dict[str, str]:
    """Our `_line` to Xero's LineItemID: lines that had one keep it, the others follow in order.

    Empty when the record does not show our lines one to one.
    """
    sent, held = one.payload.get("LineItems"), record.get("LineItems")
    if not isinstance(sent, list) or not isinstance(held, list) or len(sent) != len(held):
        return {}
    there = [str(line.get("LineItemID") or "") for line in held]
    known = {line: line_id for line, line_id in one.line_ids.items() if line_id in there}
    others = iter([line_id for line_id in there if line_id not in set(known.values())])
    found = {
        str(line["_line"]): known.get(str(line["_line"])) or next(others, "")
        for line in sent
        if "_line" in line
    }
    return {line: line_id for line, line_id in found.items() if line_id}


def is_gone(record: Mapping[str, Any]) -> bool:
    """Voided, deleted or archived: Xero keeps such records and shows their status."""
    return record.get("Status") in GONE or record.get("ContactStatus") == "ARCHIVED"


def business_date(value: object) -> date | None:
    """The calendar date of `/Date(ms)/` or ISO text; None when it is neither.

    A business date is midnight UTC of the organisation's calendar day, so no zone is ever applied.
    """
    if not isinstance(value, str):
        return None
    if wire := _DATE.match(value):
        return (_EPOCH + timedelta(milliseconds=int(wire[1]))).date()
    try:
        return date.fromisoformat(value[:10])
    except ValueError:
        return None


def as_number(value: object) -> Decimal | None:
    """A number as exact decimal; None when it is not one."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        return Decimal(value)
    except InvalidOperation:
        return None


def same_id(one: object, other: object) -> bool:
    """Guids are equal whatever their letter case."""
    return isinstance(one, str) and isinstance(other, str) and one.casefold() == other.casefold()


def _same_numbers(name: str, sent: int | Decimal, held: object) -> bool:
    ours, theirs = Decimal(sent), as_number(held)
    if theirs is None:
        return False
    if name == "CurrencyRate":
        return ours.quantize(_RATE_PLACES) == theirs.quantize(_RATE_PLACES)
    if ours == theirs:
        return True
    # A record read without unitdp=4 shows prices at two decimals.
    return name in _UNIT_PRICES and theirs == ours.quantize(_CENT, ROUND_HALF_UP)


def _same_lists(name: str, sent: list[Any], held: list[Any]) -> bool:
    if slot := _SLOTS.get(name):
        return all(same(name, one, _by(slot, one, held)) for one in sent)
    if len(sent) != len(held):
        return False
    if name == "Tracking":
        return all(any(same("Tracking.Option", one, other) for other in held) for one in sent)
    return all(same(name, one, other) for one, other in _paired(sent, held, {}))


def _lines_that_differ(sent: list[Any], held: object, ids: Mapping[str, str]) -> Iterator[str]:
    if not isinstance(held, list) or len(held) != len(sent):
        yield "LineItems"
        return
    for position, (ours, theirs) in enumerate(_paired(sent, held, ids), start=1):
        label = f"LineItems[{ours.get('_line', position)}]"
        for name, value in ours.items():
            if not name.startswith("_") and not same(name, value, theirs.get(name)):
                yield f"{label}.{name}"


def _paired(
    sent: Sequence[Any], held: Sequence[Any], ids: Mapping[str, str]
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each line with its own: by line id where both have one, else by position."""
    wanted = [_line_id(line, ids) for line in sent]
    by_id: dict[Any, dict[str, Any]] = {
        line.get("LineItemID"): line for line in held if isinstance(line, dict)
    }
    if all(line_id in by_id for line_id in wanted) and len(set(wanted)) == len(wanted):
        return [(line, by_id[line_id]) for line, line_id in zip(sent, wanted, strict=True)]
    return list(zip(sent, held, strict=True))


def _line_id(line: Any, ids: Mapping[str, str]) -> str | None:
    if not isinstance(line, Mapping):
        return None
    return line.get("LineItemID") or ids.get(str(line.get("_line")))


def _restricted(name: str, sent: Any, held: Any) -> Any:
    if isinstance(sent, Mapping) and isinstance(held, Mapping) and not is_cleared(sent):
        return {
            part: _restricted(part, value, held.get(part)) for part, value in sent.items() if part[:1] != "_"
        }
    if isinstance(sent, list) and isinstance(held, list):
        return _restricted_list(name, sent, held)
    return held


def _restricted_list(name: str, sent: list[Any], held: list[Any]) -> list[Any]:
    if slot := _SLOTS.get(name):
        return [_restricted(name, one, _by(slot, one, held)) for one in sent]
    shape: dict[str, Any] = {}
    for one in sent:
        if isinstance(one, Mapping):
            shape |= one
    if name == "LineItems":
        shape["LineItemID"] = ""
        held = _in_order(sent, held)
    return [_restricted(name, shape, other) if shape else other for other in held]


def _in_order(sent: list[Any], held: list[Any]) -> list[Any]:
    """Lines in the order in which they were returned before, so that moving a line is no change."""
    places = {line.get("LineItemID"): place for place, line in enumerate(sent) if line.get("LineItemID")}
    return sorted(held, key=lambda line: places.get(line.get("LineItemID"), len(places)))


def _lacks(name: str, sent: Any, held: Any) -> bool:
    if (slot := _SLOTS.get(name)) and isinstance(sent, list) and isinstance(held, list):
        return all(_is_empty({**(_by(slot, one, held) or {}), slot: ""}) for one in sent)
    return _is_empty(held)


def _by(slot: str, one: Any, held: Sequence[Any]) -> Any:
    """The entry of the same slot; None as well where either has no entry there."""
    entries = (other for other in held if isinstance(other, Mapping) and isinstance(one, Mapping))
    return next((other for other in entries if other.get(slot) == one.get(slot)), None)


def _is_empty(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(_is_empty(part) for part in value.values())
    return value is None or value in ("", [])


def _text(name: str, value: object) -> str:
    text = "" if value is None else str(value)
    text = re.sub(r"\r\n?", "\n", text).strip()
    if name == "Name":
        text = re.sub(r" {2,}", " ", text)
    return text.casefold() if name in _FOLDED or name.endswith("ID") else text
