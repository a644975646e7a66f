"""The other direction of a pair of models that write to each other: what it knows about fields that both send.

A contact of the ledger drives a customer of the shop, and that customer drives the contact: two links between the same two
records. The model's yml calls a field alike in both (`both_ways`), so each direction can ask the other whether a change is
only the form in which a system shows what we wrote to it, and who changed the field last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg

from cdc.both_ways import Seen, Side, is_at_rest, taken
from cdc.diff_rows import mirror_of
from cdc.outbound import OutboundModel, models_in_force
from cdc.writing import Write, open_writers
from tieout.queries import compose, query

Session = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]
Place = tuple[str, str, str, str | None]
"""Where history stands: stream, connection, id, field (None: any)."""
Moved = Mapping[Place, Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """A field in the other direction: its link, what its target shows, and how its writer compares."""

    name: str
    link: Row
    record: Mapping[str, Any] | None
    write: Write

    def seen(self) -> Seen | None:
        said = (self.link["said"] or {}).get(self.name)
        if said is None or self.link["returned"] is None or self.record is None:
            return None
        return Seen(
            name=self.name,
            wanted=said,
            said=said,
            held=self.link["returned"].get(self.name),
            shown=self.write.returned({self.name: said}, self.record).get(self.name),
            state=self.link["two_way"].get(self.name, {}),
            version=self.link["version"],
        )

    def moved(self) -> Place:
        return (self.write.stream or "", self.link["connection"], self.link["target_id"], self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherWay:
    """What the other direction says about one record's fields, by the names that they have in this direction."""

    fields: Mapping[str, tuple[_Field, ...]] = field(default_factory=dict)
    here: Mapping[str, Place] = field(default_factory=dict)
    """Where the history of each field stands in this direction's target."""
    driver: Place | None = None
    moved: Moved = field(default_factory=dict)

    def is_echo(self, name: str) -> bool:
        """Is what the source says how it shows what the other direction wrote to it?"""
        there = self.fields.get(name, ())
        return bool(there) and all(
            (seen := each.seen()) is not None and is_at_rest(seen, each.write.same) for each in there
        )

    def taken_back(self, name: str) -> int:
        """The number under which the other direction took what this one is to bring."""
        return max(
            (taken(each.link["two_way"].get(each.name, {})) for each in self.fields.get(name, ())), default=0
        )

    def agreed_there(self, name: str) -> Any:
        """What the record here said when the other direction agreed; nothing where several fields there are one here."""
        there = self.fields.get(name, ())
        if len(there) != 1:
            return None
        link, field_there = there[0].link, there[0].name
        # It may have taken over what its target says by now, and know what stood here before.
        return link["two_way"].get(field_there, {}).get("source", (link["said"] or {}).get(field_there))

    def told(self, name: str) -> dict[str, Row | None]:
        """When each side was changed last by somebody else, and who told us."""
        there: list[Place | None] = [each.moved() for each in self.fields.get(name, ())] or [self.driver]
        rows = [self.moved[place] for place in there if place is not None and place in self.moved]
        return {
            "source": max(rows, key=lambda row: row["changed_at"], default=None),
            "target": self.moved.get(self.here[name]) if name in self.here else None,
        }

    def newer(self, name: str) -> Side | None:
        """The side that changed last, by what the systems say of their own records; None when that is not known."""
        times = {side: _time(row) for side, row in self.told(name).items()}
        source, target = times["source"], times["target"]
        if source is None or target is None or source == target:
            return None
        return "source" if source > target else "target"


def pairs_of(model: OutboundModel, models: Sequence[OutboundModel]) -> dict[str, dict[str, tuple[str, ...]]]:
    """By model of other systems: our fields and what that model calls them."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for other in models:
        if other.system == model.system:
            continue
        shared = {
            name: tuple(
                there for there, theirs in sorted(other.both_ways.items()) if set(theirs) & set(common)
            )
            for name, common in model.both_ways.items()
        }
        if any(shared.values()):
            found[other.name] = {name: names for name, names in shared.items() if names}
    return found


def other_ways(
    session: Session,
    model: OutboundModel,
    write: Write,
    rows: Sequence[Row],
    states: Mapping[tuple[str, str], Row] | None = None,
) -> dict[tuple[str, str], OtherWay]:
    """For each row (connection, key, source, both_ways) what the other direction says; only where there is one.

    The target's id is that of the row, or of its link in `states`.
    """
    known = states or {}
    rows = [
        {**row, "target_id": known.get((row["connection"], row["key"]), row).get("target_id")} for row in rows
    ]
    asked = [row for row in rows if row.get("both_ways") and row["target_id"]]
    if not asked or not model.both_ways:
        return {}
    models = {each.name: each for each in models_in_force(session)}
    pairs = pairs_of(model, list(models.values()))
    links = session.execute(
        query("conflicts", "other_way"),
        {
            "models": sorted(pairs),
            **{f"{name}s": [row[name] for row in asked] for name in ("connection", "key", "source_connection", "source_id", "target_id")},
        },
    ).fetchall()  # fmt: skip
    records = _records(session, models, links)
    found: dict[tuple[str, str], dict[str, tuple[_Field, ...]]] = {}
    for link in links:
        there = models[link["model"]]
        writer = open_writers(there.system)[there.entity]
        record = records.get((link["model"], link["connection"], link["target_id"]))
        fields = found.setdefault((link["for_connection"], link["for_key"]), {})
        for name, theirs in pairs[link["model"]].items():
            fields[name] = fields.get(name, ()) + tuple(
                _Field(name=other, link=link, record=record, write=writer) for other in theirs
            )
    driver = model.driver.partition("__")[2]
    partial = {
        (row["connection"], row["key"]): OtherWay(
            fields=found.get((row["connection"], row["key"]), {}),
            here={name: (write.stream or "", row["connection"], row["target_id"], name) for name in row["both_ways"]},
            driver=(driver, row["source_connection"], row["source_id"], None),
        )
        for row in asked
    }  # fmt: skip
    return _with_times(session, partial)


def _records(
    session: Session, models: Mapping[str, OutboundModel], links: Sequence[Row]
) -> dict[tuple[str, str, str], Mapping[str, Any]]:
    found: dict[tuple[str, str, str], Mapping[str, Any]] = {}
    for name in sorted({link["model"] for link in links}):
        model, some = models[name], [link for link in links if link["model"] == name]
        mirror = mirror_of(model.system, open_writers(model.system)[model.entity])
        values = {
            "connections": [link["connection"] for link in some],
            "ids": [link["target_id"] for link in some],
        }
        for row in session.execute(compose("links", "records", mirror=mirror), values):
            found[name, row["connection"], row["id"]] = row["payload"]
    return found


def _with_times(
    session: Session, partial: Mapping[tuple[str, str], OtherWay]
) -> dict[tuple[str, str], OtherWay]:
    wanted = {place for each in partial.values() for place in each.here.values()}
    wanted |= {one.moved() for each in partial.values() for some in each.fields.values() for one in some}
    wanted |= {each.driver for each in partial.values() if each.driver is not None}
    places = sorted(wanted, key=str)
    values = {
        name: [place[number] for place in places]
        for number, name in enumerate(("streams", "connections", "ids", "fields"))
    }
    moved = {
        (row["stream"], row["connection"], row["id"], row["field"]): row
        for row in session.execute(query("conflicts", "moved"), values)
    }
    return {
        name: OtherWay(fields=each.fields, here=each.here, driver=each.driver, moved=moved)
        for name, each in partial.items()
    }


def _time(row: Row | None) -> datetime | None:
    return None if row is None else row["modified_at"]
