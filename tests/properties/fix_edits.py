"""What the property test of the dirty rules needs: edits of mirrored records, and what they did to the rows of the models."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from cdc.changes import fan_out
from cdc.outbound import marts_in_force, models_in_force
from loaders.records import RawRecord
from loaders.stage import mark_deleted, merge
from loaders.stream import find_stream
from tests.fix_order import SAYING
from tieout.db import json_dumps, next_version

Session = psycopg.Connection[dict[str, Any]]
Path = tuple[str | int, ...]
Driver = tuple[str, str]
Rows = Mapping[Driver, str]
"""A digest of all rows of a driving record, its lines included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """An outbound model or mart: the views that say its rows, and what it reads."""

    name: str
    views: tuple[sql.Identifier, ...]
    connection_column: str
    id_column: str
    tables: frozenset[str]
    lookups: frozenset[str]
    rules: Mapping[str, str]
    """Kind of the rule by staging table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One thing that happened to a record of a staging table (`magento__orders`)."""

    table: str
    connection: str
    id: str
    payload: Mapping[str, Any] | None
    """What the record says now; None: it was found to be gone."""
    what: str

    def __repr__(self) -> str:
        return f"{self.table} {self.id}: {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What edits did: rows that differ, keys that the rules named, models that the rules marked as sweep due."""

    changed: Mapping[str, frozenset[Driver]]
    named: Mapping[str, frozenset[Driver]]
    swept: frozenset[str]

    @property
    def missed(self) -> dict[str, set[Driver]]:
        """Rows that differ although no rule named their driving record, by model."""
        behind = {
            model: set(drivers - self.named.get(model, frozenset()))
            for model, drivers in self.changed.items()
            if model not in self.swept
        }
        return {model: drivers for model, drivers in behind.items() if drivers}


def watched(session: Session) -> tuple[Watched, ...]:
    """Every outbound model and mart in force."""
    models = [
        Watched(
            name=model.name,
            views=(model.relation, *(lines.relation for lines in model.lines)),
            connection_column="_source_connection",
            id_column="_source_id",
            tables=frozenset(model.tables),
            lookups=frozenset(model.lookups),
            rules={rule.table: rule.kind for rule in model.dirty},
        )
        for model in models_in_force(session)
    ]
    marts = [
        Watched(
            name=mart.name,
            views=(mart.view,),
            connection_column=mart.connection_column,
            id_column=mart.id_column,
            tables=frozenset(mart.tables),
            lookups=frozenset(mart.lookups),
            rules={rule.table: rule.kind for rule in mart.dirty},
        )
        for mart in marts_in_force(session)
    ]
    return (*models, *marts)


def reads(session: Session, table: str) -> frozenset[str]:
    """The fields that any model reads of a staging table by name, as the build in force found them."""
    rows = session.execute("select model, reads from cdc.models").fetchall()
    return frozenset(name for row in rows for name in row["reads"].get(table) or ())


def read_less(session: Session, table: str, field: str) -> None:
    """Let the set in force say that nobody reads this field."""
    session.execute(
        "update cdc.models set reads = jsonb_set(reads, array[%(table)s::text], (reads -> %(table)s) - %(field)s::text)"
        " where jsonb_typeof(reads -> %(table)s) = 'array'",
        {"table": table, "field": field},
    )


def tables_of(models: Sequence[Watched]) -> list[str]:
    """The staging tables that any of them reads."""
    return sorted({table for model in models for table in model.tables})


def rows_of(session: Session, model: Watched) -> Rows:
    """All rows of a model now."""
    found: dict[Driver, str] = {}
    for view in model.views:
        statement = sql.SQL(
            "select {connection} as connection, {id} as id, md5(string_agg(to_jsonb(seen)::text, '|' order by to_jsonb(seen)::text))"
            " as digest from {view} as seen group by 1, 2"
        ).format(
            connection=sql.Identifier(model.connection_column), id=sql.Identifier(model.id_column), view=view
        )
        for row in session.execute(statement, prepare=True).fetchall():
            driver = (row["connection"], row["id"])
            found[driver] = found.get(driver, "") + row["digest"]
    return found


def differing(before: Rows, after: Rows) -> frozenset[Driver]:
    """Driving records whose rows are not what they were."""
    return frozenset(
        driver for driver in before.keys() | after.keys() if before.get(driver) != after.get(driver)
    )


def forget_changes(session: Session) -> None:
    """Begin with no change that waits and no sweep that is due."""
    session.execute("delete from cdc.changes")
    session.execute("delete from cdc.changed_keys")
    session.execute("update cdc.models set sweep_due = false")


def load(session: Session, edits: Sequence[Edit]) -> None:
    """Merge what was edited as a load that found it would."""
    for edit in edits:
        system, _, stream = edit.table.partition("__")
        with session.transaction():
            version = next_version(session)
            if edit.payload is None:
                mark_deleted(
                    session, stream=find_stream(system, stream), connection_name=edit.connection, ids=[edit.id],
                    before_version=version, told_by="sweep",
                )  # fmt: skip
            else:
                merge(
                    session, system=system, stream=stream, connection_name=edit.connection, asked_version=version,
                    records=[RawRecord(id=edit.id, raw=json_dumps(edit.payload).encode())], told_by="poll",
                )  # fmt: skip


def effect(session: Session, models: Sequence[Watched], before: Mapping[str, Rows]) -> Effect:
    """Fan out what was loaded and compare the rows of the models with those of before."""
    return Effect(
        named=fanned_out(session),
        swept=swept(session),
        changed={model.name: differing(before[model.name], rows_of(session, model)) for model in models},
    )


def named_without(session: Session, table: str, changes: Sequence[Mapping[str, Any]]) -> Effect:
    """The keys that the same changes (rows of cdc.changes) lead to when no yml had a rule for the table."""
    with session.transaction(force_rollback=True):
        forget_changes(session)
        session.execute(
            "update cdc.models set config = jsonb_set(config, '{dirty}', jsonb_path_query_array(config -> 'dirty',"
            " '$[*] ? (@.table != $gone)', jsonb_build_object('gone', %s::text)))",
            (table,),
        )
        for change in changes:
            session.execute(
                "insert into cdc.changes (connection, stream, id, version, keys_before, keys_after, fields)"
                " values (%s, %s, %s, %s, %s, %s, %s)",
                (
                    change["connection"], change["stream"], change["id"], change["version"],
                    Jsonb(change["keys_before"]), Jsonb(change["keys_after"]), change["fields"],
                ),
            )  # fmt: skip
        return Effect(changed={}, named=fanned_out(session), swept=swept(session))


def fanned_out(session: Session) -> dict[str, frozenset[Driver]]:
    """The driving records that the rules name for what was loaded, by model."""
    fan_out(session)
    keys: dict[str, set[Driver]] = {}
    for row in session.execute("select model, source_connection, source_id from cdc.changed_keys").fetchall():
        keys.setdefault(row["model"], set()).add((row["source_connection"], row["source_id"]))
    return {model: frozenset(drivers) for model, drivers in keys.items()}


def swept(session: Session) -> frozenset[str]:
    """The models whose rows are all to be looked at."""
    return frozenset(
        row["model"] for row in session.execute("select model from cdc.models where sweep_due").fetchall()
    )


# ---------------------------------------------------------------------- edits


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A mirrored record."""

    table: str
    connection: str
    id: str
    payload: dict[str, Any]


def records(session: Session, tables: Sequence[str]) -> dict[str, list[Record]]:
    """The records of staging tables, numbers exact."""
    found: dict[str, list[Record]] = {}
    for table in tables:
        statement = sql.SQL(
            f"select connection, id, payload::text as raw from {{}} where deleted_at is null order by {SAYING}"
        ).format(sql.Identifier("staging", table))
        found[table] = [
            Record(
                table=table,
                connection=row["connection"],
                id=row["id"],
                payload=json.loads(row["raw"], parse_float=Decimal),
            )
            for row in session.execute(statement).fetchall()
        ]
    return found


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value in a record that is neither an object nor a list; of a long list the first two."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from leaves(part, (*path, name))
    elif isinstance(value, list):
        for number, part in enumerate(value[:2]):
            yield from leaves(part, (*path, number))
    else:
        yield path, value


def replaced(value: Any, path: Path, new: Any) -> Any:
    """A copy of a record with one value replaced."""
    if not path:
        return new
    if isinstance(value, Mapping):
        return {
            name: replaced(part, path[1:], new) if name == path[0] else part for name, part in value.items()
        }
    if isinstance(value, list):
        return [
            replaced(part, path[1:], new) if number == path[0] else part for number, part in enumerate(value)
        ]
    return value


def moved(record: Record, donor: Record, wanted: Sequence[str] = ()) -> Edit | None:
    """The record takes the donor's references, names and numbers: it moves to another order, customer, code, e-mail."""
    given = dict(leaves(donor.payload))
    payload: Any = record.payload
    taken = []
    for path, held in leaves(record.payload):
        name = next((str(part) for part in reversed(path) if isinstance(part, str)), "")
        if _is_own(record, path) or path not in given or given[path] == held:
            continue
        if name in wanted or (not wanted and _is_reference(name)):
            payload = replaced(payload, path, given[path])
            taken.append(f"{'.'.join(map(str, path))}={given[path]}")
    if not taken:
        return None
    return Edit(
        table=record.table,
        connection=record.connection,
        id=record.id,
        payload=payload,
        what=f"moved {taken[:6]}",
    )


def changed(record: Record, path: Path, value: Any) -> Edit:
    """One value of the record is another one."""
    return Edit(
        table=record.table,
        connection=record.connection,
        id=record.id,
        payload=replaced(record.payload, path, value),
        what=f"{'.'.join(map(str, path))} = {value!r}",
    )


def stirred(record: Record) -> Edit:
    """Every amount, flag and word of the record is another one; references stay."""
    payload: Any = record.payload
    for path, held in leaves(record.payload):
        name = next((str(part) for part in reversed(path) if isinstance(part, str)), "")
        if not _is_own(record, path) and not _is_reference(name):
            payload = replaced(payload, path, other(held))
    return Edit(
        table=record.table, connection=record.connection, id=record.id, payload=payload, what="stirred"
    )


def posing_as(donor: Record, record: Record) -> Edit | None:
    """The record takes the donor's references and says something else than before in everything else."""
    made = moved(record, donor)
    if made is None or made.payload is None:
        return None
    posing = stirred(replace(record, payload=dict(made.payload)))
    return replace(posing, what=f"{made.what} and stirred")


def stirred_in(record: Record, fields: Collection[str]) -> Edit | None:
    """Every value in these top-level fields is another one; None when there is none."""
    payload: Any = record.payload
    for path, held in leaves(record.payload):
        if path[0] in fields and not _is_own(record, path):
            payload = replaced(payload, path, other(held))
    if payload == record.payload:
        return None
    what = f"stirred in {', '.join(sorted(fields))}"
    return Edit(table=record.table, connection=record.connection, id=record.id, payload=payload, what=what)


def gone(record: Record) -> Edit:
    """The record is not there any more."""
    return Edit(table=record.table, connection=record.connection, id=record.id, payload=None, what="gone")


def back(record: Record) -> Edit:
    """It is there (again), as it was."""
    return Edit(
        table=record.table, connection=record.connection, id=record.id, payload=record.payload, what="back"
    )


def other(held: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(held, bool):
        return not held
    if isinstance(held, (int, Decimal)):
        return held + 1
    if isinstance(held, str):
        try:
            return str(Decimal(held) + 1)
        except ArithmeticError:
            return _another_time(held) or held + "x"
    return held


def _another_time(held: str) -> str | None:
    if held[:2] == "20" and len(held) >= 10 and held[4] == "-":
        return held[:8] + ("11" if held[8:10] == "12" else "12") + held[10:]
    return None


def _is_own(record: Record, path: Path) -> bool:
    """The record's own id stays, wherever it is said at the top."""
    value = record.payload.get(str(path[0])) if len(path) == 1 else None
    return value is not None and str(value) == record.id


def _is_reference(name: str) -> bool:
    lower = name.lower()
    return lower.endswith(("id", "_ids", "email", "increment_id", "code", "number", "sku")) or lower in {
        "taxtype",
        "reference",
        "name",
        "base_currency_code",
        "currency_to",
        "day",
    }
