"""What recipes need on this machine: a `tieout` to call, stubs that end with a code, the folders of a set of books."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.acceptance.fix_setup import write_settings
from tests.acceptance.fix_world import World
from tieout.settings import package_root

RECIPES = package_root() / "recipes"
SECRETS = {
    "database.url": "TIEOUT_DATABASE__URL",
    "vault.key": "TIEOUT_VAULT_KEY",
    "shop.secret": "TIEOUT_CONNECTIONS__SHOP__ACCESS_TOKEN_SECRET",
    "books.secret": "TIEOUT_CONNECTIONS__BOOKS__CLIENT_SECRET",
}
"""The files of a set of books, and what each is the value of."""


def install(folder: Path) -> Path:
    """A folder with the commands of the recipes, as /opt/tieout/bin of a user has."""
    folder.mkdir(parents=True)
    tieout = f'#!/bin/sh\nPYTHONPATH={package_root()} exec {sys.executable} -m console "$@"\n'
    for name, text in {
        "tieout": tieout,
        "tieout-night": (RECIPES / "tieout-night").read_text(),
        "tieout-books": (RECIPES / "cron" / "tieout-books").read_text(),
    }.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


def stub(folder: Path, body: str) -> Path:
    """A folder whose `tieout` does this and nothing else."""
    folder = install(folder)
    (folder / "tieout").write_text(f"#!/bin/sh\n{body}\n")
    return folder


def set_up(world: World, etc: Path, names: Mapping[str, str] = SECRETS) -> None:
    """/etc/tieout/alpha of a user whose connections are connected: settings without a secret, and each secret in a file of its
    own, named by a key of `names`."""
    write_settings(world)
    told = {
        "TIEOUT_DATABASE__URL": world.database.url,
        "TIEOUT_VAULT_KEY": (world.folder / "data" / "vault.key").read_text().strip(),
        "TIEOUT_CONNECTIONS__SHOP__ACCESS_TOKEN_SECRET": world.shop.credentials["access_token_secret"],
        "TIEOUT_CONNECTIONS__BOOKS__CLIENT_SECRET": world.books.credentials["custom_client_secret"],
    }
    text = world.settings_file.read_text()
    for line in (r"url = .*", r"data_dir = .*", r"access_token_secret = .*", r"client_secret = .*"):
        text = re.sub(rf"(?m)^{line}\n", "", text, count=1)
    assert not [name for name, value in told.items() if value in text]
    (etc / "secrets").mkdir(parents=True)
    (etc / "tieout.toml").write_text(text)
    for file, variable in names.items():
        (etc / "secrets" / file).write_text(f"{told[variable]}\n")
        (etc / "secrets" / file).chmod(0o600)


def unit(name: str, **specifiers: str) -> dict[str, list[str]]:
    """A systemd unit's keys with all their values, specifiers (`%i`) replaced as systemd does."""
    found: dict[str, list[str]] = {}
    for line in (RECIPES / "systemd" / name).read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            for letter, meaning in specifiers.items():
                value = value.replace(f"%{letter}", meaning)
            found.setdefault(key, []).append(value)
    return found


def words(line: str) -> list[str]:
    """A command line as words."""
    return shlex.split(line)
