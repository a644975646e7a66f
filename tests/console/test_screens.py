"""What people look at and decide on, on the first day of a sample trade with every kind of bad input."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import pytest

from cdc.proof_records import Proof
from console.alerting import tell_quietly
from console.frame import App
from console.proofs import shown_proof
from tests.console.fix_console import Place
from tieout.errors import ExitCode

READING = (
    "status",
    "dead-letters",
    "dead-letters list",
    "holds",
    "holds list",
    "plan",
    "lookups missing",
    "diff --fail-on none",
    "marts",
    "show shop/order/3/1",
    "why shop/order/3/1",
    "sandbox status",
)


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 100 columns, without colours."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")


def key_of(place: Place, cause: str) -> str:
    """The record that a dead letter of that cause is about."""
    groups = place.answer("dead-letters")["groups"]
    return next(
        str(group["example"] if "example" in group else group["keys"][0])
        for group in groups
        if group["cause"] == cause
    )


@pytest.mark.parametrize("line", READING)
def test_each_screen_is_one_json_object_or_text_of_at_most_100_columns(traded: Place, line: str) -> None:
    key = traded.rows("select key from cdc.links where entity = 'invoices' and target_id is not null")[0][
        "key"
    ]
    line = line.replace("shop/order/3/1", key)

    data = traded.answer(line)
    shown = traded.run(line).stdout

    assert isinstance(data, dict)
    assert shown.strip()
    assert max(len(row) for row in _plain(shown).splitlines()) <= 100


def test_status_says_first_who_has_to_act(traded: Place) -> None:
    shown = _plain(traded.run("status").stdout)
    data = traded.answer("status")

    # One line where it is wide enough: a terminal of 100 columns breaks it.
    assert " ".join(shown.partition("\n\n")[0].split()) == data["verdict"]
    assert data["verdict"].startswith(
        "The ledger was not proved yet (`tieout prove`). Running again is safe. Waiting for "
    )
    assert data["ok"] is False
    assert data["dead_letters"] > 5
    assert {one["connection"]: one["target_name"] for one in data["connections"]}[
        "books"
    ] == "Demo Trading (UK)"
    assert "accountant" in shown


def test_a_channel_that_fails_is_told_by_status_and_fails_no_other_command(traded: Place) -> None:
    nobody = {"TIEOUT_ALERTS__URLS": "json://user:hunter2@127.0.0.1:9/?cto=1&rto=1"}
    sent = traded.run("alerts send --json", env=nobody)
    tested = traded.run("alerts test", env=nobody)
    status = _plain(traded.run("status").stdout)
    listed = traded.answer("alerts")

    assert sent.exit_code == ExitCode.LATER
    assert json.loads(sent.stdout)["new"] > 3
    assert tested.exit_code == ExitCode.PERSON
    assert "Alerts do not arrive: json #" in status
    assert {"dead letters"} <= {row["kind"] for row in listed["alerts"]}
    told = f"{listed}{sent.output}{tested.output}{status}"
    assert "hunter2" not in told
    assert "@example" not in str(listed), "no address of a customer either"


def test_what_is_wrong_with_the_settings_of_alerts_fails_no_sync_and_is_told_by_status(
    traded: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = App(settings_file=traded.settings_file)
    monkeypatch.setenv("TIEOUT_ALERTS__URLS", "carrierpigeon://secret@roof")

    told = tell_quietly(app)
    status = _plain(traded.run("status").stdout)
    monkeypatch.setenv("TIEOUT_ALERTS__URLS", "")
    traded.answer("alerts send")

    assert "none that alerts can be sent to" in told["error"]
    assert "Alerts do not arrive: all channels failed: Address 1 of [alerts] urls" in " ".join(status.split())
    assert "secret@roof" not in f"{told}{status}"
    assert "Alerts do not arrive" not in traded.run("status").stdout


def test_dead_letters_name_cause_money_who_and_cure(traded: Place) -> None:
    data = traded.answer("dead-letters")
    shown = _plain(traded.run("dead-letters").stdout)

    causes = {group["cause"]: group for group in data["groups"]}
    assert data["dead_letters"] == sum(group["count"] for group in data["groups"])
    assert {"account not in Xero", "e-mail missing", "not a number", "contact archived"} <= set(causes)
    letter = causes["account not in Xero"]
    assert (letter["who"], letter["count"]) == ("accountant", 1)
    assert Decimal(letter["money"]["GBP"]) > 0
    assert all(group["cure"] and group["who"] and group["keys"] for group in data["groups"])
    assert "→ Make the account 209 in Xero" in shown


def test_dead_letters_can_be_chosen_by_cause_and_target(traded: Place) -> None:
    assert traded.answer("dead-letters --cause 'e-mail missing'")["dead_letters"] == 1
    assert traded.answer("dead-letters list --connection shop")["dead_letters"] == 0


def test_a_discarded_dead_letter_is_gone_and_the_decision_is_kept(traded: Place) -> None:
    key = key_of(traded, "e-mail missing")
    before = traded.answer("dead-letters")["dead_letters"]

    decided = traded.answer(f"dead-letters discard {key} --reason 'booked by hand'")

    assert decided == {"decided": 1}
    assert traded.answer("dead-letters")["dead_letters"] == before - 1
    (kept,) = traded.rows("select verb, key, reason from cdc.decisions where verb = 'discard'")
    assert kept == {"verb": "discard", "key": key, "reason": "booked by hand"}
    assert "discard" in _plain(traded.run(f"why {key}").stdout)


def test_discarding_wants_a_reason(traded: Place) -> None:
    done = traded.run("dead-letters discard --cause 'e-mail missing'")

    assert done.exit_code == ExitCode.USAGE
    assert "Missing option '--reason'" in done.stderr


def test_an_edit_that_is_no_json_is_told_how_to_write_text(traded: Place) -> None:
    done = traded.run("dead-letters edit shop/order/1/1 Reference hello --reason x")

    assert done.exit_code == ExitCode.USAGE
    assert "Text stands in double quotes inside single ones" in done.stderr


def test_deciding_on_what_does_not_wait_is_no_success(traded: Place, sent: dict[str, str]) -> None:
    for line in (
        f"holds approve {sent['key']}",
        f"holds refuse {sent['key']} --reason x",
        f"holds accept-as-is {sent['key']} --reason x",
        f"dead-letters retry {sent['key']}",
        "dead-letters discard --cause 'e-mail mising' --reason x",
        "dead-letters show shop/order/999999/1",
        f"link approve {sent['key']}",
        f"link reject {sent['key']}",
        "link undo shop/order/999999/1",
        f"link approve --target {sent['target_id']}",
        "link propose books --entity invoces",
        f"conflicts settle {sent['key']} --take source --reason x",
        "conflicts withdraw 99 --reason x",
        f"correct {sent['key']} --reason x",
        "reverse 00000000 --reason x",
    ):
        done = traded.run(line)

        assert done.exit_code == ExitCode.USAGE, line
        assert "Next:" not in done.stdout, line
    assert traded.rows("select from cdc.decisions where reason = 'x'") == []


@pytest.mark.parametrize(
    "line", ["holds approve --entity allocations", "dead-letters retry --entity allocations", "link approve"]
)
def test_having_nothing_to_decide_is_one(traded: Place, line: str) -> None:
    assert traded.answer(line)["decided"] == 0


@pytest.mark.parametrize(
    "line",
    [
        "holds approve --model out_xero__invoces",
        *(f"{group} --entity invoces" for group in ("plan", "drift", "conflicts", "link list")),
    ],
)
def test_a_misspelt_model_or_entity_is_not_one_without_work(traded: Place, line: str) -> None:
    done = traded.run(line)

    assert done.exit_code == ExitCode.USAGE
    assert "did you mean" in done.stderr


@pytest.mark.parametrize(
    "line", ["dead-letters", "holds", "plan", "drift", "conflicts", "link list", "prove"]
)
def test_a_misspelt_connection_is_no_connection_without_trouble(traded: Place, line: str) -> None:
    option = "" if line == "prove" else "--connection "

    done = traded.run(f"{line} {option}bokos")

    assert done.exit_code == ExitCode.PERSON
    assert "The settings have no connection 'bokos' (they have: books, shop)." in done.stderr
    assert "Proved" not in done.stdout


def test_a_proof_that_compared_nothing_does_not_say_that_totals_are_equal() -> None:
    shown = [str(part) for part in shown_proof(Proof(totals=(), skipped=0)).shown]

    assert "Nothing was compared, so nothing is proved." in shown
    assert not [part for part in shown if part.startswith("Proved")]


@pytest.mark.parametrize(
    "line",
    [
        "runs --limit -1",
        "runs --limit 0",
        "dead-letters show --limit -1",
        "drift --rows -1",
        "alerts list --days -1",
        "plan --models .",
        "plan --lookups .",
        "plan --holds",
    ],
)
def test_an_option_that_would_mean_nothing_is_refused(traded: Place, line: str) -> None:
    assert traded.run(line).exit_code == ExitCode.USAGE


def test_a_misspelt_model_is_no_model_without_changes(traded: Place) -> None:
    done = traded.run("diff --model out_xero__invoice")

    assert done.exit_code == ExitCode.USAGE
    assert "The models in force have no outbound model 'out_xero__invoice'." in done.stderr
    assert "out_xero__invoices" in done.stderr


def test_holds_list_the_first_run_and_approve_lets_it_go(traded: Place) -> None:
    held = traded.answer("holds")
    shown = _plain(traded.run("holds").stdout)

    decided = traded.answer("holds approve --model out_magento__order_statuses --reason seen")

    assert {group["model"] for group in held["groups"]} == {"out_magento__order_statuses"}
    assert held["held"] > 0
    assert "tieout holds approve" in shown
    assert decided == {"decided": held["held"]}
    assert traded.answer("holds")["held"] == 0
    assert "Nothing waits for approval." in traded.run("holds").stdout


def test_refused_entries_are_not_offered_again(traded: Place) -> None:
    traded.answer("holds refuse --connection shop --reason 'no comments'")

    traded.answer("diff --full --fail-on none")

    assert traded.answer("holds")["held"] == 0


def test_plan_sums_the_outbox_and_shows_entries_field_by_field(traded: Place) -> None:
    data = traded.answer("plan --entity invoices --limit 1")
    shown = _plain(traded.run("plan --entity invoices --limit 1").stdout)

    (entry,) = data["entries"]
    assert data["total"] == sum(each["entries"] for each in data["sums"])
    assert {field["name"] for field in entry["fields"]} >= {"InvoiceNumber", "LineItems", "Contact"}
    assert f"create invoices {entry['key']} (held, " in shown
    assert "LineItems[shipping].AccountCode" in shown
    assert "→ contacts shop/" in shown
    assert "more: raise --limit, or name the beginning of a key." in shown


def test_plan_can_begin_with_a_key(traded: Place) -> None:
    key = key_of(traded, "account not in Xero")

    assert {each["key"] for each in traded.answer(f"plan {key}")["entries"]} == {key}
    assert traded.answer("plan shop/nothing")["total"] == 0
    shown = traded.run("plan shop/nothing").stdout

    assert "Nothing would be sent." in shown
    assert "No open entry has a key that begins with shop/nothing" in shown


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("drift --key shop/nothing", "None of these drifts: `tieout drift` shows all."),
        ("link list shop/nothing --state approved", "No approved pair of shop/nothing."),
    ],
)
def test_a_look_at_a_part_does_not_speak_of_all(traded: Place, line: str, told: str) -> None:
    assert told in traded.run(line).stdout


def test_plan_sends_nothing_and_changes_nothing(traded: Place) -> None:
    before = traded.rows("select entry, state, changed_at from cdc.outbox order by entry")

    traded.run("plan")

    assert traded.rows("select entry, state, changed_at from cdc.outbox order by entry") == before


def test_a_saved_plan_is_listed_shown_and_decided_on_by_its_hash(traded: Place) -> None:
    looked = traded.answer("plan --limit 0")["batch"]
    plan = traded.answer("plan --save --limit 2")
    name = plan["plan"][:12]

    shown = _plain(traded.run(f"plans show {name} --limit 2").stdout)
    refused = traded.run(f"drain --plan {name}")
    decided = traded.answer(f"holds refuse --plan {name} --reason 'not today'")

    assert looked["plan"] == plan["plan"]
    assert plan["summary"]["sums"] == looked["summary"]["sums"]
    assert len(plan["plan_entries"]) == 2
    assert f"tieout holds approve --plan {name}" in " ".join(shown.split())
    assert max(len(row) for row in shown.splitlines()) <= 100
    assert refused.exit_code == ExitCode.PERSON
    assert "writes are off in the settings" in " ".join(refused.stderr.split())
    assert decided == {"decided": plan["entries"]}
    (listed,) = traded.answer("plans")["plans"]
    assert (listed["plan"], listed["stands"]) == (plan["plan"], "saved")
    assert "refuse" in _plain(traded.run(f"plans show {name}").stdout)


@pytest.mark.parametrize(
    "line",
    [
        "plans show nonsense",
        "drain --plan 12",
        "drain books --plan 123456",
        "plans release 123456 --reason x",
    ],
)
def test_a_plan_that_nobody_saved_is_told(traded: Place, line: str) -> None:
    assert traded.run(line).exit_code == ExitCode.USAGE


@pytest.fixture
def sent(traded: Place) -> dict[str, str]:
    """An invoice that is in the books: its key, number, order and id there."""
    (row,) = traded.rows(
        "select key, target_id, said ->> 'InvoiceNumber' as number, said ->> 'Reference' as reference from cdc.links "
        "where entity = 'invoices' and target_id is not null and not is_adopted order by key limit 1"
    )
    return row


def test_show_puts_model_agreement_and_target_side_by_side(traded: Place, sent: dict[str, str]) -> None:
    data = traded.answer(f"show {sent['key']}")
    shown = _plain(traded.run(f"show {sent['key']}").stdout)

    (record,) = data["records"]
    assert record["outbound"]["InvoiceNumber"] == record["link"]["said"]["InvoiceNumber"] == sent["number"]
    assert record["target"]["payload"]["InvoiceNumber"] == sent["number"]
    assert record["source"]["payload"]["increment_id"] == sent["reference"]
    # What all sides say alike is said once.
    assert f"InvoiceNumber {sent['number']} = =" in " ".join(shown.split())
    assert "/Date(" not in shown


@pytest.mark.parametrize("name", ["key", "target_id", "number", "reference"])
def test_why_knows_a_record_by_our_key_and_by_what_people_read(
    traded: Place, sent: dict[str, str], name: str
) -> None:
    data = traded.answer(f"why {sent[name]}")

    reason = next(each for each in data["reasons"] if each["key"] == sent["key"])
    assert (reason["stage"], reason["verdict"]) == ("target", "The target has it as the model wants it.")
    story = [row[1] for row in data["history"][sent["key"]]]
    applied = next(place for place, line in enumerate(story) if line.endswith("create applied"))
    assert story.index("PUT /Invoices") < applied
    assert any("approve by" in line for line in story)


def test_why_tells_what_holds_a_record_and_the_cure(traded: Place) -> None:
    key = key_of(traded, "account not in Xero")

    shown = _plain(traded.run(f"why {key}").stdout)

    assert "Xero has no account with the code 209" in " ".join(shown.split())
    assert "→ Make the account 209 in Xero" in " ".join(shown.split())


@pytest.mark.parametrize("line", ["why nonsense", "show nonsense", "why '%'", "show _"])
def test_what_nobody_knows_is_said_to_be_unknown(traded: Place, line: str) -> None:
    data = traded.answer(line, code=ExitCode.USAGE)

    assert data == {"found": False}


def test_lookups_missing_prints_rows_that_can_be_pasted(traded: Place) -> None:
    missing = traded.answer("lookups missing")["missing"]

    rows = {row["file"].rpartition("/")[2]: row for row in missing}
    assert {"category_accounts.csv", "payment_methods.csv", "taxes.csv"} <= set(rows)
    assert rows["category_accounts.csv"]["row"].startswith("shop,Uncharted,<account>")
    assert rows["category_accounts.csv"]["documents"] >= 1
    assert "tieout build" in traded.run("lookups missing").stdout


def test_amounts_are_exact_text_in_json(traded: Place) -> None:
    done = traded.run("plan --json")

    amounts = [each["amount"] for each in json.loads(done.stdout)["sums"]]
    assert all(isinstance(amount, str) and Decimal(amount) >= 0 for amount in amounts)


def test_a_command_leaves_its_run_on_record_and_one_event(
    traded: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FORCE_COLOR")

    done = traded.run("marts")

    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert events[-1]["event"] == "command.finished"
    assert (events[-1]["command"], events[-1]["exit_code"]) == ("marts", 0)
    (run,) = traded.rows("select command, exit_code from cdc.runs order by started_at desc limit 1")
    assert run == {"command": "marts", "exit_code": 0}


def _plain(text: str) -> str:
    """The text without bold and colours."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
