"""One dead letter as a person must see it: the record, who gave each field, the request as it was sent, the vendor's words.

Which lookup gave a field is found by its value: of the lookups that the model reads, the rows that hold it. That names the
line to correct; a value that stands in no lookup came from the source or from the model itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql

from cdc.lineage import LOOKUPS
from cdc.links import LINE, LINKED
from cdc.outbound import OutboundModel, models_in_force
from tieout.queries import compose, query

Session = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]
SHOWN_ROWS = 3
"""Rows of one lookup that hold a value."""
SHOWN_COLUMNS = 3
"""Columns that tell a lookup's row: its first ones, which say for what it is."""
SHORTEST = 2
"""A text of one letter stands in many rows that have nothing to do with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldMap:
    """Where a field of the payload comes from."""

    path: str
    """The field, or `Lines/<line>/Field`."""
    value: Any
    model: str
    """The outbound model, or its child model of lines, whose column of that name gave it."""
    lookups: tuple[str, ...]
    """`category_accounts.account (shop, Goods)`: column and row that hold the value; empty when it stands in none."""
    is_blamed: bool
    """The refusal or the problem names this field."""
    edited_by: str | None = None
    """Who put this value over the model's, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter."""

    connection: str
    entity: str
    key: str
    operation: str
    state: str
    cause: str
    reason: str | None
    cure: str | None
    who: str
    since: datetime
    amount: Decimal | None
    currency: str | None
    document_date: date | None
    model: str
    source_connection: str
    source_id: str
    attempts: int
    waiting: int
    """Entries of its chain that wait for it."""
    words: tuple[str, ...]
    """The vendor's, as it said them."""
    method: str | None
    """Of the request; None: it was never sent."""
    path: str | None
    sent_at: datetime | None
    status: int | None
    request: Any
    """This record's part of the body, as it was sent; the payload that would be, when nothing was."""
    fields: tuple[FieldMap, ...]


def letters(
    connection: Session,
    *,
    keys: Sequence[str] | None = None,
    target: str | None = None,
    entity: str | None = None,
    model: str | None = None,
    cause: str | None = None,
    limit: int = 5,
) -> list[Letter]:
    """Dead letters with everything that explains them, the oldest first."""
    values = {
        "keys": list(keys) if keys else None, "connection": target, "entity": entity, "model": model, "cause": cause, "limit": limit,
    }  # fmt: skip
    models = {one.name: one for one in models_in_force(connection)}
    rows = connection.execute(query("letters", "letters"), values).fetchall()
    return [_letter(connection, row, models.get(row["model"])) for row in rows]


def _letter(connection: Session, row: Row, model: OutboundModel | None) -> Letter:
    answer: Mapping[str, Any] = row["answer"] or {}
    names = tuple(Letter.__dataclass_fields__)
    own = {name: row[name] for name in names if name in row}
    return Letter(
        **own,
        words=tuple(answer.get("messages") or ()),
        request=_part(row) if row["method"] is not None else row["payload"],
        fields=tuple(_fields(connection, row, model, _blamed(row, answer))),
    )


def _part(row: Row) -> Any:
    """What a batch says of this record: of the one list in the body the element at its place."""
    body, entries = row["body"], list(row["entries"])
    lists = [value for value in body.values() if isinstance(value, list)] if isinstance(body, Mapping) else []
    if len(lists) == 1 and len(lists[0]) == len(entries):
        return lists[0][entries.index(row["entry"])]
    return body


def _blamed(row: Row, answer: Mapping[str, Any]) -> frozenset[str]:
    named = {str(answer["field"])} if answer.get("field") else set()
    named |= {str(problem.get("field")) for problem in row["control"].get("_problems") or ()}
    return frozenset(name.rpartition("/")[2].rpartition(".")[2] for name in named)


def _fields(
    connection: Session, row: Row, model: OutboundModel | None, blamed: frozenset[str]
) -> Iterator[FieldMap]:
    """The fields that are blamed, and those that a lookup or a person gave; of all others the model says the source's words."""
    known: dict[str, tuple[str, ...]] = {}
    for path, value in _leaves(row["payload"]):
        name = path.rpartition("/")[2]
        edited = row["overrides"].get(path)
        is_text = isinstance(value, str) and len(value) >= SHORTEST
        if is_text and value not in known:
            known[value] = tuple(_lookups(connection, model, value))
        found = known[value] if is_text else ()
        if name in blamed or found or edited:
            yield FieldMap(
                path=path,
                value=value,
                model=_model_of(path, row, model),
                lookups=found,
                is_blamed=name in blamed,
                edited_by=f"{edited['who']}: {edited['why']}" if edited else None,
            )


def _leaves(payload: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in payload.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            if LINKED not in value:
                yield from _leaves(value, f"{path}/")
        elif isinstance(value, list):
            for place, item in enumerate(value, start=1):
                if isinstance(item, Mapping):
                    yield from _leaves(item, f"{path}/{item.get(LINE, place)}/")
        elif name != LINE:
            yield path, value


def _model_of(path: str, row: Row, model: OutboundModel | None) -> str:
    head = path.partition("/")[0]
    children = model.lines if model is not None else ()
    return next((lines.model for lines in children if lines.field == head), str(row["model"]))


def _lookups(connection: Session, model: OutboundModel | None, text: str) -> Iterator[str]:
    for name in model.lookups if model is not None else ():
        statement = compose("letters", "giving", lookup=sql.Identifier(LOOKUPS, name))
        rows = [
            row["content"] for row in connection.execute(statement, {"text": text, "limit": SHOWN_ROWS + 1})
        ]
        for row in rows[:SHOWN_ROWS]:
            column = next(column for column, value in row.items() if str(value) == text)
            others = [str(value) for other, value in row.items() if other != column and value != ""]
            yield f"{name}.{column} ({', '.join(others[:SHOWN_COLUMNS])})"
        if len(rows) > SHOWN_ROWS:
            yield f"{name}: and more rows"
