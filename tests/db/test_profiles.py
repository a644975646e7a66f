"""What profiles see of a program's statements."""

from __future__ import annotations

from bench.profiles.statements import metered
from tieout.db import Database, next_version


def test_every_statement_is_counted_while_they_are_metered(database: Database) -> None:
    with database.connect() as session:
        with metered() as seen, session.transaction():
            next_version(session)
            next_version(session)
        next_version(session)
    calls = {name: spent.calls for name, spent in seen.spent.items() if spent.calls}
    assert calls == {"begin": 1, "database.next_version": 2, "commit": 1}
    assert seen.spent["database.next_version"].waited > 0
    assert seen.rows(2, scale=1e3)[-1][:2] == ["all", "2"]
