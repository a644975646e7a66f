"""How Magento shows what it was sent, and how its lists are asked.

Facts recorded on Magento Open Source 2.4.4: numbers lose trailing zeros, and in custom attributes are text with
six decimals; ids are numbers here and text there; a field that is empty is absent; e-mails and skus are kept as
typed and compared without regard to letter case; more in a list than was sent (website ids, attributes) is the
shop's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import psycopg
from psycopg import sql

from cdc.writing import Outgoing, TargetClient, is_cleared
from loaders.magento import criteria
from tieout.errors import SchemaDrift
from tieout.queries import compose

Record = dict[str, Any]

MOST_RECORDS = 300
"""More a page is refused where a shop limits its input."""
_FOLDED = frozenset({"email", "sku"})


def same(field: str, sent: object, held: object) -> bool:
    """Does Magento's value say what was sent? `field` is the name, or a path of which the last name counts."""
    name = field.rpartition("/")[2].rpartition(".")[2]
    if is_cleared(sent) or _is_empty(sent):
        return _is_empty(held)
    if isinstance(sent, Mapping):
        return isinstance(held, Mapping) and all(
            same(part, value, held.get(part)) for part, value in sent.items() if part[:1] != "_"
        )
    if isinstance(sent, list):
        return isinstance(held, list) and _same_lists(name, sent, held)
    if isinstance(sent, bool) or isinstance(held, bool):
        return _flag(sent) == _flag(held)
    if not (isinstance(sent, str) and isinstance(held, str)):
        ours, theirs = as_number(sent), as_number(held)
        if ours is not None and theirs is not None:
            return ours == theirs
    return _text(name, sent) == _text(name, held)


def sent_fields(outgoing: Outgoing) -> tuple[str, ...]:
    """The top-level fields that this entry sends."""
    names = outgoing.payload if outgoing.operation != "update" or outgoing.fields is None else outgoing.fields
    return tuple(name for name in names if name[:1] != "_" and name in outgoing.payload)


def shown_plain(payload: Mapping[str, Any], record: Mapping[str, Any]) -> Record:
    """The fields of the payload as the record shows them."""
    return {name: record.get(name) for name in payload if name[:1] != "_"}


def wire(value: Any) -> Any:
    """A value as it is sent: a cleared field is an empty text."""
    if is_cleared(value):
        return ""
    if isinstance(value, Mapping):
        return {name: wire(part) for name, part in value.items() if name[:1] != "_"}
    if isinstance(value, list):
        return [wire(part) for part in value]
    return value


def as_number(value: object) -> Decimal | None:
    """A number as exact decimal; None when it is not one."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def text_key(value: object) -> str:
    """An e-mail, sku or code as Magento compares it."""
    return str(value if value is not None else "").strip().casefold()


def read_list(client: TargetClient, path: str, field: str, values: Iterable[str]) -> list[Record]:
    """Records of a list whose field is one of these values. A value with a comma in it is asked for by itself."""
    found: list[Record] = []
    for asked, condition in _asked(values):
        number = 1
        while True:
            params = criteria([(field, asked, condition)], sort=(), size=MOST_RECORDS, number=number)
            body = client.http.read(path, params=params).json()
            if not isinstance(body, dict) or "total_count" not in body:
                raise SchemaDrift(f"Magento's answer to {path} is not a list.")
            items = body.get("items") or []
            found += items
            # A page past the end may repeat the last one, so the count decides.
            if not items or number * MOST_RECORDS >= int(body["total_count"]):
                break
            number += 1
    return found


def in_mirror(
    connection: psycopg.Connection[Record], name: str, stream: str, column: str, values: Iterable[str]
) -> list[Record]:
    """Payloads of the staging table whose indexed column has one of the values."""
    wanted = list(dict.fromkeys(values))
    if not wanted:
        return []
    statement = compose(
        "find",
        "in_mirror",
        table=sql.Identifier("staging", f"magento__{stream}"),
        column=sql.Identifier(column),
    )
    rows = connection.execute(statement, {"connection": name, "values": wanted}).fetchall()
    return [row["payload"] for row in rows]


_VALUES_A_CALL = 20


def _asked(values: Iterable[str]) -> Iterator[tuple[str, str]]:
    distinct = list(dict.fromkeys(values))
    together = [value for value in distinct if "," not in value]
    for start in range(0, len(together), _VALUES_A_CALL):
        yield ",".join(together[start : start + _VALUES_A_CALL]), "in"
    for value in distinct:
        if "," in value:
            yield value, "eq"


def _same_lists(name: str, sent: Sequence[Any], held: Sequence[Any]) -> bool:
    if name in ("website_ids", "category_ids"):
        return {str(one) for one in sent} <= {str(one) for one in held}
    if all(isinstance(one, Mapping) and "attribute_code" in one for one in sent):
        known = {one.get("attribute_code"): one.get("value") for one in held if isinstance(one, Mapping)}
        return all(
            same(str(one["attribute_code"]), one.get("value"), known.get(one["attribute_code"]))
            for one in sent
        )
    return len(sent) == len(held) and all(
        same(name, one, other) for one, other in zip(sent, held, strict=True)
    )


def _flag(value: object) -> bool:
    return str(value).casefold() in ("1", "true")


def _is_empty(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(_is_empty(part) for part in value.values())
    return value is None or value in ("", [])


def _text(name: str, value: object) -> str:
    text = ("" if value is None else str(value)).replace("\r\n", "\n").strip()
    return text.casefold() if name in _FOLDED else text
