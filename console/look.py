"""Looking: `status`, `show`, `why`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from psycopg.conninfo import conninfo_to_dict
from rich.console import RenderableType
from rich.text import Text

from cdc import report
from cdc.why import Reason
from cdc.why import why as reasons_of
from console.frame import App, command, fail
from console.report import Report, facts, money, table, verdict
from tieout import embedded
from tieout.errors import ConfigurationError, ExitCode, TieoutError

STATES = ("ready", "waiting", "held", "rejected", "sending", "in_doubt")


@command("status")
def status(app: App) -> Report:
    """Say first whether all is well, then what waits for whom.

    Example: tieout status
    """
    with app.database.connect() as database:
        found = report.status(database)
        letters = report.dead_letters(database)
    good = not found.dead and not found.held and not any(one.stopped_reason for one in found.connections)
    shown: list[RenderableType] = [
        verdict(good, found.verdict),
        table("Connections", ("connection", "system", "target", *(f"{name.replace('_', ' ')}#" for name in STATES), "loaded from", "stopped or paused"), [
            (one.connection, one.system, one.target_name, *(one.states.get(name, 0) for name in STATES), one.loaded_from,
             one.stopped_reason or (f"paused by {one.paused_by}" if one.paused_by else ""))
            for one in found.connections
        ], empty="No connection yet: `tieout connect NAME`."),
    ]  # fmt: skip
    if letters:
        shown.append(table("Who has to do what", ("who", "what", "records#", "money#", "since"), [
            (group.who, group.cause, group.count, _money(group.money), group.oldest) for group in letters
        ]))  # fmt: skip
    if found.waiting:
        shown.append(table("Stopped chains", ("head of the chain", "is", "why", "waiting#", "money#", "since"), [
            (f"{one.entity} {one.key}", one.head_state, one.reason, one.entries, money(one.amount, one.currency), one.since)
            for one in found.waiting
        ]))  # fmt: skip
    work = {name.replace("_", " "): count for name, count in found.work.items() if count}
    shown.append(
        facts("Work for the next commands", work)
        if work
        else Text("Nothing waits for load, diff or build.", style="dim")
    )
    shown.append(facts("Look inside", {"psql": "tieout psql", "for BI": "schemas canonical and marts"}))
    return Report(
        data={
            "verdict": found.verdict, "ok": good, "dead_letters": found.dead, "held": found.held, "work": dict(found.work),
            "connections": [_fields(one) for one in found.connections], "stopped_chains": [_fields(one) for one in found.waiting],
        },
        shown=shown,
    )  # fmt: skip


@command("show")
@click.argument("key")
def show(app: App, key: str) -> Report:
    """Show one record side by side: its source, what the model says, what was agreed, what the target holds.

    Example: tieout show shop/order/17/1

    KEY is one of our keys, its end, or a target's id.
    """
    with app.database.connect() as database:
        found = report.show(database, key)
    if not found:
        return _unknown(key)
    shown: list[RenderableType] = []
    for each in found:
        shown += _sides(each)
    return Report(data={"records": [_fields(each) for each in found]}, shown=shown)


@command("why")
@click.argument("text", metavar="RECORD")
def why(app: App, text: str) -> Report:
    """Say why a record is as it is, or why nothing was sent for it.

    Example: tieout why WEB-000000010

    RECORD is one of our keys, a target's id, or an id or number of the source (an order, an invoice).
    """
    with app.database.connect() as database:
        reasons = reasons_of(database, text)
        if not reasons:
            reasons = [
                reason for each in report.show(database, text) for reason in reasons_of(database, each.key)
            ]
        told = {reason.key: _story(database, reason) for reason in reasons if reason.key is not None}
    if not reasons:
        return _unknown(text)
    shown: list[RenderableType] = [
        table(f"Why: {text}", ("record", "how far", "because", "what to do"), [
            (f"{reason.entity} {reason.key or ''}", reason.stage, reason.verdict, reason.cure) for reason in reasons
        ])
    ]  # fmt: skip
    shown += [
        table(f"What happened to {key}", ("when", "what", "detail"), rows)
        for key, rows in told.items()
        if rows
    ]
    return Report(
        data={
            "reasons": [_fields(reason) for reason in reasons],
            "history": {key: [list(row) for row in rows] for key, rows in told.items()},
        },
        shown=shown,
    )


@click.command("psql", context_settings={"ignore_unknown_options": True})
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="TIEOUT_SETTINGS",
    help="Settings file (default: ./tieout.toml).",
)
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


def _story(database: report.Session, reason: Reason) -> list[tuple[object, object, object]]:
    """Source changes, decisions, attempts and answers of one record, in the order of time."""
    rows: list[tuple[Any, str, str]] = []
    for each in report.show(database, reason.key or "", target=reason.connection, entity=reason.entity):
        rows += [_change(change) for change in each.source_history]
        rows += [
            (
                decision["decided_at"],
                f"{decision['verb']} by {decision['decided_by']}",
                decision.get("reason") or "",
            )
            for decision in each.decisions
        ]
        rows += [
            (
                call["sent_at"],
                f"{call['method']} {call['path']}",
                f"answer {call['status'] or 'lost'}, {call['outcome']}",
            )
            for call in each.calls
        ]
        rows += [
            (done["finished_at"], f"{done['operation']} {done['outcome']}", done.get("reason") or "")
            for done in each.done
        ]
    return sorted(rows, key=lambda row: str(row[0]))


def _change(change: Mapping[str, Any]) -> tuple[Any, str, str]:
    if change.get("before") is None:
        return (change["changed_at"], f"source first seen ({change['told_by']})", "")
    names = sorted({*change["before"], *(change.get("after") or {})})
    return (change["changed_at"], f"source changed ({change['told_by']})", ", ".join(names[:8]))


def _sides(each: report.Shown) -> list[RenderableType]:
    outbound = {name: value for name, value in (each.outbound or {}).items() if not name.startswith("_")}
    said, returned = each.link.get("said") or {}, each.link.get("returned") or {}
    target = (each.target or {}).get("payload") or {}
    names = [*outbound, *(name for name in said if name not in outbound)]
    head = {
        "target": f"{each.connection} {each.entity} {each.link.get('target_id') or '(not there yet)'}",
        "source": f"{each.link.get('source_connection')} {each.model} {each.link.get('source_id')}",
        "agreed": each.link.get("linked_at"),
    }
    if each.open:
        head["open entry"] = (
            f"{each.open['operation']} {each.open['state']}: {each.open.get('reason') or 'on its way'}"
        )
        head["what to do"] = each.open.get("cure")
    if each.drift:
        head["frozen"] = each.drift["frozen_because"]
    rows = [
        (name, outbound.get(name), said.get(name), returned.get(name, target.get(name)))
        for name in names
        if outbound.get(name) is not None or name in said
    ]
    return [
        facts(each.key, head),
        table(
            "",
            ("field", "model says", "agreed", "target gave"),
            rows,
            empty="The model gives no row for it now.",
        ),
    ]


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


def _money(by_currency: Mapping[str, Any]) -> str:
    return ", ".join(money(amount, currency) for currency, amount in by_currency.items())
