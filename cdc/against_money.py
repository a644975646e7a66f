"""What another set of models would do to the accounts of documents that are posted already.

For documents that may still change this is what the next diff would send; for frozen ones it is the drift that would show.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from cdc.diff_rows import CONTROL, mirror_of, organisations, with_lines
from cdc.outbound import OutboundModel
from cdc.postings import Posting, Posts, Setting, effect, posts_of
from cdc.writing import Write, open_writers
from tieout.queries import compose

BATCH = 500

Session = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedEffect:
    """What an account of one month would hold more (or less)."""

    model: str
    is_frozen: bool
    """The documents may no longer change: shown as drift, never sent."""
    posting: Posting
    documents: int


def posted_effects(
    session: Session, before: OutboundModel, after: OutboundModel, keys: Iterable[str]
) -> list[PostedEffect]:
    """The effect on those of the keys that are in a target. Empty for a model whose entity posts nothing.

    `after` names its views with the schema in which the other set lies.
    """
    posts = posts_of(before.system, before.entity)
    if posts is None:
        return []
    write = open_writers(before.system)[before.entity]
    known = organisations(session, before.system)
    found: dict[bool, list[tuple[str, list[Posting]]]] = {True: [], False: []}
    ordered = sorted(keys)
    for start in range(0, len(ordered), BATCH):
        some = ordered[start : start + BATCH]
        for row in _documents(session, before, after, write, some):
            organisation = known.get(row["connection"])
            record = row["record"]
            is_frozen = (
                before.amend != "always" and record is not None and bool(write.frozen(record, organisation))
            )
            found[is_frozen].append((row["key"], _effect(posts, row, organisation)))
    return [each for is_frozen in (True, False) for each in _summed(before.name, is_frozen, found[is_frozen])]


def in_schema(model: OutboundModel, prefix: str) -> OutboundModel:
    """The same model, its views read from the schemas of another set."""
    lines = tuple(replace(child, schema=f"{prefix}{child.schema}") for child in model.lines)
    return replace(model, schema=f"{prefix}{model.schema}", lines=lines)


def _documents(
    session: Session, before: OutboundModel, after: OutboundModel, write: Write, keys: Sequence[str]
) -> Iterator[Row]:
    """Linked documents of these keys with both payloads; one that a set does not have (any more) has an empty one."""
    old = {(row["connection"], row["key"]): row for row in _payloads(session, before, write, keys)}
    new = {(row["connection"], row["key"]): row for row in _payloads(session, after, write, keys)}
    for name in sorted({*old, *new}):
        was, will_be = old.get(name), new.get(name)
        row = was or will_be or {}
        yield {
            **row,
            "before": was["payload"] if was else {},
            "after": will_be["payload"] if will_be else {},
        }


def _payloads(session: Session, model: OutboundModel, write: Write, keys: Sequence[str]) -> list[Row]:
    lines, line_joins = with_lines(model)
    statement = compose(
        "against",
        "payloads",
        view=model.relation,
        mirror=mirror_of(model.system, write),
        lines=lines,
        line_joins=line_joins,
    )
    values = {"model": model.name, "entity": model.entity, "keys": list(keys), "control": CONTROL}
    return session.execute(statement, values).fetchall()


def _effect(posts: Posts, row: Row, organisation: Mapping[str, Any] | None) -> list[Posting]:
    setting = Setting(
        currency=row["currency"],
        day=row["day"],
        base_currency=(organisation or {}).get("BaseCurrency"),
        record=row["record"],
    )
    return effect(posts(row["before"], setting), posts(row["after"], setting))


def _summed(
    model: str, is_frozen: bool, documents: Sequence[tuple[str, list[Posting]]]
) -> Iterator[PostedEffect]:
    counts: dict[tuple[Any, ...], set[str]] = {}
    for key, postings in documents:
        for one in postings:
            counts.setdefault((one.period, one.account, one.side, one.currency), set()).add(key)
    for one in effect([], [posting for _, postings in documents for posting in postings]):
        keys = counts[(one.period, one.account, one.side, one.currency)]
        yield PostedEffect(model=model, is_frozen=is_frozen, posting=one, documents=len(keys))
