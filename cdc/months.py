"""Tables that grow for ever, and their months.

`history`, `outbox_done` and `audit` are partitioned by month; the others lie in one piece: calls are found by their id alone while they
are sent, and of proofs and runs there are few. Rows for which there is no month lie in the default partition until `tieout retain` moves them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from tieout.queries import compose, query

Session = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table that grows for ever."""

    name: LiteralString
    group: str
    moment: LiteralString
    """The column of the time by which a row has its month."""
    order: tuple[str, ...]
    """Columns that put its rows into one order: the file of a month is the same however often it is made."""
    in_months: bool = True
    """Partitioned; else its rows are deleted. cdc.calls is not: each settling finds its call by id alone."""
    may_go: LiteralString = "everything"
    """Which rows may go, in sql/queries/retention.sql."""
    needed: LiteralString | None = None
    """What makes a month stay."""
    carry: LiteralString | None = None
    """What of it is kept elsewhere."""


TABLES = (
    Table(name="history", group="history", moment="changed_at", order=("version", "changed_at")),
    Table(name="links_before", group="history", moment="at", order=("version", "link_id"), in_months=False),
    Table(
        name="outbox_done", group="entries", moment="finished_at", order=("entry", "finished_at"),
        needed="needed_outbox_done", carry="carry_outbox_done",
    ),
    Table(
        name="calls", group="entries", moment="sent_at", order=("number",), in_months=False,
        may_go="calls_may_go",
    ),
    # Runs after what they wrote and found: those of which nothing is left here go.
    Table(name="proofs", group="runs", moment="proved_at", order=("proof",), in_months=False, may_go="proofs_may_go"),
    Table(name="runs", group="runs", moment="started_at", order=("run",), in_months=False, may_go="runs_may_go"),
    Table(name="audit", group="audit", moment="sealed_at", order=("position",), needed="needed_audit"),
)  # fmt: skip


def make_months(session: Session) -> int:
    """Make the months ahead that are missing; how many. Cheap, and of no effect where somebody reads for long."""
    row = session.execute(query("retention", "make_months")).fetchone()
    return int(row["made"]) if row is not None else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    table: Table
    month: date
    relation: sql.Composable
    where: sql.Composable
    rows: int
    size: int

    def needed(self, session: Session) -> str:
        """Why it stays; empty: it may go."""
        if self.table.needed is None:
            return ""
        rows = session.execute(compose("retention", self.table.needed, relation=self.relation)).fetchall()
        return ", ".join(f"{row['rows']} {row['because']}" for row in rows)

    def copied(self, session: Session) -> Iterator[bytes]:
        """Its rows as CSV."""
        names = [row["name"] for row in columns_of(session, self.table.name)]
        statement = compose(
            "retention",
            "copy_out",
            columns=_names(names),
            relation=self.relation,
            where=self.where,
            ordered=_names(self.table.order),
        )
        with session.cursor() as cursor, cursor.copy(statement) as copy:
            for chunk in copy:
                yield bytes(chunk)


def months_of(session: Session, table: Table, before: date) -> Iterator[Month]:
    """Months that are older than `before`, the oldest first."""
    if table.in_months:
        rows = session.execute(
            query("retention", "partitions"), {"parent": table.name, "before": before}
        ).fetchall()
        for row in rows:
            relation, where = sql.Identifier("cdc", row["name"]), sql.SQL(query("retention", "everything"))
            counted = session.execute(
                compose("retention", "count", relation=relation, where=where)
            ).fetchone()
            assert counted is not None, "a count gives one row"  # noqa: S101
            yield Month(
                table=table,
                month=row["month"],
                relation=relation,
                where=where,
                rows=counted["rows"],
                size=row["size"],
            )
        return
    relation, moment = sql.Identifier("cdc", table.name), sql.Identifier(table.moment)
    may_go = sql.SQL(query("retention", table.may_go))
    plain = compose("retention", "plain_months", relation=relation, moment=moment, where=may_go)
    for row in session.execute(plain, {"before": span(before)[0]}).fetchall():
        start, end = span(row["month"])
        of_month = compose(
            "retention", "in_month", moment=moment, from_at=sql.Literal(start), until_at=sql.Literal(end), may_go=may_go
        )  # fmt: skip
        yield Month(
            table=table,
            month=row["month"],
            relation=relation,
            where=of_month,
            rows=row["rows"],
            size=row["size"],
        )


def columns_of(session: Session, relation: str) -> list[Row]:
    """Names and types of the columns of a table of the engine, in order."""
    return session.execute(query("retention", "columns"), {"relation": relation}).fetchall()


def _names(columns: tuple[str, ...] | list[str]) -> sql.Composed:
    return sql.SQL(", ").join([sql.Identifier(name) for name in columns])


def span(month: date) -> tuple[datetime, datetime]:
    """From when until when."""
    start = datetime(month.year, month.month, 1, tzinfo=UTC)
    end = datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)
    return start, end
