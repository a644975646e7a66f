"""Ask Xero, or its mirror, for records by a handful of values.

A `where` text goes into the address, so long lists are asked in parts. Xero has no dependable escape for a
quotation mark inside a literal ("Requests and responses", `where`): such a value is asked for by its longest
part without one, and every answer is compared again here, exactly, because Xero's own comparison ignores
letter case and accents.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from cdc.writing import TargetClient
from tieout.errors import NotFound, SchemaDrift
from tieout.queries import compose

VALUES_A_CALL = 20
"""Of about 60 letters each: the address stays under 4,000 letters."""
IDS_A_CALL = 40
"""Xero's own advice for `IDs=` and `InvoiceNumbers=`; in a `where` text it makes an address of about 3,000 letters."""
PAGE_SIZE = 100


def read_list(
    client: TargetClient, plural: str, params: Mapping[str, str], *, paged: bool = True
) -> list[dict[str, Any]]:
    """All records that a list answers, in its full form (which Xero gives only by page)."""
    found: list[dict[str, Any]] = []
    page = 1
    while True:
        asked = {**params, "page": str(page), "pageSize": str(PAGE_SIZE)} if paged else dict(params)
        records = records_of(client.http.read(f"/{plural}", params=asked).json(), plural)
        found += records
        if not paged or len(records) < PAGE_SIZE:
            return found
        page += 1


def read_one(
    client: TargetClient, plural: str, target_id: str, params: Mapping[str, str]
) -> dict[str, Any] | None:
    """One record by its id; None when Xero has none."""
    try:
        records = records_of(client.http.read(f"/{plural}/{target_id}", params=params).json(), plural)
    except NotFound:
        return None
    return records[0] if records else None


def equals(field: str, values: Iterable[str]) -> str:
    """A `where` text: the field is one of these texts (or may be, where one has a quotation mark in it)."""
    return " OR ".join(_equal(field, value) for value in values)


def is_guid(field: str, values: Iterable[str]) -> str:
    """A `where` text: the field is one of these ids."""
    return " OR ".join(f'{field}==guid("{value}")' for value in values)


def parts(values: Iterable[str], size: int) -> Iterator[list[str]]:
    """The distinct values in their order, at most `size` at a time."""
    distinct = list(dict.fromkeys(values))
    for start in range(0, len(distinct), size):
        yield distinct[start : start + size]


def in_mirror(
    connection: psycopg.Connection[dict[str, Any]], name: str, stream: str, column: str, values: Sequence[str]
) -> list[dict[str, Any]]:
    """Payloads of the staging table whose indexed column has one of the values."""
    if not values:
        return []
    statement = compose(
        "find", "in_mirror", table=sql.Identifier("staging", f"xero__{stream}"), column=sql.Identifier(column)
    )
    rows = connection.execute(
        statement, {"connection": name, "values": list(dict.fromkeys(values))}
    ).fetchall()
    return [row["payload"] for row in rows]


def _equal(field: str, value: str) -> str:
    if '"' not in value:
        return f'{field}=="{value}"'
    longest = max(value.split('"'), key=len)
    return f'({field}!=null AND {field}.Contains("{longest}"))'


def records_of(body: object, plural: str) -> list[dict[str, Any]]:
    """The list in an answer. Raises SchemaDrift where there is none."""
    records = body.get(plural) if isinstance(body, dict) else None
    if not isinstance(records, list):
        raise SchemaDrift(f"Xero's answer has no list {plural!r}.")
    return records
