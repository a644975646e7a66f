"""`backup`, `restore`, `recover`: what an operator types when a machine or a database was lost."""

from __future__ import annotations

from pathlib import Path

import click

from cdc import recover as recoverer
from console.frame import App, command, progress
from console.report import Report, about, facts, table, verdict, worst
from console.setup import person
from tieout import backup as backups
from tieout.errors import ExitCode, MigrationMismatch
from tieout.migrate import check_migrated
from tieout.roles import grant_roles

_file = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))


@command("backup")
@_file
def backup(app: App, file: Path) -> Report:
    """Write the whole database to a file, while everything goes on.

    Example: tieout backup /backups/tieout-2026-11-21.dump

    The file is pg_dump's own format; FILE.json beside it says what it is. The vault's key is not in it: keep that apart.
    """
    manifest = backups.back_up(app.settings, app.database, file)
    key = backups.key_place(app.settings)
    return Report(
        data={
            "file": str(file),
            "bytes": manifest.bytes,
            "installation": manifest.installation,
            "last_call": manifest.last_call,
            "made_at": manifest.made_at,
            "vault_key": key,
        },
        shown=[
            facts(
                f"Wrote {file}",
                {
                    "bytes": f"{manifest.bytes:,}",
                    "last call": manifest.last_call,
                    "installation": manifest.installation or "nothing was written from it yet",
                    "described in": str(backups.beside(file)),
                },
            ),
            f"Not in it: the vault's key ({key}), without which every login must be made again; the settings file; your own "
            "models and lookups. Keep them too, and the key apart from this file.",
        ],
    )


@command("restore")
@_file
@click.option("--replace", is_flag=True, help="Drop for good what stands in the database now.")
def restore(app: App, file: Path, replace: bool) -> Report:
    """Put a backup into the database of the settings; nothing is written to targets until `tieout recover`.

    Example: tieout restore /backups/tieout-2026-11-21.dump

    All or nothing: when it fails the database is as it was. A database that is not empty is refused without --replace.
    """
    with progress("restore"):
        manifest = backups.put_back(app.settings, app.unchecked_database, file, replace=replace)
    next_steps = "`tieout recover`"
    try:
        with app.unchecked_database.connect() as session:
            check_migrated(session)
            # A backup knows no rights: roles belong to the server.
            grant_roles(session)
    except MigrationMismatch:
        next_steps = "`tieout migrate`, then `tieout recover`"
    made = f"{manifest.made_at} (call {manifest.last_call})" if manifest else "nobody knows when: no .json"
    return Report(
        data={
            "file": str(file),
            "made_at": manifest.made_at if manifest else None,
            "last_call": manifest.last_call if manifest else None,
            "next": next_steps.replace("`", ""),
        },
        shown=[
            facts(f"Put back {file}", {"made": made, "vault key": backups.key_place(app.settings)}),
            f"Next: {next_steps}. Logins that were renewed since the backup are worth nothing any more: `tieout connect` again "
            "where it is asked for.",
        ],
    )


@command("recover")
@click.option("--join", is_flag=True, help="The database is in order; let this machine write too.")
@click.option("--anyway", is_flag=True, help="Compare with the targets although nothing speaks against it.")
def recover(app: App, join: bool, anyway: bool) -> Report:
    """Rebuild the links from what the targets hold, after a restore, a failover or a copy.

    Example: tieout recover

    Reads the targets wholly, links what is ours, shows what stands there twice, and holds the rest for a yes. Writes to no
    target. Killed or stopped by a login, it goes on when it is run again. What happened and what to type: docs/recovery.md.
    """
    with app.run("recover", {"join": join, "anyway": anyway}) as run, progress("recover") as tell:
        if join:
            installation = recoverer.join(app.database, app.settings, by=person(), run=run)
            return Report(
                data={"installation": installation, "joined": True},
                shown=["This machine may write from this database now, beside the others."],
            )
        done = recoverer.recover(
            app.database, app.settings, by=person(), run=run, anyway=anyway, progress=tell
        )
        made = _report(done)
        app.outcome = made.exit_code
        return made


def _report(done: recoverer.Recovery) -> Report:
    columns = ("linked", "agreed", "twice", "held", "missing")
    errors = [about(each.connection, each.error) for each in done.targets if each.error is not None]
    rows = [
        (each.connection, *(getattr(each, name) for name in columns))
        for each in done.targets
        if each.error is None
    ]
    data = {
        "installation": done.installation,
        "because": done.because,
        "targets": [dict(zip(("connection", *columns), row, strict=True)) for row in rows],
        "not_compared": [each.connection for each in done.targets if each.error is not None],
    }
    if done.because is None and not done.targets:
        return Report(data=data, shown=["Nothing to recover: this is the database that wrote last."])
    held = sum(row[4] for row in rows)
    shown = [
        done.because or "An interrupted recovery was finished.",
        table(
            "Compared with the targets",
            ("target", "linked again#", "done already#", "twice#", "held#", "links to nothing#"),
            rows,
        ),
        "What people decided since (approvals, refusals, pauses) is not in the database any more.",
    ]
    if held:
        shown.append(
            verdict(False, f"{held} entries wait for a yes: `tieout holds`, then `tieout holds approve`.")
        )
    shown.append("Then `tieout prove` shows whether both sides agree.")
    return Report(data=data, shown=shown, exit_code=worst(errors) if errors else ExitCode.DONE, errors=errors)
