"""`drift` and `correct`: what the models of today say of documents that may no longer change, with the money by account and month."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from rich.console import RenderableType

from cdc import diff as differ
from cdc import drift as drifts
from cdc import plan as planner
from cdc.desk_frozen import ask_correction
from console.frame import App, command, progress
from console.plans import plan_data, shown_entry
from console.report import Report, money, short, table, verdict
from console.setup import person
from tieout.errors import ExitCode


@command("drift")
@click.option("--connection", help="Only this target.")
@click.option("--entity", help="Only this kind of record, such as invoices.")
@click.option("--key", help="Only keys that begin so, such as shop/order/17.")
@click.option(
    "--rows",
    "limit",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Show so many documents, line by line.",
)
def drift(
    app: App, connection: str | None = None, entity: str | None = None, key: str | None = None, limit: int = 0
) -> Report:  # fmt: skip
    """Show what the models of today say differently of documents that may no longer change, with the money by account.

    Example: tieout drift --rows 5

    Nothing of it is ever sent by itself: accept it with `tieout holds accept-as-is`, or correct a document with `tieout correct`.
    """
    with app.database.connect() as database:
        found = drifts.drifting(database, connection=connection, entity=entity, key=key, limit=limit)
    is_part = (connection, entity, key) != (None, None, None)
    return Report(data=data(found), shown=[*section(found, is_part=is_part), *documents(found)])


@command("correct")
@click.argument("key")
@click.option("--connection", help="Where the key names several records.")
@click.option("--entity", help="The same.")
@click.option("--reason", required=True, help="Kept with the decision.")
def correct(app: App, key: str, connection: str | None, entity: str | None, reason: str) -> Report:
    """Propose the correction of a frozen document: a reversal and a new document. Sends nothing before it is approved.

    Example: tieout correct shop/order/17/1 --reason "services were booked as goods"

    KEY is one that `tieout drift` names. Both documents are shown by `tieout plan`, and approved together by `tieout holds approve`.
    """
    with app.database.connect() as database:
        models = ask_correction(database, key, by=person(), reason=reason, target=connection, entity=entity)
    with app.run("correct", {"key": key}) as run, progress("correct") as tell:
        differ.diff(app.database, app.settings, run=run, models=models, progress=tell)
    with app.database.connect() as database:
        found = planner.plan(database, app.settings, connection=connection, entity=entity, key=key)
    if not any(each.key == key for each in found.entries):
        # The writer has no reversal for a document like this; approving the key would approve nothing.
        return Report(
            data={"key": key, "plan": plan_data(found)},
            shown=[
                f"Nothing is proposed: no reversal can correct {key} as it stands in the target.",
                f"`tieout drift --key {key} --rows 1` shows it; `tieout holds accept-as-is {key}` accepts it as it is.",
            ],
            exit_code=ExitCode.USAGE,
        )
    return Report(
        data={"key": key, "plan": plan_data(found)},
        shown=[
            *(shown_entry(each) for each in found.entries),
            f"Next: `tieout holds approve {key}`, or refuse it.",
        ],
    )


def section(found: drifts.Drifting, *, is_part: bool = False) -> list[RenderableType]:
    """The summary, as `drift` and `plan` show it. `is_part`: there may be others."""
    if not found.total and is_part:
        return ["None of these drifts: `tieout drift` shows all."]
    if not found.total:
        return [verdict(True, "No drift: the models say of settled documents what was agreed.")]
    return [
        table(
            "Drift: frozen documents of which the models say something else now (never sent)",
            ("target", "what", "frozen, because", "documents#", "without money#"),
            [
                (group.connection, group.entity, group.frozen_because, group.documents, group.without_money)
                for group in found.groups
            ],
        ),
        table(
            "What the accounts would hold otherwise",
            ("month", "account", "side", "amount#", "in base currency#", "documents#"),
            [
                (
                    each.period or "",
                    each.account,
                    each.side,
                    money(each.amount, each.currency),
                    each.base,
                    f"{each.documents} {each.entity}",
                )
                for each in found.accounts
            ],
            empty="No account would change.",
        ),
    ]


def documents(found: drifts.Drifting) -> list[RenderableType]:
    """Each document that was asked for, field by field."""
    return [
        table(
            f"{each.entity} {each.key} of {each.document_date or 'no date'} ({each.frozen_because})",
            ("field!", "agreed", "the model says"),
            [(field.path, _value(field.agreed), _value(field.model)) for field in each.fields],
        )
        for each in found.documents
    ]


def data(found: drifts.Drifting) -> dict[str, Any]:
    """The same as data."""
    return {
        "documents": found.total,
        "groups": [
            {"connection": group.connection, "entity": group.entity, "model": group.model, "frozen_because": group.frozen_because,
             "documents": group.documents, "without_money": group.without_money, "since": group.since}
            for group in found.groups
        ],
        "accounts": [
            {"connection": each.connection, "entity": each.entity, "period": each.period, "account": each.account, "side": each.side,
             "currency": each.currency, "amount": each.amount, "base": each.base, "documents": each.documents}
            for each in found.accounts
        ],
        "rows": [_row(each) for each in found.documents],
    }  # fmt: skip


def _value(value: object) -> object:
    return short(value) if isinstance(value, str) else value


def _row(each: drifts.DocumentDrift) -> Mapping[str, Any]:
    return {
        "connection": each.connection, "entity": each.entity, "key": each.key, "target_id": each.target_id,
        "frozen_because": each.frozen_because, "document_date": each.document_date, "found_at": each.found_at,
        "fields": [{"path": field.path, "agreed": field.agreed, "model": field.model} for field in each.fields],
        "effects": [dict(one) for one in each.effects],
    }  # fmt: skip
