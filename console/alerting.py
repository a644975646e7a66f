"""Telling people who do not look: `alerts list`, `alerts send`, `alerts test`."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any

import click
import psycopg
from rich.console import RenderableType
from rich.text import Text

from cdc import alert_watch, alerts, installation
from console.frame import App, Listing, command
from console.report import Report, counted, minute, table, verdict
from tieout.errors import ConfigurationError, ExitCode, LockHeld, TieoutError
from tieout.events import Event, emit
from tieout.notify import channels

NO_CHANNEL = (
    "No address is set: TIEOUT_ALERTS__URLS, or [alerts] urls in the settings. Events are kept all the same."
)


@click.group("alerts", cls=Listing)
def alerts_group() -> None:
    """Mail, chat or webhook when something needs a person: once an event, again when it has doubled, and when it is over.

    Example: tieout alerts

    `tieout sync` sends them at its end. Run `tieout alerts send` from a scheduler too, so that a `sync` that fails or never
    runs is noticed.
    """


@command("list")
@click.option(
    "--days",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Also events that ended in so many days.",
)
def list_alerts(app: App, days: int = 0) -> Report:
    """List what people are alerted of, and who heard it.

    Example: tieout alerts list --days 7
    """
    with app.database.connect() as session:
        found = alerts.events(session, days=days)
        failing = alerts.failing_channels(session)
    shown: list[RenderableType] = [
        table(
            "Alerts",
            ("since (UTC)", "what, and what to type (→)", "who", "told#", "heard by", "over"),
            [
                (
                    minute(row["began_at"]),
                    Text.assemble(row["condition"]["what"], (f"\n→ {row['condition']['command']}", "green")),
                    row["condition"]["who"],
                    row["messages"],
                    ", ".join(row["channels"]),
                    minute(row["over_at"]),
                )
                for row in found
            ],
            empty="No alert: nothing needs a person, as far as `tieout alerts send` has looked.",
            lines=1,
        ),
        *_failing(failing),
    ]
    if not app.settings.alerts.urls:
        shown.append(Text(NO_CHANNEL, style="yellow"))
    return Report(data={"alerts": found, "failing_channels": failing}, shown=shown)


@command("send")
def send(app: App) -> Report:
    """Look what needs a person, and tell what is new, has doubled, or is over.

    Example: tieout alerts send

    A channel that fails does not change the exit code of `sync`; here it is 4, and the next run tries again.
    """
    told = tell(app)
    shown: list[RenderableType] = [
        f"{counted(told.open, 'event')}: {told.new} new, {told.worse} worse, {told.over} over; "
        f"{counted(told.delivered, 'message')} delivered."
    ]
    shown += [Text(f"{name} {why}", style="red") for name, why in sorted((told.failing or {}).items())]
    if not app.settings.alerts.urls:
        shown.append(Text(NO_CHANNEL, style="yellow"))
    code = ExitCode.LATER if told.failing else ExitCode.DONE
    return Report(data=_data(told), shown=shown, exit_code=code)


@command("test")
def test(app: App) -> Report:
    """Send a test message to every address, and say which took it.

    Example: tieout alerts test
    """
    found = channels(app.settings.alerts.urls)
    if not found:
        raise ConfigurationError("There is no address to send to.", cure=NO_CHANNEL)
    title = f"[tieout {app.settings.environment}] Test"
    results = {
        each.name: each.send(title, "Alerts of tieout arrive here. Nothing is to be done.", "info")
        for each in found
    }
    good = not any(results.values())
    rows = [(name, error is None, error or "took it") for name, error in results.items()]
    return Report(
        data={"ok": good, "channels": results},
        shown=[
            table("Alerts", ("channel!", "ok", "result"), rows),
            verdict(good, "Every channel took it." if good else "Not every channel took it."),
        ],
        exit_code=ExitCode.DONE if good else ExitCode.PERSON,
    )


for each in (list_alerts, send, test):
    alerts_group.add_command(each)


def tell(app: App) -> alerts.Told:
    """Look and tell. Raises what stops it: LockHeld, ConfigurationError, the database's errors."""
    found_channels = channels(app.settings.alerts.urls)
    with app.database.connect() as session:
        ends = partial(alert_watch.login_ends, settings=app.settings, vault=app.vault)
        problem = installation.problem(session, app.settings)
        found = alert_watch.conditions(session, app.settings, login_ends=ends, problem=problem)
    return alerts.send(app.database, found, found_channels, environment=app.settings.environment)


def tell_quietly(app: App) -> dict[str, Any]:
    """The same at the end of `sync`, which no alert may fail: what went wrong is an event, and `status` shows it."""
    try:
        return _data(tell(app))
    except LockHeld:
        return {}
    except (TieoutError, psycopg.Error) as error:
        emit(Event.ALERT_FAILED, channel=alerts.ALL, error=str(error))
        with contextlib.suppress(TieoutError, psycopg.Error):
            # Where the database is the trouble it cannot be kept there either; the event has told it.
            alerts.note_failure(app.database, str(error))
        return {"error": str(error)}


def _data(told: alerts.Told) -> dict[str, Any]:
    return {
        "open": told.open, "new": told.new, "worse": told.worse, "over": told.over, "delivered": told.delivered,
        "failing": dict(told.failing or {}),
    }  # fmt: skip


def _failing(rows: list[dict[str, Any]]) -> list[RenderableType]:
    return [
        Text(
            f"{row['channel']} {row['last_error']} since {minute(row['failing_since'])} UTC ({row['failures']} times)",
            style="red",
        )
        for row in rows
    ]
