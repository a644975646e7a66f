"""Deciding: `dead-letters` and `holds`. Who decided what, when and why is kept with the decision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import click

from cdc import desk, letters, report
from cdc.desk import Chosen
from console.frame import App, Listing, command
from console.letters import dead_letter_groups, hold_groups, one_letter
from console.report import Report
from console.setup import person
from tieout.db import json_loads
from tieout.errors import ExitCode, UsageError

LETTERS, HOLDS = "tieout dead-letters", "tieout holds"


def _chosen(function: Callable[..., Report]) -> Callable[..., Report]:
    """The options by which entries are named, alike in every command."""
    for option in (
        click.option("--cause", help="Only those of this cause, as the list names it."),
        click.option("--model", help="Only those of this outbound model."),
        click.option("--entity", help="Only this kind of record, such as invoices."),
        click.option("--connection", help="Only this target."),
        click.argument("keys", nargs=-1),
    ):
        function = option(function)
    return function


_reason = click.option("--reason", help="Kept with the decision.")
_reason_needed = click.option("--reason", required=True, help="Kept with the decision.")


class _Verb(Protocol):
    """A decision of `cdc.desk`."""

    def __call__(self, connection: report.Session, chosen: Chosen, *, by: str, reason: str) -> int: ...


def _decide(
    app: App, verb: _Verb, done: str, then: str, reason: str | None, names: Mapping[str, Any], where: str
) -> Report:
    """Let a person's decision take effect; it is kept with who and why.

    A key or cause that nothing waits under raises UsageError. In a model, entity or target there may be nothing to do.
    """
    chosen = Chosen(**{**names, "keys": tuple(names["keys"]) or None})
    with app.database.connect() as database:
        count = verb(database, chosen, by=person(), reason=reason or "")
    words = f"{done}: {count}. {then if count else f'Nothing of it waits now: see `{where}`.'}"
    return Report(data={"decided": count}, shown=[words])


@click.group("dead-letters", cls=Listing)
def dead_letters() -> None:
    """Records that need a person: what is wrong, what to do, and who can.

    Example: tieout dead-letters

    Grouped by cause. Most cure themselves: correct the lookup, the source or the target, and the next `tieout sync`
    delivers them.
    """


@command("list")
@click.option("--cause", help="Only this cause.")
@click.option("--connection", help="Only this target.")
def list_dead(app: App, cause: str | None = None, connection: str | None = None) -> Report:
    """List dead letters by cause.

    Example: tieout dead-letters list --json
    """
    with app.database.connect() as database:
        groups = report.dead_letters(database, target=connection, cause=cause)
    return Report(
        data={
            "dead_letters": sum(group.count for group in groups),
            "groups": [_group(group) for group in groups],
        },
        shown=dead_letter_groups(groups, is_chosen=bool(cause or connection)),
    )


@command("show")
@_chosen
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Letters at most, the oldest first.",
)
def show_dead(app: App, limit: int, **names: Any) -> Report:
    """Show dead letters whole: the record, which model and lookup gave each field, the request, the answer, the cure.

    Example: tieout dead-letters show shop/order/17/1
    """
    with app.database.connect() as database:
        found = letters.letters(
            database, keys=names["keys"], target=names["connection"], entity=names["entity"], model=names["model"],
            cause=names["cause"], limit=limit,
        )  # fmt: skip
    shown = [part for letter in found for part in one_letter(letter)]
    told = [{**_slots(letter), "fields": [_slots(each) for each in letter.fields]} for letter in found]
    if found or not (names["keys"] or names["cause"]):
        return Report(data={"letters": told}, shown=shown or ["No dead letters."])
    return Report(
        data={"letters": told},
        shown=[
            f"No such dead letter: `{LETTERS}` lists them, and `tieout why KEY` says what became of a record."
        ],
        exit_code=ExitCode.USAGE,
    )


@command("retry")
@_chosen
@_reason
def retry(app: App, reason: str | None, **names: Any) -> Report:
    """Send dead letters once more as they are, after the cause was removed at the target.

    Example: tieout dead-letters retry --cause "account unknown"
    """
    return _decide(app, desk.retry, "To be sent again", "Next: `tieout drain`.", reason, names, LETTERS)


@command("discard")
@_chosen
@_reason_needed
def discard(app: App, reason: str | None, **names: Any) -> Report:
    """Give dead letters up; the same content is not offered again.

    Example: tieout dead-letters discard shop/order/17/1 --reason "booked by hand"
    """
    then = "A change at the source makes a new entry."
    return _decide(app, desk.discard, "Given up", then, reason, names, LETTERS)


@command("edit")
@click.argument("key")
@click.argument("path")
@click.argument("value")
@click.option("--connection", help="Where the key names several records.")
@click.option("--entity", help="The same.")
@_reason_needed
def edit(
    app: App, key: str, path: str, value: str, connection: str | None, entity: str | None, reason: str
) -> Report:
    """Override one field of a record from now on and try it again; VALUE is JSON, null takes the override back.

    Example: tieout dead-letters edit shop/order/17/1 DueDate '"2026-11-30"' --reason "agreed by phone"

    PATH is a field of the record, or of one of its lines as `tieout plan KEY` shows it: LineItems[13].AccountCode.
    """
    try:
        parsed = json_loads(value)
    except ValueError as error:
        raise UsageError(
            f"{value!r} is not JSON.", cure="Text stands in double quotes inside single ones: '\"text\"'."
        ) from error
    with app.database.connect() as database:
        cure = desk.edit(
            database, key, path, parsed, by=person(), reason=reason, target=connection, entity=entity
        )
    words = f"{path} is {value} from now on" if parsed is not None else f"the edit of {path} is taken back"
    return Report(
        data={"key": key, "path": path, "value": parsed, "still_to_cure": cure},
        shown=[
            f"{key}: {words}. Next: `tieout diff`, then `tieout drain` sends it."
            if cure is None
            else f"{key}: {words}. It stays held all the same, until its model has nothing to object: {cure}"
        ],
    )


@click.group("holds", cls=Listing)
def holds() -> None:
    """Entries that wait for a yes: first runs, changes to settled documents, floods.

    Example: tieout holds
    """


@command("list")
@click.option("--connection", help="Only this target.")
def list_holds(app: App, connection: str | None = None) -> Report:
    """List what is held, by model and reason.

    Example: tieout holds list
    """
    with app.database.connect() as database:
        groups = report.holds(database, target=connection)
    return Report(
        data={"held": sum(group.count for group in groups), "groups": [_group(group) for group in groups]},
        shown=hold_groups(groups, is_chosen=connection is not None),
    )


_plan = click.option("--plan", metavar="HASH", help="Only entries of this saved plan, as they were planned.")


@command("approve")
@_chosen
@_plan
@_reason
def approve(app: App, reason: str | None, **names: Any) -> Report:
    """Let held entries go as they are; another content needs another yes.

    Example: tieout holds approve --model out_xero__invoices

    Without a name: all that first runs and limits hold, and nothing that is held for a reason of its own. With --plan: what the
    plan shows as waiting for a yes, in whole or by key; nothing when any of it has another content by now.
    """
    return _decide(app, desk.approve, "Approved", "Next: `tieout drain`.", reason, names, HOLDS)


@command("refuse")
@_chosen
@_plan
@_reason_needed
def refuse(app: App, reason: str | None, **names: Any) -> Report:
    """Do not send held entries; the same content is not offered again.

    Example: tieout holds refuse shop/order/17/1 --reason "test order"

    With --plan: also what would be sent without a yes, in whole or by key; the rest of the plan can still be sent.
    """
    then = "A change at the source makes a new entry."
    return _decide(app, desk.refuse, "Refused", then, reason, names, HOLDS)


@command("accept-as-is")
@_chosen
@_reason_needed
def accept_as_is(app: App, reason: str | None, **names: Any) -> Report:
    """Make the target's present state the agreed one.

    Example: tieout holds accept-as-is shop/order/17/1 --reason "recoded by the accountant"
    """
    return _decide(
        app,
        desk.accept_as_is,
        "Accepted as they are",
        "The target's values are the agreed ones now.",
        reason,
        names,
        HOLDS,
    )


for each in (list_dead, show_dead, retry, discard, edit):
    dead_letters.add_command(each)
for each in (list_holds, approve, refuse, accept_as_is):
    holds.add_command(each)


def _slots(each: object) -> dict[str, Any]:
    return {name: getattr(each, name) for name in each.__dataclass_fields__}  # type: ignore[attr-defined]


def _group(group: report.Group) -> dict[str, Any]:
    return {
        "connection": group.connection, "entity": group.entity, "cause": group.cause, "count": group.count, "money": dict(group.money),
        "oldest": group.oldest, "who": group.who, "reason": group.reason, "cure": group.cure, "model": group.model,
        "held_for": group.held_for, "operation": group.operation, "keys": list(group.keys),
    }  # fmt: skip
