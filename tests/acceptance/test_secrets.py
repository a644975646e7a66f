"""A trade done with the least privilege: the loader's role loads, the writer's role writes, the reader's role reads. Faults,
a changed key and a backup on the way. Afterwards every table and column, every line of the log, every answer, every file and
the backup are searched for the secrets of both connections.

The entries of the trade are those of the separate ledger (`tests/ledger`): one invoice and one payment an order,
Dr Accounts Receivable, Cr Sales, Cr Shipping, Cr GST; Dr the gateway's clearing account, Cr Accounts Receivable.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.acceptance.fix_world import World
from tieout import backup
from tieout.db import Database
from tieout.roles import grant_roles
from tieout.settings import Settings
from tieout.vault import KEY_FILE, Vault

HOOK = "password-of-the-chat-4711"
LOADER, WRITER, READER = "tieout_loader", "tieout_writer", "tieout_reader"


@pytest.fixture(scope="module")
def said(world: World) -> list[str]:
    """All that the commands printed and logged."""
    lines: list[str] = []
    with world.database.connect() as session:
        grant_roles(session)  # a copied database has lost what was granted on the database itself

    def run(role: str | None, *arguments: str, codes: tuple[int, ...] = (0, 5)) -> dict[str, Any]:
        with acting_as(world, role):
            ended = world.run(*arguments, codes=codes)
        lines.extend((json.dumps(ended.data, default=str), ended.said))
        return ended.data

    # Alerts go to an address with a password, where nobody listens.
    told_at = f'[alerts]\nurls = ["json://me:{HOOK}@127.0.0.1:9/"]\n'
    world.settings_file.write_text(
        world.settings_file.read_text(encoding="utf-8") + told_at, encoding="utf-8"
    )
    world.play(6, seed=3)
    run(LOADER, "connect", "shop")
    run(LOADER, "connect", "books")
    world.fault(world.books, "expired_token", "GET", "Contacts")
    world.fault(world.shop, "500_before", "GET", "orders")
    run(LOADER, "load")
    run(WRITER, "diff")
    run(WRITER, "link", "propose")
    run(WRITER, "link", "approve", "--reason", "first run")
    for pair in run(WRITER, "link", "list")["proposals"]:
        run(WRITER, "link", "reject", pair["key"], "--reason", "not the same")
    run(WRITER, "diff")
    run(WRITER, "plan", "--save")
    run(WRITER, "holds", "approve", "--reason", "first run")
    world.fault(world.books, "expired_token", "PUT", "Invoices")
    run(WRITER, "drain", codes=(0, 4, 5))
    run(None, "vault", "rotate")
    run(WRITER, "sync", codes=(0, 4, 5))
    run(WRITER, "alerts", "test", codes=(3,))
    run(WRITER, "status")
    run(None, "audit", "verify")
    run(None, "backup", str(world.folder / "kept.dump"))
    run(WRITER, "check", codes=(0, 3))
    return lines


@contextmanager
def acting_as(world: World, role: str | None) -> Iterator[None]:
    """Commands log in to the database with no more than a role may."""
    with pytest.MonkeyPatch.context() as patch:
        if role is not None:
            patch.setenv("TIEOUT_DATABASE__URL", make_conninfo(world.database.url, options=f"-c role={role}"))
        yield


def secrets(world: World) -> dict[str, str]:
    """Every secret of this world by what it is."""
    settings = Settings.load(world.settings_file)
    vault = Vault(world.database, settings)
    with world.database.connect() as session:
        names = [row["name"] for row in session.execute("select name from cdc.vault")]
    shop, books = world.shop.credentials, world.books.credentials
    found = {
        "consumer secret": shop["consumer_secret"],
        "access token of the shop": shop["access_token"],
        "token secret": shop["access_token_secret"],
        "client secret": books["custom_client_secret"],
        "password of the database": str(conninfo_to_dict(world.database.url)["password"]),
        "password of the chat": HOOK,
        "key of the vault": (settings.data_dir / KEY_FILE).read_text().strip(),
    }
    for name in names:
        found[f"token {name}"] = str((vault.get(name) or {})["access_token"])
    return found


def test_the_least_privilege_is_enough_for_the_whole_trade(world: World, said: list[str]) -> None:
    assert said
    wanted, found = world.ledgers()
    assert found == wanted
    assert world.rows(
        "select count(*) as number from cdc.links where entity = 'payments' and target_id is not null"
    ) != [{"number": 0}]
    with acting_as(world, READER), Database(os.environ["TIEOUT_DATABASE__URL"]).connect() as session:
        assert session.execute("select count(*) as number from marts.receivables").fetchone() != {"number": 0}
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("select 1 from staging.xero__invoices")


def test_no_secret_reaches_a_table_a_line_of_the_log_an_answer_or_a_file(
    world: World, said: list[str]
) -> None:
    wanted = secrets(world)
    assert len(wanted) == 8
    assert all(len(secret) >= 12 for secret in wanted.values())
    forms = {
        (what, form): text
        for what, secret in wanted.items()
        for form, text in (
            ("plain", secret),
            ("in a URL", quote(secret, safe="")),
            ("in bytes", secret.encode().hex()),
        )
    }

    places = [f"said: {what}" for what, text in forms.items() if any(text in line for line in said)]
    with world.database.connect() as session:
        tables = session.execute(
            "select table_schema, table_name from information_schema.tables"
            " where table_schema not in ('pg_catalog', 'information_schema') and table_type = 'BASE TABLE'"
        ).fetchall()
        assert len(tables) > 50
        for row in tables:
            table = sql.Identifier(row["table_schema"], row["table_name"])
            statement = sql.SQL(
                "select secret from unnest(%s::text[]) as secret where exists"
                " (select 1 from {table} as one where strpos(one::text, secret) > 0)"
            ).format(table=table)
            found = session.execute(statement, [list(forms.values())]).fetchall()
            places += [f"{row['table_schema']}.{row['table_name']}: {each}" for each in found]
    kept = world.folder / "kept.dump"
    program = backup._program(Settings.load(world.settings_file), "pg_restore", 18)
    script = subprocess.run(
        [program, "--file=-", str(kept)], capture_output=True, text=True, check=True
    ).stdout
    assert "COPY cdc.calls" in script
    files = [path for path in world.folder.rglob("*") if path.is_file()]
    known = {world.settings_file, Settings.load(world.settings_file).data_dir / KEY_FILE}
    texts = {str(path): path.read_bytes().decode("latin-1") for path in files if path not in known}
    for name, text in (texts | {"the backup": script}).items():
        places += [f"{name}: {what}" for what, secret in forms.items() if secret in text]

    assert places == []


def test_a_database_that_was_put_back_lets_the_roles_in_again(world: World, said: list[str]) -> None:
    assert said
    world.run("restore", str(world.folder / "kept.dump"), "--replace")

    with acting_as(world, READER), Database(os.environ["TIEOUT_DATABASE__URL"]).connect() as session:
        assert session.execute("select count(*) as number from marts.receivables").fetchone() != {"number": 0}


def test_the_search_would_find_a_secret(world: World, said: list[str]) -> None:
    """The proof of the test: a token in one field of one record is found."""
    assert said
    token = world.shop.credentials["access_token"]
    with world.database.connect() as session:
        session.execute(
            "update cdc.runs set arguments = jsonb_build_object('deep', jsonb_build_array(%s::text))", [token]
        )
        found = session.execute(
            "select 1 from cdc.runs as one where strpos(one::text, %s) > 0", [token]
        ).fetchall()

    assert found
    assert Path(world.settings_file).read_text(encoding="utf-8").count(token) == 1
