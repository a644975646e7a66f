"""`tieout sandbox`: stand-ins for the vendors' APIs, to try things on."""

from __future__ import annotations

from pathlib import Path

import click

from console import stands
from console.frame import App, command
from console.report import Report, facts, table


@click.group()
def sandbox() -> None:
    """Start, find and stop stand-ins for Magento and Xero.

    Example: tieout sandbox start --json

    They are real HTTP servers on this machine, as strict as the vendors. Point any client at them. They keep their
    state in memory until they are stopped.
    """


_folder = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to keep their addresses and logs (default: `sandbox` in the data folder).",
)


@command(
    "start",
    help="Start both stand-ins and print addresses and credentials.\n\nExample: tieout sandbox start --json",
)
@_folder
@click.option(
    "--unlimited",
    is_flag=True,
    help="Lift Xero's limits a minute and a day, as for a new connection of a higher tier.",
)
def start(app: App, folder: Path | None, unlimited: bool) -> Report:
    """Start what does not run yet."""
    options = {"xero": {"minute": None, "day": None}} if unlimited else {}
    place = _place(app, folder)
    return _report(stands.start(place, options=options), place)


@command("status", help="Show which stand-ins run, and where.\n\nExample: tieout sandbox status")
@_folder
def status(app: App, folder: Path | None) -> Report:
    """Those that are alive."""
    place = _place(app, folder)
    return _report(stands.status(place), place)


@command("stop", help="Stop the stand-ins; their state is forgotten.\n\nExample: tieout sandbox stop")
@_folder
def stop(app: App, folder: Path | None) -> Report:
    """Stop them."""
    stopped = [each.system for each in stands.stop(_place(app, folder))]
    return Report(data={"stopped": stopped}, shown=[f"Stopped: {', '.join(stopped) or 'none ran'}."])


for each in (start, status, stop):
    sandbox.add_command(each)


def _place(app: App, folder: Path | None) -> Path:
    return folder or app.settings.data_dir / "sandbox"


def _report(standing: list[stands.Standing], place: Path) -> Report:
    data = {
        each.system: {
            "address": each.address,
            "credentials": dict(each.credentials),
            "process_id": each.process_id,
        }
        for each in standing
    }
    shown = [
        table(
            "Stand-ins",
            ("system", "address", "process#"),
            [(each.system, each.address, each.process_id) for each in standing],
            empty=f"None runs of those in {place}. Start them with `tieout sandbox start`.",
        )
    ]
    shown += [
        facts(f"Credentials of the {each.system} stand-in", dict(each.credentials)) for each in standing
    ]
    return Report(data=data, shown=shown)
