"""`tieout`: every command in the order of the pipeline."""

from __future__ import annotations

import click

from console import decide, demo, look, models, pipeline, playground, setup
from console.frame import EXIT_CODES

COMMANDS: tuple[click.Command, ...] = (
    # Setting up.
    setup.init,
    setup.migrate,
    setup.connect,
    setup.check,
    setup.pause,
    setup.resume,
    # The pipeline: load, diff, drain, marts. `sync` is all of them once.
    pipeline.load,
    models.build,
    models.plan,
    pipeline.diff,
    pipeline.drain,
    pipeline.marts,
    pipeline.sync,
    pipeline.prove,
    # Looking.
    look.status,
    look.show,
    look.why,
    look.psql,
    models.lookups,
    # Deciding.
    decide.dead_letters,
    decide.holds,
    # Trying it out.
    playground.sandbox,
    demo.demo,
)


@click.group(
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


for each in COMMANDS:
    main.add_command(each)
