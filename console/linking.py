"""`tieout link`: before going live, say which records of a target are the ones that our rows would make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click
from rich.console import RenderableType
from rich.text import Text

from cdc import going_live
from cdc.linking import approve as approving
from cdc.linking import undo as undoing
from cdc.linking.decisions import Decided, Named
from cdc.linking.matching import matchers
from cdc.linking.propose import Proposed, propose
from console.frame import App, Listing, command, progress
from console.proposals import of_target, pairs, refuse_missing, refuse_unknown
from console.report import Report, counted, money, table, verdict
from console.setup import person
from tieout.errors import ExitCode
from tieout.queries import query

SHOWN = 25
"""Pairs of a kind on the screen; `--json` has all of them."""


@click.group("link", cls=Listing)
def link() -> None:
    """Say which records a target has already, before the first write to it.

    Example: tieout link propose books

    Nothing here writes to a system. Until it was looked at, a drain makes nothing in a target that is not empty.
    """


def _named(function: Callable[..., Report]) -> Callable[..., Report]:
    """The options by which proposals are named, alike in every command."""
    for option in (
        click.option("--target", help="Only this record of the target, by its id."),
        click.option("--entity", help="Only this kind of record, such as invoices."),
        click.option("--connection", help="Only this target."),
        click.argument("keys", nargs=-1),
    ):
        function = option(function)
    return function


_reason = click.option("--reason", help="Kept with the decision.")


@command("propose")
@click.argument("connection", required=False)
@click.option("--entity", "entities", multiple=True, help="Only this kind of record; may be repeated.")
def propose_links(app: App, connection: str | None, entities: tuple[str, ...]) -> Report:
    """Find records that a target has already: contacts, items, invoices, credit notes, payments, allocations.

    Example: tieout link propose books

    Each pair has a score and its evidence. Sure pairs without a rival are chosen; the others are shown, and wait for a yes
    or no by name.
    """
    systems = {each.system for each in app.connections(connection)}
    refuse_unknown(entities, [name for system in sorted(systems) for name in matchers(system)], "here")
    with app.run("link propose", {"connection": connection}) as run, progress("link") as tell:
        found = propose(
            app.database,
            run=run,
            by=person(),
            connection=connection,
            entities=entities or None,
            progress=tell,
        )
        rows = pairs(app, {"connection": connection, "entities": entities or None})
    return _proposed(found, rows)


@command("list")
@_named
@click.option(
    "--state",
    type=click.Choice(["open", "approved", "rejected", "withdrawn"]),
    default="open",
    show_default=True,
    help="What became of them.",
)
@click.option(
    "--standing", type=click.Choice(["chosen", "unsure"]), help="Only sure ones, or only the others."
)
def list_links(
    app: App,
    keys: tuple[str, ...],
    connection: str | None = None,
    entity: str | None = None,
    target: str | None = None,
    state: str = "open",
    standing: str | None = None,
) -> Report:
    """Show proposals with score, evidence and what speaks against them.

    Example: tieout link list --standing unsure
    """
    rows = pairs(
        app,
        {
            "connection": connection,
            "entities": (entity,) if entity else None,
            "keys": keys or None,
            "standing": standing,
            "states": [state],
        },
    )
    rows = of_target(rows, target)
    with app.database.connect() as database:
        counts = database.execute(query("linking", "counts"), {"connection": connection}).fetchall()
    return Report(
        data={"proposals": [_plain(row) for row in rows], "entities": counts},
        shown=[*(_pairs(rows) or _no_pair(keys, target, state)), _standing(counts)],
    )


@command("approve")
@_named
@click.option("--least", type=click.FloatRange(0, 1), help="Only pairs with at least this score.")
@_reason
def approve_links(
    app: App,
    keys: tuple[str, ...],
    connection: str | None = None,
    entity: str | None = None,
    target: str | None = None,
    least: float | None = None,
    reason: str | None = None,
) -> Report:
    """Link what was proposed; nothing is written to any system.

    Example: tieout link approve shop/order/1042/1

    Without a key: all pairs that are chosen. Where a record differs in money, tax, date or contact, the next diff holds it, or
    lists it as drift where it may no longer change.
    """
    named = _selection(keys, connection, entity, target, least)
    with app.run("link approve", {"keys": keys, "connection": connection, "entity": entity}):
        refuse_missing(app, named, "open")
        decided = approving.approve(app.database, named, by=person(), reason=reason or "")
        then = f"{decided.differing} of them differ: the next diff shows how." if decided.differing else ""
        return _decided(app, "Linked", decided, then or "Next: `tieout diff`.")


@command("reject")
@_named
@_reason
def reject_links(
    app: App,
    keys: tuple[str, ...],
    connection: str | None = None,
    entity: str | None = None,
    target: str | None = None,
    reason: str | None = None,
) -> Report:
    """Say that proposed pairs are not one record; a row without further pairs may be made anew.

    Example: tieout link reject shop/order/1042/1 --reason "another customer's"
    """
    named = _selection(keys, connection, entity, target)
    with app.run("link reject", {"keys": keys, "connection": connection, "entity": entity}):
        refuse_missing(app, named, "open")
        decided = undoing.reject(app.database, named, by=person(), reason=reason or "")
        return _decided(app, "Rejected", decided, "Next: `tieout diff`.")


@command("undo")
@_named
@_reason
def undo_links(
    app: App,
    keys: tuple[str, ...],
    connection: str | None = None,
    entity: str | None = None,
    target: str | None = None,
    reason: str | None = None,
) -> Report:
    """Take an approval back, as long as nothing was sent on the record.

    Example: tieout link undo shop/order/1042/1
    """
    named = _selection(keys, connection, entity, target)
    with app.run("link undo", {"keys": keys, "connection": connection, "entity": entity}):
        refuse_missing(app, named, "approved")
        decided = undoing.undo(app.database, named, by=person(), reason=reason or "")
        return _decided(app, "Unlinked", decided, "The proposals are open again: see `tieout link list`.")


@command("done")
@click.argument("connection")
@click.option("--entity", "entities", multiple=True, help="Only this kind of record; may be repeated.")
@_reason
def link_done(app: App, connection: str, entities: tuple[str, ...], reason: str | None = None) -> Report:
    """Let records be made in a target although it has some that are not linked.

    Example: tieout link done books --entity contacts

    Rows with an open proposal stay held until it is decided.
    """
    chosen = app.settings.connection(connection)
    lines = matchers(chosen.system)
    refuse_unknown(entities, list(lines), f"of {chosen.system}")
    wanted = entities or tuple(lines)
    arguments = {"connection": connection, "entities": wanted, "reason": reason}
    with app.run("link done", arguments), app.database.connect() as database:
        going_live.open_for(database, chosen.name, wanted, by=person())
    return Report(
        data={"connection": chosen.name, "open": list(wanted)},
        shown=[f"{chosen.name}: records may be made now ({', '.join(wanted)}). Next: `tieout drain`."],
    )


for each in (propose_links, list_links, approve_links, reject_links, undo_links, link_done):
    link.add_command(each)


def _selection(
    keys: tuple[str, ...],
    connection: str | None,
    entity: str | None,
    target: str | None,
    least: float | None = None,
) -> Named:
    return Named(
        keys=keys or None,
        target_id=target,
        connection=connection,
        entity=entity,
        least=None if least is None else str(least),
    )


def _proposed(found: Sequence[Proposed], rows: Sequence[dict[str, Any]]) -> Report:
    chosen, unsure = sum(each.chosen for each in found), sum(each.unsure for each in found)
    names = ("connection", "entity", "rows", "records", "chosen", "unsure")
    counts = [tuple(getattr(each, name) for name in names) for each in found]
    shown: list[RenderableType] = [
        table(
            "Compared with what the target has",
            ("target", "entity", "ours without a record#", "theirs without a link#", "chosen#", "unsure#"),
            counts,
            empty="Nothing to compare: every row is linked.",
        ),
        *_pairs(rows),
    ]
    if chosen or unsure:
        words = f"{counted(chosen, 'pair is', 'pairs are')} sure: `tieout link approve` links and writes nothing to any system."
        shown.append(verdict(True, words) if chosen else "No pair is sure.")
    if unsure:
        shown.append(
            verdict(
                False,
                f"{counted(unsure, 'row waits', 'rows wait')} for a yes or no by name: `tieout link list --standing unsure`.",
            )
        )
    return Report(
        data={
            "chosen": chosen,
            "unsure": unsure,
            "entities": [dict(zip(names, row, strict=True)) for row in counts],
            "proposals": [_plain(row) for row in rows],
        },
        shown=shown,
    )


def _no_pair(keys: Sequence[str], target: str | None, state: str) -> list[RenderableType]:
    named = ", ".join([*keys, *([target] if target is not None else [])])
    return [f"No {state} pair of {named}."] if named else []


def _pairs(rows: Sequence[dict[str, Any]]) -> list[RenderableType]:
    shown: list[RenderableType] = []
    titles = {
        "unsure": "Unsure: approve or reject each by name (several records: --target)",
        "chosen": "Chosen: sure, and nothing else comes near",
    }
    for standing, title in titles.items():
        some = [row for row in rows if row["standing"] == standing]
        if not some:
            continue
        left = len(some) - SHOWN
        more = f" (first {SHOWN}; {left} more with --json)" if left > 0 else ""
        shown.append(
            table(
                title + more,
                ("score#", "ours", "theirs", "amount#", "evidence", "against"),
                [
                    (
                        row["score"],
                        f"{row['key']}\n{row['ours'].get('title', '')}",
                        f"{row['theirs'].get('title', '')}\n{row['target_id']}",
                        money(row["theirs"].get("amount"), row["theirs"].get("currency")),
                        "; ".join(row["evidence"]),
                        "; ".join(row["against"]),
                    )
                    for row in some[:SHOWN]
                ],
            )
        )
    return shown


def _standing(counts: Sequence[dict[str, Any]]) -> RenderableType:
    rows = [
        (
            row["connection"],
            row["entity"],
            row["chosen"],
            row["unsure"],
            row["approved"],
            row["rejected"],
            row["how"] if row["opened_at"] else Text("no: nothing is made there yet", style="red"),
        )
        for row in counts
    ]
    return table(
        "Going live",
        ("target", "entity", "chosen#", "unsure#", "linked#", "rejected#", "open"),
        rows,
        empty="Nothing was proposed yet: `tieout link propose`.",
    )


def _decided(app: App, done: str, decided: Decided, then: str) -> Report:
    app.outcome = ExitCode.NEWLY_DEAD if decided.refused else ExitCode.DONE
    shown: list[RenderableType] = [
        f"{done}: {decided.done}. {then if decided.done else 'Nothing else matched: see `tieout link list`.'}"
    ]
    if decided.refused:
        rows = [(each.entity, each.key, each.target_id, each.reason) for each in decided.refused]
        shown.append(table("Not done", ("entity!", "key", "record", "why"), rows[:SHOWN]))
    return Report(
        data={
            "decided": decided.done,
            "differing": decided.differing,
            "refused": [
                {"entity": each.entity, "key": each.key, "target_id": each.target_id, "reason": each.reason}
                for each in decided.refused
            ],
        },
        shown=shown,
        exit_code=app.outcome,
    )


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "proposal"}
