"""Alerts: once an event, again when it has doubled, once when it is over; to each channel that takes them, and to nobody twice."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from cdc import alert_watch, alerts, standing
from cdc.alert_watch import Condition
from cdc.alerts import Told
from tests.db.fix_engine import Engine, engine
from tieout import notify
from tieout.errors import ConfigurationError, CredentialsError, LockHeld
from tieout.sections import Alerts

__all__ = ["engine"]
LONG_AGO = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)


@dataclass
class Ear:
    """A channel that remembers what it took."""

    name: str = "mail #1"
    heard: list[tuple[str, str]] = field(default_factory=list)
    deaf: str | None = None

    def send(self, title: str, body: str, kind: notify.Kind) -> str | None:
        if self.deaf:
            return self.deaf
        self.heard.append((title, body))
        return None

    @property
    def titles(self) -> list[str]:
        return [title.removeprefix("[tieout test] ") for title, _ in self.heard]


def letters(count: int = 1, amount: str = "10.00", event: str = "letters") -> Condition:
    return Condition(
        event=event, kind="dead letters", what=f"{count} invoices need a person", since=datetime.now(UTC), count=count,
        money={"EUR": Decimal(amount)}, who="accountant", command="tieout dead-letters",
    )  # fmt: skip


def tell(engine: Engine, found: Sequence[Condition], *ears: Ear) -> Told:
    return alerts.send(engine.database, found, ears, environment="test")


def watched(engine: Engine, **settings: Any) -> dict[str, Condition]:
    """What is worth an alert, by kind."""
    chosen = replace(engine.settings, alerts=Alerts(**settings))
    found = alert_watch.conditions(engine.connection, chosen, login_ends=lambda _name: None)
    return {condition.kind: condition for condition in found}


# ------------------------------------------------------------------------------------------------ once, worse, over


def test_an_event_is_told_once_again_when_it_doubles_and_when_it_is_over(engine: Engine) -> None:
    ear = Ear()

    told = [
        tell(engine, found, ear) for found in ([letters(2)], [letters(3)], [letters(4)], [letters(4)], [], [])
    ]

    assert ear.titles == [
        "2 invoices need a person", "Worse: 4 invoices need a person", "Over: 4 invoices need a person"
    ]  # fmt: skip
    assert [(each.new, each.worse, each.over, each.delivered) for each in told] == [
        (1, 0, 0, 1), (0, 0, 0, 0), (0, 1, 0, 1), (0, 0, 0, 0), (0, 0, 1, 1), (0, 0, 0, 0)
    ]  # fmt: skip


def test_money_that_doubles_and_a_new_currency_are_worse(engine: Engine) -> None:
    ear = Ear()
    dollars = replace(letters(), money={"EUR": Decimal("10.00"), "USD": Decimal("1.00")})

    for found in ([letters(amount="10.00")], [letters(amount="19.99")], [dollars], [letters(amount="20.00")]):
        tell(engine, found, ear)

    assert [title.partition(":")[0] for title in ear.titles[1:]] == ["Worse", "Worse"]


def test_an_event_is_told_again_at_twice_its_age_but_not_every_few_minutes(engine: Engine) -> None:
    ear, now = Ear(), datetime.now(UTC)

    for hours in (0.1, 1, 11.9, 12.1, 20, 24.3):
        tell(engine, [replace(letters(), since=now - timedelta(hours=hours))], ear)

    assert len(ear.titles) == 3, "when it began, at twelve hours, at twice that"


def test_an_event_that_comes_back_is_a_new_one(engine: Engine) -> None:
    ear = Ear()

    for found in ([letters()], [], [letters()]):
        tell(engine, found, ear)

    assert [title.partition(":")[0] for title in ear.titles] == [
        "1 invoices need a person", "Over", "1 invoices need a person"
    ]  # fmt: skip
    assert [row["over_at"] is None for row in alerts.events(engine.connection, days=1)] == [True, False]


# -------------------------------------------------------------------------------------------- channels and crashes


def test_a_channel_that_fails_stops_no_other_and_hears_the_latest_when_it_is_back(engine: Engine) -> None:
    well, ill = Ear("chat #1"), Ear("mail #2", deaf="did not take the message")

    first = tell(engine, [letters(1)], ill, well)
    [failing] = alerts.failing_channels(engine.connection)
    tell(engine, [letters(2)], ill, well)
    ill.deaf = None
    tell(engine, [letters(2)], ill, well)

    assert first.failing == {"mail #2": "did not take the message"}
    assert (failing["channel"], failing["failures"]) == ("mail #2", 1)
    assert len(well.titles) == 2
    assert ill.titles == ["Worse: 2 invoices need a person"]
    assert alerts.failing_channels(engine.connection) == []


def test_who_did_not_hear_that_it_began_does_not_hear_that_it_is_over(engine: Engine) -> None:
    ill = Ear(deaf="did not take the message")

    tell(engine, [letters()], ill)
    ill.deaf = None
    tell(engine, [], ill)

    assert ill.titles == []


def test_a_new_channel_hears_what_lasts_and_nothing_of_what_is_over(engine: Engine) -> None:
    tell(engine, [letters(event="one"), letters(event="two")], Ear("chat #1"))
    late = Ear("mail #2")

    tell(engine, [letters(event="two")], late)

    assert len(late.titles) == 1


def test_a_crash_loses_nothing_and_repeats_only_what_was_under_way(engine: Engine) -> None:
    """The process dies in the second of three messages: after the channel took it, before that was committed."""

    class Dies(Ear):
        def send(self, title: str, body: str, kind: notify.Kind) -> str | None:
            super().send(title, body, kind)
            if len(self.heard) == 2:
                raise KeyboardInterrupt
            return None

    found = [letters(event=name) for name in ("one", "two", "three")]
    dying, after = Dies(), Ear()
    with pytest.raises(KeyboardInterrupt):
        tell(engine, found, dying)
    tell(engine, found, after)

    numbers = [body.rpartition("(message ")[2] for _, body in [*dying.heard, *after.heard]]
    assert len(numbers) == 4
    assert numbers[1] == numbers[2], "a receiver knows the repeat by its number"
    assert len(set(numbers)) == 3


def test_two_runs_at_once_tell_once(engine: Engine) -> None:
    class Calls(Ear):
        def send(self, title: str, body: str, kind: notify.Kind) -> str | None:
            with pytest.raises(LockHeld):
                tell(engine, [letters()], Ear("other #2"))
            return super().send(title, body, kind)

    ear = Calls()
    tell(engine, [letters()], ear)

    assert len(ear.heard) == 1


# ------------------------------------------------------------------------------------------------ what is worth one


def test_a_message_says_what_since_when_how_much_who_and_what_to_type(engine: Engine) -> None:
    engine.customer()
    engine.order(lines=[{"text": "Bag", "account": "999", "amount": Decimal("12.00")}])
    engine.sync()

    letter = watched(engine)["dead letters"]
    said = alerts.text_of(letter, letter.since + timedelta(hours=3))

    assert said.splitlines() == [
        "What: invoices for books: 1 record needs a person: unknown account.",
        f"Since: {letter.since:%Y-%m-%d %H:%M} UTC (3 hours).",
        "Money: 12.00 EUR.",
        "Who can fix it: accountant.",
        'Type: tieout dead-letters show --cause "unknown account"',
    ]


def test_a_stopped_chain_is_told_with_its_age_and_a_thousand_heads_of_one_cause_are_one_event(
    engine: Engine,
) -> None:
    for number in ("7", "8"):
        engine.customer(number, hold="look at this")
        engine.order(number, customer_id=number, paid="12.00")
    engine.diff()
    fresh = watched(engine)
    engine.connection.execute("update cdc.outbox set created_at = now() - interval '3 hours'")

    chain = watched(engine)["stopped chain"]

    assert "stopped chain" not in fresh, "a diff of a minute ago is not a stopped chain"
    assert chain.what == ("books: 4 entries wait for contacts shop/customer/7 and 1 more: look at this")
    assert (chain.count, chain.money, chain.who) == (4, {"EUR": Decimal("24.00")}, "accountant")
    assert datetime.now(UTC) - chain.since > timedelta(hours=3)


def test_a_payment_that_is_stuck_while_its_invoice_stands_is_told(engine: Engine) -> None:
    engine.customer()
    engine.order()
    engine.sync()
    engine.target.open_amounts = {target_id: Decimal(5) for target_id in engine.target.records["invoices"]}
    engine.order(paid="12.00")
    engine.sync()
    engine.connection.execute("update cdc.outbox set created_at = now() - interval '25 hours'")

    stuck = watched(engine)["stuck payment"]

    assert "1 payments for books are stuck" in stuck.what
    assert (stuck.count, stuck.money, stuck.command) == (
        1, {"EUR": Decimal("12.00")}, "tieout why shop/order/1/payment/1"
    )  # fmt: skip


def test_a_failed_proof_a_refused_connection_and_a_load_that_stands_are_told(engine: Engine) -> None:
    engine.customer()
    engine.sync()
    standing.stop(engine.connection, "books", reason="The plan of jane@example.com does not allow it")
    engine.connection.execute(
        "update cdc.cursors set loaded_from = now() - interval '3 days' where connection = 'books'"
    )
    engine.connection.execute(
        """
        insert into cdc.proofs (run, flow, source_connection, target_connection, currency, day, measure, source_count,
            source_amount, target_count, target_amount, is_equal, is_proved)
        values (gen_random_uuid(), 'invoices', 'shop', 'books', 'EUR', '2026-02-01', 'gross', 2, 2, 1, 1, false, false)
        """
    )

    found = watched(engine)

    assert found["failed proof"].what == (
        "the proof of books failed: 1 of 1 totals (invoices) differ without an explanation"
    )
    assert "jane" not in found["connection stopped"].what
    assert found["connection stopped"].command.endswith("tieout resume books")
    assert "tieout load books" in found["stale load"].command
    assert set(found) == {"failed proof", "connection stopped", "stale load"}


def test_fields_that_both_sides_changed_are_told_without_their_values(engine: Engine) -> None:
    engine.customer()
    engine.sync()
    engine.connection.execute(
        """
        update cdc.links
        set two_way = '{"EmailAddress": {"conflict": {"source": "jane@example.com", "target": "joan@example.com"}}}'
        where entity = 'contacts'
        """
    )

    found = watched(engine)

    assert (
        found["conflicts"].what == "1 field waits for books: both sides changed it, and a person must choose"
    )
    assert found["conflicts"].command == "tieout conflicts"


def test_the_day_budget_and_the_login_are_told_before_they_end(engine: Engine) -> None:
    engine.connection.execute(
        """
        insert into cdc.budget (owner) values ('books');
        insert into cdc.budget_windows (owner, kind, span, quota) values ('books', 'day', interval '1 day', 5000);
        insert into cdc.budget_used (owner, kind, at, amount) values ('books', 'day', now() - interval '20 minutes', 4500);
        """
    )
    chosen = replace(engine.settings, alerts=Alerts())
    ends = datetime.now(UTC) + timedelta(days=6)

    def soon(name: str) -> datetime | None:
        return ends if name == "books" else None

    def unreadable(_name: str) -> datetime | None:
        raise CredentialsError("encrypted with another key")

    found = {each.kind: each for each in alert_watch.conditions(engine.connection, chosen, login_ends=soon)}
    worse = alert_watch.conditions(engine.connection, chosen, login_ends=unreadable)

    assert found["day budget"].what.startswith("4500 of 5000 calls that books allows a day are used")
    assert found["login"].what == f"the login of books ends on {ends:%Y-%m-%d}"
    assert found["login"].command == "tieout connect books"
    assert "cannot be read" in next(each.what for each in worse if each.event == "login books")


def test_no_address_of_a_customer_leaves_with_an_alert() -> None:
    """Keys of guests contain their e-mail."""
    told = Condition(
        event="stopped chain books contacts x", kind="stopped chain", what="2 wait for contacts shop/guest/jane.doe@example.com: held",
        since=LONG_AGO, who="shop", command="tieout why shop/guest/jane.doe@example.com",
    )  # fmt: skip

    said = alerts.text_of(told, LONG_AGO)

    assert "jane" not in said
    assert "example.com" not in said
    assert "shop/guest/…" in said


# ------------------------------------------------------------------------------------------- real mail, real webhook


@contextmanager
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A receiver on this machine; its address and what it got."""
    got: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            return None

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"json://127.0.0.1:{server.server_port}/hook", got
        server.shutdown()


@contextmanager
def mailbox() -> Iterator[tuple[str, list[str]]]:
    """An SMTP server on this machine that takes everything; its address and the mails."""
    got: list[str] = []

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 sink\r\n")
            while line := self.rfile.readline().strip().upper():
                if line == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    got.append(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
                self.wfile.write(b"221 bye\r\n" if line == b"QUIT" else b"250 ok\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        yield (
            f"mailto://127.0.0.1:{port}?from=tieout@localhost.local&to=ann@localhost.local&mode=insecure",
            got,
        )
        server.shutdown()


def test_mail_and_webhook_arrive_and_no_address_is_shown(engine: Engine) -> None:
    with webhook() as (hook, posted), mailbox() as (mail, mails):
        found = notify.channels([hook, mail])
        told = alerts.send(engine.database, [letters()], found, environment="test")

    assert (told.delivered, told.failing) == (2, {})
    assert posted[0]["title"] == "[tieout test] 1 invoices need a person"
    assert "Who can fix it: accountant." in posted[0]["message"]
    assert "Who can fix it: accountant." in mails[0]
    assert [each.name.partition(" ")[0] for each in found] == ["json", "mailto"]
    assert "127.0.0.1" not in f"{[each.name for each in found]} {found}"


def test_nobody_at_the_other_end_is_said_and_no_more(engine: Engine) -> None:
    [channel] = notify.channels(["json://user:hunter2@127.0.0.1:9/hook?cto=1&rto=1"])

    told = alerts.send(engine.database, [letters()], [channel], environment="test")

    assert told.failing == {channel.name: "did not take the message"}
    assert "hunter2" not in str(alerts.failing_channels(engine.connection))


def test_an_address_that_nothing_can_be_sent_to_is_named_by_its_place() -> None:
    with pytest.raises(ConfigurationError) as refused:
        notify.channels(["json://127.0.0.1/hook", "carrierpigeon://secret@roof"])

    assert str(refused.value).startswith("Address 2 of [alerts] urls (carrierpigeon #")
    assert "secret" not in str(refused.value)
