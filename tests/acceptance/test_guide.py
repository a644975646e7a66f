"""The analyst's guide (models/README.md) is followed to the letter: every snippet goes into one folder of a user's own, and on a
small trade `plan --against` must show what each recipe says it shows, field by field; with the tests of the
guide among those that the set must pass.

No entries are made: the guide's promise is that all of this is seen before anything is posted.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cdc.project import assemble
from sandbox.people import Shopper
from sandbox.stand import edit_order, item, on_list, place, stamp
from tests.acceptance.fix_guide import README, apply, hunks, promises, recipes, table
from tests.acceptance.fix_setup import write_settings
from tests.acceptance.fix_world import World
from tieout.settings import Settings, package_root

SPRING, AUTUMN = datetime(2026, 3, 2, 10, tzinfo=UTC), datetime(2026, 9, 1, 10, tzinfo=UTC)
"""Before and after the day on which the recipe lets an account change."""
WHO = Shopper(
    firstname="Ann", lastname="Bell", email="ann@example.com", street="12 High Street, Flat 4", town="Leeds", postcode="LS1 4AB"
)  # fmt: skip


@pytest.fixture(scope="module")
def own(world: World) -> Path:
    """A user's folder, with the lookups that the set in force was built with."""
    folder = world.folder / "mapping"
    (folder / "models").mkdir(parents=True)
    write_settings(
        world,
        lambda text: text.replace(f"lookups_dir = '{world.lookups}'", f"project_dir = '{folder}'"),
    )
    world.lookups.rename(folder / "models" / "lookups")
    return folder


@pytest.fixture(scope="module", autouse=True)
def traded(world: World, own: Path) -> None:
    """One order for each thing that a recipe speaks of, mirrored; nothing is in the books."""
    guest = place(world.stand, WHO, SPRING, [item("MUG-01", 2), item("TEE-M-RED")])
    edit_order(world.stand, guest, {"payment.po_number": " PO-4711 "})
    back = place(world.stand, WHO, AUTUMN, [item("MUG-01", 2)])
    day_after = stamp(AUTUMN + timedelta(days=1))
    world.stand.shop(
        "refund", order_id=back["entity_id"], online=True, items=on_list(back, "MUG-01", 1), at=day_after,
        arguments={"shipping_amount": 0},
    )  # fmt: skip
    place(
        world.stand,
        WHO.mailed("buyer@example.com"),
        SPRING,
        [item("LAMP-01")],
        customer=True,
        group="Wholesale",
    )
    place(world.stand, WHO.mailed("swiss@example.com").moved("Bern", "3000", "CH"), SPRING, [item("MUG-01")])
    place(world.stand, WHO.mailed("qa@test.example"), SPRING, [item("MUG-01")])
    place(world.stand, WHO.mailed("large@example.com"), SPRING, [item("LAMP-01", 40)])
    place(world.stand, WHO.mailed("odd@example.com"), SPRING, [item("ODD-01")])
    unlisted = place(world.stand, WHO.mailed("terms@example.com"), SPRING, [item("MUG-01")], pay="checkmo")
    world.stand.shop("invoice", order_id=unlisted["entity_id"], at=stamp(SPRING))
    edit_order(world.stand, unlisted, {"payment.method": "net_terms"})
    for name in ("shop", "books"):
        world.run("connect", name)
    world.run("load", codes=(0, 5))


def text(value: object) -> str | None:
    """A value as the guide writes it."""
    return None if value is None else value if isinstance(value, str) else json.dumps(value, default=str)


def test_every_recipe_shows_what_it_promises_before_anything_is_in_force(world: World, own: Path) -> None:
    shipped = assemble(Settings.load(world.settings_file), world.folder / "shipped")
    for hunk in hunks():
        apply(own, hunk, shipped.origins)

    shown = world.run("plan", "--against", "--limit", "500").data

    fields = [
        (row["model"], field["name"], text(field["before"]), text(field["after"]))
        for row in shown["rows"]
        for field in row["fields"]
    ]
    broken = [
        f"{each.recipe}: {each.model} {each.field} {each.before} → {each.after}; it shows "
        f"{sorted({str(seen[2:]) for seen in fields if seen[:2] == (each.model, each.field)})[:6]}"
        for each in promises()
        if not any(
            seen[:2] == (each.model, each.field)
            and is_like(seen[2], each.before)
            and is_like(seen[3], each.after)
            for seen in fields
        )
    ]
    assert not broken, "models/README.md promises what does not happen; mend the recipe:\n" + "\n".join(
        broken
    )
    assert world.rows("select count(*) as count from cdc.links")[0]["count"] == 0


def is_like(seen: str | None, promised: str | None) -> bool:
    """Equal; of a list or object the guide shows a part."""
    if seen is None or promised is None:
        return seen == promised
    return seen == promised or (seen[0] in "[{" and promised in seen)


def test_the_set_of_all_recipes_passes_the_tests_of_the_guide_and_its_entries_can_be_read(
    world: World,
) -> None:
    built = world.run("build", "--unit").data
    world.run("diff", codes=(0, 5))

    (large,) = world.run("plan", "shop/order/6/1", codes=(0, 5)).data["entries"]

    ran = (world.folder / "data/dbt/build/target/run_results.json").read_text(encoding="utf-8")
    assert "products_of_one_account_are_one_line" in ran
    assert "large_invoices_are_held" in ran
    assert "out_xero__invoices" in built["changed"]
    assert large["state"] == "held"


def test_undoing_is_to_take_the_files_out_of_the_folder(world: World, own: Path) -> None:
    settings = Settings.load(world.settings_file)
    before = assemble(settings, world.folder / "undone").fingerprint

    for file in (own / "macros").iterdir():
        file.unlink()

    after = assemble(settings, world.folder / "undone")
    assert after.fingerprint != before
    assert (after.folder / "sql/macros/contacts.sql").read_bytes() == (
        package_root() / "sql/macros/contacts.sql"
    ).read_bytes()


def test_the_guide_answers_what_an_analyst_asks() -> None:
    asked = (
        "map",
        "join",
        "split",
        "aggregate",
        "default",
        "date",
        "zone",
        "skip",
        "hold",
        "empty",
        "lookup",
        "test",
        "undo",
    )

    assert [word for word in asked if not any(word in heading.lower() for heading in recipes())] == []


def test_the_table_of_outbound_models_is_what_their_yml_says() -> None:
    readme = README.read_text(encoding="utf-8")

    assert table() in readme, f"put this in place of the table at the end of models/README.md:\n{table()}"
