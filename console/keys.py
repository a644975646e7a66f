"""`vault`: the key that tokens and secrets are encrypted with."""

from __future__ import annotations

from pathlib import Path

import click

from console.frame import App, command
from console.report import Report


@click.group("vault")
def vault() -> None:
    """Look after the key that tokens are encrypted with.

    Example: tieout vault rotate
    """


@command("rotate")
@click.option(
    "--old-key-file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A file with the former key, where TIEOUT_VAULT_KEY is the new one (or set TIEOUT_VAULT_OLD_KEY).",
)
def rotate(app: App, old_key_file: Path | None) -> Report:
    """Encrypt all tokens with a new key, and forget the old one once that is done.

    Example: tieout vault rotate

    Safe to stop anywhere and to repeat. Without TIEOUT_VAULT_KEY the new key is made here, in the file vault.key of the
    data folder. With it, set TIEOUT_VAULT_KEY to the new key and TIEOUT_VAULT_OLD_KEY to the former one first, wherever
    tieout runs. Backups from before hold tokens by the former key: keep it as long as them, or log in again after a restore.
    """
    with app.run("vault rotate"):
        count = app.vault.rotate(old_key_file=old_key_file)
    where = (
        "TIEOUT_VAULT_KEY; TIEOUT_VAULT_OLD_KEY may go now"
        if app.settings.vault_key
        else f"{app.settings.data_dir / 'vault.key'}"
    )
    return Report(
        data={"secrets": count},
        shown=[
            f"{count} {'secret is' if count == 1 else 'secrets are'} encrypted with the new key ({where})."
        ],
    )


vault.add_command(rotate)
