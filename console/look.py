"""Looking: `show`, `why`, `psql`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click
from psycopg.conninfo import conninfo_to_dict
from rich.console import Group, RenderableType
from rich.text import Text

from cdc import report
from cdc.story import story
from cdc.why import Reason
from cdc.why import why as reasons_of
from cdc.writing import open_writers
from console import fields
from console.frame import App, command, fail, settings_option
from console.report import Report, facts, short, table
from console.stories import as_data, story_table
from tieout import embedded
from tieout.errors import ConfigurationError, ExitCode, TieoutError

SHOWN_VALUE = 300


@command("show")
@click.argument("key")
def show(app: App, key: str) -> Report:
    """Show one record side by side: its source, what the model says, what was agreed, what the target holds.

    Example: tieout show shop/order/17/1

    KEY is one of our keys, its end, a target's id, or a number there, also one that no record has yet.
    """
    with app.database.connect() as database:
        found = report.show(database, key)
    if not found:
        return _unknown(key)
    shown: list[RenderableType] = []
    for each in found:
        shown += _sides(app, each)
    return Report(data={"records": [_fields(each) for each in found]}, shown=shown)


@command("why")
@click.argument("text", metavar="RECORD")
def why(app: App, text: str) -> Report:
    """Say why a record is as it is, or why nothing was sent for it.

    Example: tieout why WEB-000000010

    RECORD is one of our keys, an id or number of the source (an order, an invoice) or of the target, also one that no record has yet.
    """
    with app.database.connect() as database:
        reasons = reasons_of(database, text)
        if not reasons:
            reasons = [
                reason for each in report.show(database, text) for reason in reasons_of(database, each.key)
            ]
        told = {
            (reason.entity or "", reason.key): story(
                database, connection=reason.connection, entity=reason.entity, key=reason.key
            )
            for reason in reasons
            if reason.key is not None and reason.connection is not None and reason.entity is not None
        }
    if not reasons:
        return _unknown(text)
    shown: list[RenderableType] = [
        table(
            f"Why: {text}",
            ("record", "how far", "because, and what to do (→)"),
            [(f"{reason.entity} {reason.key or ''}", reason.stage, _because(reason)) for reason in reasons],
        )
    ]
    shown += [
        story_table(f"What happened to {entity} {key}", steps)
        for (entity, key), steps in told.items()
        if steps
    ]
    return Report(
        data={
            "reasons": [_fields(reason) for reason in reasons],
            "history": {
                key: [[step.at, step.title, "; ".join(step.lines)] for step in steps]
                for (_, key), steps in told.items()
            },
            "story": [
                {"entity": entity, "key": key, "steps": [as_data(step) for step in steps]}
                for (entity, key), steps in told.items()
            ],
        },
        shown=shown,
    )


@click.command("psql", context_settings={"ignore_unknown_options": True})
@settings_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(settings_file: Path | None, arguments: tuple[str, ...]) -> None:
    """Open psql on the database; everything after it goes to psql.

    Example: tieout psql -c "select * from marts.sales limit 5"
    """
    app = App(settings_file=settings_file)
    try:
        database = app.unchecked_database
        program = (
            "psql" if app.settings.database_url else str(embedded.binaries(app.settings.data_dir) / "psql")
        )
    except TieoutError as error:
        sys.exit(fail(error, as_json=False))
    # The address goes by environment: a password in the arguments could be read by every user of the machine.
    known = conninfo_to_dict(database.url)
    names = {
        "host": "PGHOST",
        "port": "PGPORT",
        "user": "PGUSER",
        "password": "PGPASSWORD",
        "dbname": "PGDATABASE",
    }
    environment = os.environ | {names[name]: str(value) for name, value in known.items() if name in names}
    try:
        os.execvpe(program, [program, *arguments], environment)  # noqa: S606 (the program is ours or the user's own psql)
    except FileNotFoundError:
        missing = ConfigurationError(
            "There is no psql on this machine.", cure="Install the PostgreSQL client."
        )
        sys.exit(fail(missing, as_json=False))


def _because(reason: Reason) -> RenderableType:
    verdict_text = Text(short(reason.verdict.replace("..", "."), SHOWN_VALUE))
    return Group(verdict_text, Text(f"→ {reason.cure}", style="green")) if reason.cure else verdict_text


def _sides(app: App, each: report.Shown) -> list[RenderableType]:
    """The record's head, and each field as the model, the agreement and the target have it."""
    outbound = {name: value for name, value in (each.outbound or {}).items() if not name.startswith("_")}
    said, returned = each.link.get("said") or {}, each.link.get("returned") or {}
    target = (each.target or {}).get("payload") or {}
    names = dict.fromkeys((*outbound, *said))
    held = {name: returned[name] if name in returned else target.get(name) for name in names}
    head = {
        "target": f"{each.connection} {each.entity} {each.link.get('target_id') or '(not there yet)'}",
        "source": f"{each.link.get('source_connection')} {each.link.get('source_id')}, by {each.model}",
        "agreed": each.link.get("linked_at"),
    }
    if each.open:
        state = f"{each.open['operation']} {each.open['state']}"
        between = " " if each.open["state"] == "waiting" and each.open.get("reason") else ": "
        head["open entry"] = f"{state}{between}{short(each.open.get('reason'), SHOWN_VALUE) or 'on its way'}"
        head["what to do"] = each.open.get("cure")
    if each.drift:
        head["frozen"] = each.drift["frozen_because"]
    same = _same(app, each)
    rows = [
        (
            path,
            _value(model),
            _value(fields.unlike(path, model, agreed)),
            _value(_given(path, model, agreed, gave, same)),
        )
        for path, (model, agreed, gave) in fields.rows((outbound, said, held))
    ]
    return [
        facts(each.key, head),
        table(
            "",
            ("field!", "model says", "agreed", "target gave"),
            rows,
            empty="The model gives no row for it now.",
        ),
    ]


def _given(path: str, model: Any, agreed: Any, gave: Any, same: fields.Same | None) -> Any:
    wanted = agreed if agreed is not None else model
    if isinstance(wanted, str) and wanted.startswith("→") and gave is not None:
        # A reference: what the target gave is its own id of the same record.
        return "="
    return fields.unlike(path, wanted, gave, same)


def _value(value: Any) -> Any:
    return short(value, SHOWN_VALUE) if isinstance(value, str) else value


def _same(app: App, each: report.Shown) -> fields.Same | None:
    """How the target's system compares a field; None for a connection that the settings no longer have."""
    connection = app.settings.connections.get(each.connection)
    return open_writers(connection.system)[each.entity].same if connection is not None else None


def _unknown(text: str) -> Report:
    return Report(
        data={"found": False},
        shown=[
            f"Nothing is known of {text!r}: no key, target id, or id or number of a mirrored source record.",
            "If it is new, `tieout load` mirrors it; keys look like shop/order/17/1.",
        ],
        exit_code=ExitCode.USAGE,
    )


def _fields(each: object) -> dict[str, object]:
    # Slots, not a dict: dataclasses.asdict would copy payloads deeply for nothing.
    return {name: getattr(each, name) for name in each.__dataclass_fields__}  # type: ignore[attr-defined]
