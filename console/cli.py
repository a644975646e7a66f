"""`tieout`: every command in the order of the pipeline."""

from __future__ import annotations

from collections.abc import Mapping

import click

from console import (
    alerting,
    auditing,
    conflicts,
    decide,
    demo,
    drift,
    forgetting,
    keys,
    linking,
    look,
    models,
    pipeline,
    playground,
    recovery,
    retaining,
    reversing,
    running,
    saved,
    setup,
    status,
)
from console.frame import EXIT_CODES, Sections

COMMANDS: Mapping[str, tuple[click.Command, ...]] = {
    "Setting up": (
        setup.init,
        setup.migrate,
        setup.connect,
        setup.check,
        setup.pause,
        setup.resume,
        keys.vault,
    ),
    "The pipeline: load, diff, drain, marts (`sync` is all of them once, `run` all the time)": (
        pipeline.load,
        models.build,
        models.plan,
        pipeline.diff,
        pipeline.drain,
        pipeline.marts,
        pipeline.sync,
        running.run,
        pipeline.prove,
    ),
    "Looking": (
        status.status,
        alerting.alerts_group,
        look.show,
        look.why,
        drift.drift,
        look.psql,
        reversing.runs,
        models.lookups,
    ),
    "Deciding": (
        saved.plans,
        decide.dead_letters,
        decide.holds,
        conflicts.conflicts,
        drift.correct,
        reversing.reverse,
        linking.link,
    ),
    "Auditing": (auditing.audit, forgetting.forget, retaining.retain),
    "Backup and recovery": (recovery.backup, recovery.restore, recovery.recover),
    "Trying it out": (playground.sandbox, demo.demo),
}


@click.group(
    cls=Sections,
    context_settings={
        "auto_envvar_prefix": "TIEOUT",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 110,
    },
    epilog=EXIT_CODES,
)
@click.version_option(package_name="tieout")
def main() -> None:
    """Keep accounting and operations in step, and prove it to the cent.

    Example: tieout demo
    """


assert isinstance(main, Sections)  # noqa: S101 (click types a group with a class of its own as Group)
for title, commands in COMMANDS.items():
    main.add_section(title, commands)
