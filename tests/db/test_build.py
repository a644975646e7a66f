"""A build makes a whole set beside the one in force, tries it there, and switches at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cdc import switch as switching
from cdc.changes import FannedOut, fan_out
from cdc.outbound import marts_in_force, models_in_force, pin_set
from tests.db.fix_build import PROJECT, Place, with_lookups
from tieout.db import lock_key
from tieout.errors import BuildError, LockHeld, RetryLater
from tieout.settings import package_root

STAGED = "models/staging/stg_magento__orders.sql"
INVOICES = "models/outbound/out_xero__invoices.sql"


def _schemas(place: Place) -> set[str]:
    return {row["nspname"] for row in place.rows("select nspname from pg_namespace")}


def _models(place: Place) -> dict[str, dict[str, object]]:
    return {row["model"]: row for row in place.rows("select * from cdc.models")}


def test_a_first_build_puts_every_layer_in_force_and_its_models_are_new(built: Place) -> None:
    schemas = _schemas(built)
    models = _models(built)

    assert {"stg", "canonical", "outbound", "marts_live", "proofs", "lookups", "marts"} <= schemas
    assert not [name for name in schemas if name.startswith(("build__", "old__"))]
    assert set(models) == {"out_xero__contacts", "out_xero__invoices", "sales"}
    assert all(
        model["is_new"] and model["sweep_due"] and not model["is_changed"] for model in models.values()
    )


def test_the_models_in_force_are_read_back_as_they_were_built(built: Place) -> None:
    with built.database.connect() as session:
        contacts, invoices = models_in_force(session)
        (sales,) = marts_in_force(session)

    # What others refer to comes first.
    assert (contacts.name, invoices.name) == ("out_xero__contacts", "out_xero__invoices")
    assert invoices.refers_to == ("contacts",)
    assert invoices.fields == ("InvoiceNumber", "Date", "Contact")
    assert [(child.field, child.fields) for child in invoices.lines] == [
        ("LineItems", ("Description", "Quantity", "UnitAmount", "AccountCode"))
    ]
    assert invoices.rule_for_target_change("Reference") == "yield"
    assert invoices.rule_for_target_change("Date") == "hold"
    assert [(rule.table, rule.kind) for rule in invoices.dirty] == [("magento__orders", "self")]
    assert invoices.lookups == ("accounts",)
    assert contacts.lookups == ()
    assert (sales.unique_key, sales.id_column) == (("connection", "order_id"), "order_id")


def test_lookups_stay_text_whatever_they_look_like(built: Place) -> None:
    assert built.rows("select account_code from lookups.accounts order by 1") == [
        {"account_code": "0200"},
        {"account_code": "0201"},
    ]


def test_nothing_changed_means_nothing_is_built(built: Place) -> None:
    before = built.rows("select switched_at from cdc.builds")

    again = built.build()

    # The copy of the project has the same content, so dbt is not even started.
    assert again.is_unchanged
    assert built.rows("select switched_at from cdc.builds") == before
    assert not (built.settings.data_dir / "dbt" / "build" / "target" / "manifest.json").exists()


def test_a_changed_lookup_marks_the_models_that_read_it_and_no_other(built: Place) -> None:
    built.run("update cdc.models set sweep_due = false, is_new = false")
    built.edit("models/lookups/accounts.csv", "0201", "0299")

    made = built.build()

    models = _models(built)
    assert set(made.changed_models) == {"out_xero__invoices", "sales"}
    assert models["out_xero__invoices"]["is_changed"]
    assert models["out_xero__invoices"]["sweep_due"]
    assert not models["out_xero__contacts"]["is_changed"]
    assert not models["out_xero__contacts"]["sweep_due"]


def test_a_comment_is_no_change_of_a_model(built: Place) -> None:
    built.edit(INVOICES, "select\n", "-- Why this is so.\nselect  \n")

    made = built.build()

    assert not made.is_unchanged
    assert made.changed_models == ()


def test_a_new_rule_for_changes_makes_a_model_sweep_due_but_not_changed(built: Place) -> None:
    built.run("update cdc.models set sweep_due = false")
    built.edit(
        "models/outbound/out_xero__invoices.yml",
        "magento__orders: self",
        "magento__orders: self\n            magento__invoices: {column: order_id}",
    )

    built.build()

    model = _models(built)["out_xero__invoices"]
    assert (model["sweep_due"], model["is_changed"]) == (True, False)


def test_a_build_notes_what_its_models_read_of_the_records(built: Place) -> None:
    """Of the lines too; key columns have no name there, a change of one counts whatever is read."""
    reads = {name: model["reads"] for name, model in _models(built).items()}

    assert reads["out_xero__invoices"] == {"magento__orders": ["bad", "category", "day", "state", "total"]}
    assert all("magento__orders" in each for each in reads.values())


def test_a_mapping_that_begins_to_read_a_field_looks_at_all_records_again(built: Place) -> None:
    """What changed in that field before, the old set passed over."""
    with built.database.connect() as session:
        session.execute("insert into cdc.connections (connection, system) values ('shop', 'magento')")
        session.execute("update cdc.models set sweep_due = false")
        told = (
            "insert into cdc.changes (connection, stream, id, version, keys_before, keys_after, fields)"
            " values ('shop', 'orders', '1', 1, '{}', '{}', '{comment}')"
        )
        session.execute(told)
        assert fan_out(session) == FannedOut(changes=1, without_keys=1)

        session.execute(told)
        built.edit(
            STAGED,
            "orders.payload ->> 'state'",
            "concat(orders.payload ->> 'state', orders.payload ->> 'comment')",
        )
        built.build()

        # Judged by the set that is in force now.
        assert fan_out(session) == FannedOut(changes=1)
    models = _models(built)
    assert models["out_xero__invoices"]["sweep_due"]
    assert "comment" in models["out_xero__invoices"]["reads"]["magento__orders"]


def test_where_less_was_found_to_be_read_than_is_all_rows_are_looked_at_again(built: Place) -> None:
    """After an upgrade that finds more. Where every change counted so far, nothing was passed over."""
    built.run(
        "update cdc.models set sweep_due = false, reads = '{\"magento__orders\": []}' where model = 'sales'"
    )
    built.run("update cdc.models set sweep_due = false, reads = null where model <> 'sales'")

    built.build(force=True)

    models = _models(built)
    assert {name for name, model in models.items() if model["sweep_due"]} == {"sales"}
    assert all(model["reads"] for model in models.values())


def test_a_model_that_is_taken_away_is_forgotten_with_its_keys(built: Place) -> None:
    built.run(
        "insert into cdc.changed_keys (model, source_connection, source_id, because) values ('sales', 's', "
        "'1', 'x')"
    )
    (built.project / "models/marts/sales.sql").unlink()
    (built.project / "models/marts/sales.yml").unlink()

    made = built.build()

    assert made.gone_models == ("sales",)
    assert "marts_live" not in _schemas(built)
    assert built.rows("select to_regclass('marts.sales') as mart") == [{"mart": None}]
    assert built.rows("select * from cdc.changed_keys") == []


def test_sql_that_fails_names_the_file_and_leaves_the_set_in_force(built: Place) -> None:
    before = _models(built)
    built.edit(INVOICES, "orders.total as _total", "orders.totl as _total")

    with pytest.raises(BuildError) as caught:
        built.build()

    assert INVOICES in str(caught.value)
    assert "orders.totl does not exist" in str(caught.value)
    assert "in force is untouched" in caught.value.cure
    assert _models(built) == before
    assert len(built.rows("select * from outbound.out_xero__invoices")) == 4


def test_a_data_test_that_fails_names_the_test_and_its_rows(built: Place) -> None:
    built.edit("tests/dbt/totals_are_positive.sql", "_total < 0", "_total > 25")

    with pytest.raises(BuildError, match="totals_are_positive finds 2 rows"):
        built.build()


def test_unit_tests_run_when_asked_for(built: Place) -> None:
    assert built.build(unit=True).unit_tests == 1


def test_yml_that_dbt_cannot_read_is_a_build_error_with_the_file(built: Place) -> None:
    built.edit("models/marts/sales.yml", "models:", "models: [")

    with pytest.raises(BuildError, match=r"sales\.yml"):
        built.build()


def test_a_rule_that_stands_twice_in_a_yml_fails_the_build_before_one_is_lost(built: Place) -> None:
    built.edit("models/marts/sales.yml", "models:", "version: 2\nmodels:")

    with pytest.raises(BuildError, match=r"sales\.yml, line \d+: the key version stands twice"):
        built.build()


def test_a_second_build_at_the_same_time_leaves_it_to_the_first(built: Place) -> None:
    with built.database.connect() as other:
        other.execute("select pg_advisory_lock(%s)", (lock_key("tieout.build"),))

        with pytest.raises(LockHeld):
            built.build(force=True)


def test_a_build_killed_half_way_leaves_the_set_and_the_next_one_starts_clean(
    built: Place, tmp_path: Path
) -> None:
    before = _models(built)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    built.edit("models/lookups/accounts.csv", "0201", "0299")
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from cdc.build import build\n"
        "from tieout.db import Database\n"
        "from tieout.settings import Settings\n"
        "url, data, project = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])\n"
        "settings = Settings(data_dir=data, project_dir=project, lookups_dir=project / 'models' / "
        "'lookups')\n"
        "def die(text):\n"
        "    if 'out_xero' in text: os.kill(os.getpid(), signal.SIGKILL)\n"
        "build(settings, Database(url), progress=die)\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", script, built.database.url, str(built.settings.data_dir), str(built.project)],
        cwd=package_root(),
        env={**os.environ, "PYTHONPATH": str(package_root()), "TMPDIR": str(temporary)},
        check=False,
        capture_output=True,
        timeout=120,
    )

    assert ended.returncode == -9, ended.stderr
    assert [*temporary.iterdir()] == []
    assert "build__canonical" in _schemas(built)
    assert _models(built) == before
    assert built.rows("select count(*) from outbound.out_xero__invoices") == [{"count": 4}]

    made = built.build()

    assert set(made.changed_models) == {"out_xero__invoices", "sales"}
    assert not [name for name in _schemas(built) if name.startswith(("build__", "old__"))]


def test_a_long_reader_neither_stops_the_switch_nor_loses_its_rows(
    built: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switching, "WAIT_MILLISECONDS", 20)
    with built.database.connect() as reader, reader.transaction(), reader.cursor(name="bi") as cursor:
        cursor.execute("select * from outbound.out_xero__invoices")
        cursor.fetchone()

        built.build(force=True)

        # It goes on reading the old set, which is removed by a later build.
        assert len(cursor.fetchall()) == 3
        assert [name for name in _schemas(built) if name.startswith("old__")]

    built.build(force=True)

    assert not [name for name in _schemas(built) if name.startswith("old__")]


def test_a_reader_that_pins_the_set_keeps_it_until_its_transaction_ends(
    built: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switching, "WAIT_MILLISECONDS", 20)
    monkeypatch.setattr(switching, "ATTEMPTS", 1)
    built.edit(INVOICES, "'EUR'", "'USD'")
    with built.database.connect() as reader, reader.transaction():
        build_in_force = pin_set(reader)

        with pytest.raises(RetryLater):
            built.build()

        assert pin_set(reader) == build_in_force

    assert built.build().build != build_in_force


def test_who_may_use_a_schema_may_use_the_one_that_takes_its_place(built: Place) -> None:
    role = f"bi_{os.getpid()}"
    built.run(f"create role {role}")
    try:
        built.run(f"grant usage on schema canonical to {role}")

        built.build(force=True)

        allowed = built.rows("select has_schema_privilege(%s, 'canonical', 'usage') as allowed", role)
        assert allowed == [{"allowed": True}]
    finally:
        built.run(f"drop owned by {role}")
        built.run(f"drop role {role}")


def test_a_users_lookup_takes_the_place_of_ours_and_ours_stays_as_it_is(built: Place, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "accounts.csv").write_text("category,account_code\ntoys,0777\n", encoding="utf-8")

    with_lookups(built, mine).build()

    assert built.rows("select * from lookups.accounts") == [{"category": "toys", "account_code": "0777"}]
    ours = built.project / "models/lookups/accounts.csv"
    assert ours.read_text(encoding="utf-8") == (PROJECT / "models/lookups/accounts.csv").read_text(
        encoding="utf-8"
    )


def test_a_users_older_lookup_gets_the_columns_that_it_lacks_empty(built: Place, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "accounts.csv").write_text('category\ntoys\n"a, b"\n', encoding="utf-8")

    with_lookups(built, mine).build()

    assert built.rows("select category, account_code from lookups.accounts order by 1") == [
        {"category": "a, b", "account_code": None},
        {"category": "toys", "account_code": None},
    ]
    assert (mine / "accounts.csv").read_text(encoding="utf-8") == 'category\ntoys\n"a, b"\n'


def test_the_password_is_in_no_file(built: Place) -> None:
    built.build(force=True)

    password = built.database.url.split(":")[2].partition("@")[0]
    files = [path for path in built.settings.data_dir.rglob("*") if path.is_file()]
    files += [path for path in built.project.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if password.encode() in path.read_bytes()]
    assert not [name for name in os.environ if name.startswith("DBT_ENV_SECRET_TIEOUT")]


def test_lookups_are_compared_with_the_mirrored_target(built: Place) -> None:
    empty = built.build(force=True)
    built.run(
        "insert into staging.xero__accounts (connection, id, payload, content_hash, version) "
        """values ('books', 'a', '{"Code": "0200"}', 'h', 1), ('books', 'b', '{"Code": "0202"}', 'h', 2)"""
    )

    loaded = built.build(force=True)

    assert "still empty" in empty.warnings[0]
    assert loaded.warnings == (
        "accounts.csv: account_code '0201' is not in xero__accounts; did you mean '0202'?",
    )
    with pytest.raises(BuildError, match="did you mean '0202'"):
        built.build(force=True, strict=True)


def test_an_emptied_schema_is_built_again_though_no_file_changed(built: Place) -> None:
    built.run("drop schema outbound cascade")

    assert not built.build().is_unchanged
    assert len(built.rows("select * from outbound.out_xero__invoices")) == 4
