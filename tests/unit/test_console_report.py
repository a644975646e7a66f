"""How answers look: exact in JSON, readable at any width, and never read as markup."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import click
import pytest
from rich.console import Console, RenderableType

from console import fields
from console.frame import Sections, fail
from console.report import (
    Report,
    about,
    facts,
    minute,
    money,
    moneys,
    plain,
    short,
    show,
    table,
    verdict,
    worst,
)
from tieout import events
from tieout.errors import (
    ConfigurationError,
    CredentialsError,
    ExitCode,
    LockHeld,
    RetryLater,
    TieoutError,
    UsageError,
)


def drawn(part: RenderableType, width: int = 60) -> str:
    out = StringIO()
    Console(file=out, width=width).print(part)
    return out.getvalue()


# ------------------------------------------------------------------------------------------------ JSON


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Decimal("10.00"), "10.00"),
        (Decimal("0.1"), "0.1"),
        (datetime(2026, 3, 1, 12, tzinfo=UTC), "2026-03-01T12:00:00+00:00"),
        (date(2026, 3, 1), "2026-03-01"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Path("a/b"), "a/b"),
        (frozenset({"b", "a"}), ["a", "b"]),
        (MappingProxyType({"a": 1}), {"a": 1}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_lacks_has_one_plain_form(value: object, said: object) -> None:
    assert json.loads(json.dumps({"value": value}, default=plain)) == {"value": said}


def test_what_has_no_form_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="object has no JSON form"):
        json.dumps({"value": object()}, default=plain)


def test_json_is_one_line_of_text_as_people_write_it(capsys: pytest.CaptureFixture[str]) -> None:
    show(Report(data={"name": "Zoë", "total": Decimal("1.50")}), as_json=True)

    assert capsys.readouterr().out == '{"name": "Zoë", "total": "1.50"}\n'


# ---------------------------------------------------------------------------------------------- tables


def test_names_in_brackets_are_shown_and_not_read_as_markup() -> None:
    parts = [
        table("Of [books]", ("what [it] is",), [("[bold]Ann[/bold]",)]),
        facts("[x]", {"[section]": "[connections.books]"}),
        verdict(False, "[red]"),
    ]

    shown = "".join(drawn(part) for part in parts)

    for words in (
        "Of [books]",
        "what [it] is",
        "[bold]Ann[/bold]",
        "[section]",
        "[connections.books]",
        "[red]",
    ):
        assert words in shown


def test_a_sentence_in_a_report_keeps_its_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    show(Report(data={}, shown=["Add [connections.nope].", table("T", ("a",), [("b",)])]), as_json=False)

    assert capsys.readouterr().out.splitlines()[:3] == ["Add [connections.nope].", "", "T"]


def test_numbers_stand_on_the_right_and_are_never_broken() -> None:
    shown = drawn(
        table("", ("key!", "text", "amount#"), [("shop/order/1/1", "word " * 20, Decimal("1234.5"))]), 50
    )

    first = shown.splitlines()[2]
    assert first.startswith("shop/order/1/1 ")
    assert first.endswith("1,234.50")
    assert all(len(line) <= 50 for line in shown.splitlines())


def test_a_table_without_rows_is_one_sentence() -> None:
    assert drawn(table("T", ("a",), [], empty="Nothing here.")) == "Nothing here.\n"


def test_facts_leave_out_what_is_not_known() -> None:
    assert "frozen" not in drawn(facts("T", {"frozen": None, "open": True}))


@pytest.mark.parametrize(
    ("amount", "currency", "said"),
    [
        (None, "GBP", ""),
        (Decimal(0), None, "0.00"),
        (Decimal("1E+3"), "GBP", "1,000.00 GBP"),
        (Decimal("12.3456"), "EUR", "12.3456 EUR"),
        (Decimal("-0.5"), "GBP", "-0.50 GBP"),
    ],
)
def test_money_has_two_decimals_unless_it_has_more(
    amount: Decimal | None, currency: str | None, said: str
) -> None:
    assert money(amount, currency) == said


def test_amounts_of_different_currencies_stand_side_by_side() -> None:
    assert moneys({"USD": Decimal(1), "EUR": Decimal("2.5")}) == "2.50 EUR, 1.00 USD"


def test_times_are_shown_to_the_minute() -> None:
    assert (minute(datetime(2026, 3, 1, 9, 5, 59, tzinfo=UTC)), minute(None)) == ("2026-03-01 09:05", "")


def test_a_long_text_loses_its_middle_and_keeps_what_is_wrong() -> None:
    said = short(f"Name ({'Maximiliana ' * 30}): The name has 335 characters; Xero takes 255", 100)

    assert len(said) <= 100
    assert said.startswith("Name (Maximiliana")
    assert said.endswith("The name has 335 characters; Xero takes 255")
    assert short("  a\n b ") == "a b"


# ---------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ((), ExitCode.DONE),
        ((RetryLater(), CredentialsError()), ExitCode.PERSON),
        ((RetryLater(), RetryLater()), ExitCode.LATER),
        ((LockHeld(),), ExitCode.DONE),
        ((UsageError(), ConfigurationError()), ExitCode.PERSON),
    ],
)
def test_of_several_errors_the_one_that_needs_a_person_decides(
    errors: tuple[TieoutError, ...], code: ExitCode
) -> None:
    assert worst(errors) is code


def test_an_error_names_its_connection_once() -> None:
    error = about("books", RetryLater("Xero does not answer.", seconds=5))

    assert str(about("books", error)) == "books: Xero does not answer."


# --------------------------------------------------------------------------------------- side by side

LINKED = {"$linked": {"entity": "contacts", "key": "shop/customer/1", "give": "id"}}


def flat(*payloads: Mapping[str, Any] | None) -> dict[str, tuple[object, ...]]:
    return dict(fields.rows(payloads))


def test_nested_fields_get_a_row_each_and_references_read_as_what_they_name() -> None:
    assert flat({"Contact": {"ContactID": LINKED}}, {"Contact": {"ContactID": "guid"}}) == {
        "Contact.ContactID": ("→ contacts shop/customer/1", "guid")
    }


def test_a_field_that_is_to_be_emptied_says_so() -> None:
    assert flat({"Reference": {"$cleared": True}}, {"Reference": "x"}) == {"Reference": ("(cleared)", "x")}


def test_lines_are_told_apart_by_our_name_for_them() -> None:
    before = {"LineItems": [{"_line": "9", "Quantity": 1}, {"_line": "ship", "Quantity": 1}]}
    after = {"LineItems": [{"_line": "ship", "Quantity": 2}]}

    assert flat(before, after) == {"LineItems[9].Quantity": (1, None), "LineItems[ship].Quantity": (1, 2)}


def test_lines_of_the_target_are_told_apart_by_their_place() -> None:
    ours = {"LineItems": [{"_line": "9", "Quantity": 1}]}
    theirs = {"LineItems": [{"Quantity": "1.0000", "LineItemID": "x"}]}

    assert flat(ours, theirs) == {
        "LineItems[9].Quantity": (1, "1.0000"),
        "LineItems[9].LineItemID": (None, "x"),
    }


def test_lists_without_names_are_numbered_and_lists_of_values_stay_whole() -> None:
    assert flat({"Phones": [{"Number": "1"}], "Tags": ["a", "b"]}) == {
        "Phones[1].Number": ("1",),
        "Tags": (["a", "b"],),
    }


def test_a_side_that_is_missing_is_empty() -> None:
    assert flat(None, {"A": 1}) == {"A": (None, 1)}
    assert flat(None, None) == {}


def paid_is_authorised(_field: str, sent: object, held: object) -> bool:
    return (sent, held) in {("AUTHORISED", "PAID"), ("2026-03-01", "/Date(1772323200000+0000)/")}


@pytest.mark.parametrize(
    ("first", "second", "same", "said"),
    [
        ("x", "x", None, "="),
        (4, "4.0000", None, "="),
        (True, 1, None, "="),
        ("x", "y", None, "y"),
        (None, "y", None, "y"),
        ("x", None, None, None),
        ("AUTHORISED", "PAID", paid_is_authorised, "PAID"),
        ("2026-03-01", "/Date(1772323200000+0000)/", paid_is_authorised, "="),
        ("2026-03-01", "/Date(0)/", paid_is_authorised, "/Date(0)/"),
    ],
)
def test_what_says_the_same_is_one_sign(
    first: object, second: object, same: Callable[[str, object, object], bool] | None, said: object
) -> None:
    assert fields.unlike("Status", first, second, same) == said


@pytest.mark.parametrize("as_json", [False, True])
def test_a_reader_that_closes_early_is_no_error(as_json: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        monkeypatch.setattr("sys.stdout", closed)
        show(Report(data={"orders": "1042 " * 20_000}, shown=["1042 " * 20_000]), as_json=as_json)


def test_a_log_that_nobody_reads_any_more_ends_no_work_and_changes_no_exit_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        monkeypatch.setattr("sys.stderr", closed)
        done = []

        main = Sections("tieout")

        @main.command("work")
        def work() -> None:
            events.configure(json=True)
            for _ in range(3):
                events.emit(events.Event.DATABASE_STOPPED, folder="x" * 100_000)
                done.append("an event")
            click.echo("x" * 100_000, err=True)
            sys.exit(fail(RetryLater("x" * 100_000), as_json=False))

        with pytest.raises(SystemExit) as ended:
            main.main(["work"])

    assert (ended.value.code, len(done)) == (ExitCode.LATER, 3)


def test_an_error_as_json_that_nobody_reads_keeps_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        monkeypatch.setattr("sys.stdout", closed)

        assert fail(ConfigurationError("x"), as_json=True) == ExitCode.PERSON

    assert "Stopped" in capsys.readouterr().err
