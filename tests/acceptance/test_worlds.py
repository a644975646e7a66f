"""What keeps the suite fast must not hide what a user would meet: a world knows nothing of the one that had its database before."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.fix_setup import new_world
from tests.acceptance.fix_world import World

TABLES = "select schemaname, tablename from pg_tables where schemaname !~ '^(pg_|information_schema)' order by 1, 2"


def everything(world: World) -> dict[str, object]:
    """A digest of each table, and where each sequence stands."""
    found: dict[str, object] = {
        f"{row['schemaname']}.{row['sequencename']}": row["last_value"]
        for row in world.rows("select schemaname, sequencename, last_value from pg_sequences")
    }
    for row in world.rows(TABLES):
        name = f"{row['schemaname']}.{row['tablename']}"
        (told,) = world.rows(
            f"select md5(string_agg(t::text, ' ' order by t::text)) as rows from {name} as t"
        )
        found[name] = told["rows"]
    return found


def test_a_world_finds_its_database_as_new_unless_more_than_rows_changed_in_it(
    server_url: str, built: str, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("first", "second", "third")]
    for folder in folders:
        folder.mkdir()

    with new_world(server_url, built, folders[0]) as first:
        new = everything(first)
        first.run("connect", "shop")
        first.rows("update lookups.routes set deposits = 'prepayment' returning 1 as changed")
        first.rows("delete from cdc.models returning 1 as gone")
        with first.database.connect() as session:
            session.execute("create table marts.left_over as select nextval('cdc.version') as number")
        used = everything(first)
    with new_world(server_url, built, folders[1]) as second:
        again = everything(second)
        with second.database.connect() as session:
            session.execute("create index left_over on cdc.links (generation)")
    with new_world(server_url, built, folders[2]) as third:
        anew = everything(third)

    assert first.database == second.database != third.database
    assert used != new == again == anew
