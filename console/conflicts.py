"""`conflicts`: fields that both sides changed, or that go to and fro. One decision settles a field on both sides."""

from __future__ import annotations

from typing import Any

import click

from cdc import conflicts as waiting
from cdc.conflicts import Conflict, FieldRule, Moved
from console.frame import App, Listing, command
from console.report import Report, short, table, verdict
from console.setup import person
from tieout.db import json_loads


@click.group("conflicts", cls=Listing)
def conflicts() -> None:
    """Fields that both sides changed differently: what was agreed, what each side says, and how to settle it.

    Example: tieout conflicts

    Only the field waits: the rest of its record travels. What only one side changed is no conflict, nor what both changed alike.
    """


@command("list")
@click.option("--connection", help="Only this target.")
@click.option("--entity", help="Only this kind of record, such as contacts.")
def list_conflicts(app: App, connection: str | None = None, entity: str | None = None) -> Report:
    """List fields that wait, with three values and who changed them when.

    Example: tieout conflicts list --json
    """
    with app.database.connect() as database:
        found = waiting.conflicts(database, connection=connection, entity=entity)
    if not found:
        return Report(
            data={"conflicts": []},
            shown=[verdict(True, "No field waits: both sides agree, or one of them has the word.")],
        )
    return Report(
        data={"conflicts": [_data(each) for each in found]},
        shown=[
            table(
                "Fields that wait for a decision",
                ("key", "field!", "agreed", "source", "target", "why, and the rules"),
                [
                    (
                        each.key,
                        each.field,
                        _value(each.agreed),
                        f"{_value(each.source)}\n{each.source_connection}{_told(each.source_moved)}",
                        f"{_value(each.target)}\n{each.connection}{_told(each.target_moved)}",
                        f"{each.why}: {_rules(each)}",
                    )
                    for each in found
                ],
            ),
            *(_advice(each) for each in found if each.is_fight),
            "Next: `tieout conflicts settle KEY --field FIELD --take source|target|VALUE`, with --keep-rule to decide so for all.",
        ],
    )  # fmt: skip


@command("settle")
@click.argument("key")
@click.option("--field", help="Only this field; without it all of the record that wait.")
@click.option(
    "--take",
    required=True,
    help="source, target, the name of one of the two connections, or a value as JSON or text.",
)
@click.option("--keep-rule", is_flag=True, help="Decide so for this field of all records from now on.")
@click.option("--connection", help="Where the key names several records.")
@click.option("--entity", help="The same.")
@click.option("--reason", required=True, help="Kept with the decision.")
def settle(
    app: App,
    key: str,
    field: str | None,
    take: str,
    keep_rule: bool,
    connection: str | None,
    entity: str | None,
    reason: str,
) -> Report:
    """Settle a field on both sides. The next sync writes what was decided.

    Example: tieout conflicts settle shop/customer/17 --field Phones --take books --reason "he called us"
    """
    with app.database.connect() as database:
        count = waiting.settle(
            database, key, field=field, take=_taken(take), by=person(), reason=reason, connection=connection,
            entity=entity, keep=keep_rule,
        )  # fmt: skip
    kept = " The choice is a rule now: see `tieout conflicts rules`." if keep_rule else ""
    return Report(
        data={"settled": count, "rule_kept": keep_rule},
        shown=[f"Settled: {count}.{kept} The next `tieout sync` writes it."],
    )


@command("rules")
@click.option("--all", "also_withdrawn", is_flag=True, help="Withdrawn ones too.")
def rules(app: App, also_withdrawn: bool = False) -> Report:
    """List the rules that people kept; they come before those of the models.

    Example: tieout conflicts rules
    """
    with app.database.connect() as database:
        found = waiting.rules(database, also_withdrawn=also_withdrawn)
    return Report(
        data={"rules": [_rule(each) for each in found]},
        shown=[
            table(
                "Rules that people kept",
                ("rule#", "target", "what", "field!", "takes", "by", "since", "reason", "withdrawn"),
                [
                    (
                        each.rule, each.connection, each.entity, each.field, each.take, each.kept_by, f"{each.kept_at:%Y-%m-%d %H:%M}",
                        each.reason or "", f"{each.withdrawn_at:%Y-%m-%d %H:%M} by {each.withdrawn_by}" if each.withdrawn_at else "",
                    )
                    for each in found
                ],
                empty="None: the rules of the models hold.",
            )
        ],
    )  # fmt: skip


@command("withdraw")
@click.argument("rule", type=int)
@click.option("--reason", required=True, help="Kept with the decision.")
def withdraw(app: App, rule: int, reason: str) -> Report:
    """Take a kept rule back: the rule of the model holds again.

    Example: tieout conflicts withdraw 3 --reason "the ledger is kept by somebody else now"
    """
    with app.database.connect() as database:
        count = waiting.withdraw(database, rule, by=person(), reason=reason)
    return Report(data={"withdrawn": count}, shown=[f"Withdrawn: rule {rule}, for {count} fields."])


for _command in (list_conflicts, settle, rules, withdraw):
    conflicts.add_command(_command)


def _taken(take: str) -> Any:
    """A value may be JSON (an address); anything else is text, and a bare number stays what was typed."""
    if take[:1] in ("[", "{", '"'):
        return json_loads(take)
    return take


def _rules(each: Conflict) -> str:
    rules = f"{each.connection} says {each.rule}"
    return f"{rules}, {each.source_connection} says {each.other_rule}" if each.other_rule else rules


def _advice(each: Conflict) -> str:
    return (
        f"{each.field} of {each.key} goes to and fro between {each.source_connection} and {each.connection} ({_rules(each)}): find"
        " out what writes it there, give the field one owner in field_owners.csv, or settle it with --keep-rule."
    )


def _told(moved: Moved | None) -> str:
    if moved is None:
        return ""
    at = moved.at or moved.seen_at
    return f", {at:%Y-%m-%d %H:%M} ({moved.told_by})"


def _value(value: object) -> str:
    return short(str(value)) if value is not None else ""


def _data(each: Conflict) -> dict[str, Any]:
    return {
        "connection": each.connection, "source_connection": each.source_connection, "entity": each.entity, "key": each.key,
        "model": each.model, "field": each.field, "why": each.why, "rule": each.rule, "other_rule": each.other_rule,
        "agreed": each.agreed, "source": each.source, "target": each.target,
        "source_moved": _moved(each.source_moved), "target_moved": _moved(each.target_moved),
    }  # fmt: skip


def _moved(moved: Moved | None) -> dict[str, Any] | None:
    return None if moved is None else {"at": moved.at, "seen_at": moved.seen_at, "told_by": moved.told_by}


def _rule(each: FieldRule) -> dict[str, Any]:
    return {
        "rule": each.rule, "connection": each.connection, "entity": each.entity, "field": each.field, "take": each.take,
        "kept_at": each.kept_at, "kept_by": each.kept_by, "reason": each.reason, "withdrawn_at": each.withdrawn_at,
        "withdrawn_by": each.withdrawn_by,
    }  # fmt: skip
