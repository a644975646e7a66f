"""What a past build was made of is kept, each text once."""

from __future__ import annotations

from cdc.build_texts import above, changed_between, parts_of, texts_of, versions
from tests.db.fix_build import Place


def test_the_sql_and_lookups_of_a_build_are_kept_and_equal_ones_only_once(built: Place):
    before = built.rows("select build from cdc.builds where switched_at is not null")[0]["build"]
    texts = built.rows("select count(*) as n from cdc.build_texts")[0]["n"]
    lookup = next(built.project.glob("models/lookups/*.csv"))
    lookup.write_text(lookup.read_text(encoding="utf-8").rstrip() + "\nnew,999\n", encoding="utf-8")

    made = built.build()

    with built.database.connect() as session:
        old, new = parts_of(session, before), parts_of(session, made.build)
        kept = texts_of(session, new.values())
        outbound = session.execute(
            "select model from cdc.models where kind = 'outbound' order by model"
        ).fetchall()
    changed = changed_between(old, new, *(row["model"] for row in outbound))
    assert built.rows("select count(*) as n from cdc.build_texts")[0]["n"] == texts + 1
    assert changed == [f"lookup {lookup.stem}"]
    assert '"999"' in kept[new[f"lookups.{lookup.stem}"].hash]
    reader = next(
        row["model"] for row in outbound if lookup.stem in {p.name for p in above(new, row["model"])}
    )
    was, now = versions(old, reader), versions(new, reader)
    assert was is not None
    assert now is not None
    assert was.mapping == now.mapping
    assert was.lookups != now.lookups
