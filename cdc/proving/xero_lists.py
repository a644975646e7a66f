"""Walks Xero's lists for the proof, and converts as Xero does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from cdc.writers.xero_search import records_of
from cdc.writing import TargetClient
from tieout.paging import by_number

PAGE_SIZE = 500
CENT = Decimal("0.01")


def walk(
    client: TargetClient, plural: str, id_field: str, params: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """Every record of a list once, in the order of their ids, page by page to the empty one.

    Xero's own order is by change: a record that is edited during the walk would pull a later one onto a page already read.
    """
    seen: set[str] = set()

    def page(number: int) -> list[dict[str, Any]]:
        asked = {**params, "order": id_field, "page": str(number), "pageSize": str(PAGE_SIZE)}
        return records_of(client.http.read(f"/{plural}", params=asked).json(), plural)

    # Xero lowers a pageSize that it does not like: only an empty page surely is behind the last.
    for records in by_number(page, size=1):
        for record in records:
            identity = str(record.get(id_field))
            if identity not in seen:
                seen.add(identity)
                yield record


def in_base(amount: Decimal, rate: Decimal) -> Decimal:
    """An amount of a document in base currency: CurrencyRate is units of the document's currency for one of the base."""
    return (amount / rate).quantize(CENT, ROUND_HALF_UP)
