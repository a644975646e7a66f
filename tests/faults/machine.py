"""Random interleavings of everything that happens, against what must hold whatever happens.

A shop and a ledger in memory (`tests/db/fix_engine.py`) with the real diff, drain and Postgres between them. Rules place,
amend, pay, refund and cancel orders and edit customers; act as a person in the ledger; load, diff, drain, let time pass;
and strike: answers lost before, after and in the middle of the effect, commands killed, broken or cut off at any statement,
and other commands or people acting while a request is under way. `Machine.model` says what the shop wants; `check_always`
holds after each step, `teardown` lets things come to rest and holds the ledger against the model.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.db.fix_engine import Engine, FakeTarget, Record, new_engine
from tests.faults.striking import Strike, striking
from tests.fix_databases import Pool
from tieout.db import Database
from tieout.errors import TieoutError

CUSTOMERS = st.sampled_from(["1", "2", "3"])
ORDERS = st.sampled_from(["1", "2", "3", "4"])
AMOUNTS = st.sampled_from([Decimal("7.00"), Decimal("12.00"), Decimal("30.50")])
WORDS = st.sampled_from(["", "a", "b"])
ENTITIES = ["contacts", "invoices", "payments", "invoices", "payments"]
FAULTS = st.lists(
    st.tuples(st.sampled_from(ENTITIES), st.sampled_from(["before", "after", "after", "half"])), max_size=2
)
"""Of the next calls of these entities."""
STRIKES = st.one_of(
    st.none(),
    st.builds(Strike, kind=st.sampled_from(["kill", "mistake", "cut"]), at=st.integers(1, 60)),
)
DEEDS = ["amend", "edit customer", "diff", "drain", "load", "void", "rename", "cut", "time"]
MEANWHILE = st.one_of(
    st.none(),
    st.tuples(
        st.sampled_from(["on_write", "during_answer", "on_read"]),
        st.sampled_from(ENTITIES),
        st.one_of(
            st.lists(st.sampled_from(DEEDS), min_size=1, max_size=2),
            st.just(["time", "load", "drain"]),
            st.just(["amend", "diff", "drain"]),
        ),
    ),
)
"""While a request about this entity is under way: before its effect, after it, or at a question."""
NAMED = frozenset(
    {"rejected", "problems", "hold", "conflict", "answer differs", "vanished", "target changed", "frozen"}
)
"""What is open so is a dead letter or a hold: a person sees it."""
ROUNDS = 14


class Ledger(FakeTarget):
    """The ledger, and what was made in it through the API."""

    def __init__(self) -> None:
        super().__init__()
        self.made: Counter[tuple[str, str]] = Counter()
        """Creates that had an effect, by entity and what we called it then."""
        self.keys: set[str] = set()
        """Idempotency keys of all requests."""
        self.origin: dict[str, tuple[str, str]] = {}

        self.aims: list[tuple[str, str]] = []
        self.meanwhile: tuple[str, str, Callable[[], None]] | None = None

    def write(self, method: str, path: str, body: Any, key: str) -> bytes:
        self.keys.add(key)
        entity = path.strip("/")
        aim = next((aim for aim in self.aims if aim[0] == entity), None)
        if aim is not None:
            self.aims.remove(aim)
        self.faults = [aim[1]] if aim is not None else []
        self.on_write = partial(self._now, "on_write", entity)
        self.during_answer = partial(self._now, "during_answer", entity)
        return super().write(method, path, body, key)

    def _now(self, moment: str, entity: str) -> None:
        if self.meanwhile is not None and self.meanwhile[:2] == (moment, entity):
            _, _, act = self.meanwhile
            self.meanwhile = None
            act()

    def asked(self) -> None:
        """A question is under way."""
        self._now("on_read", self.requests[-1][1].strip("/"))

    def _one(self, method: str, entity: str, element: Record) -> Record:
        result = super()._one(method, entity, element)
        if method == "PUT" and "record" in result:
            mark = (entity, element[MARKS[entity]])
            self.made[mark] += 1
            self.origin[result["record"][IDS[entity]]] = mark
        return result


IDS = {"contacts": "ContactID", "invoices": "InvoiceID", "payments": "PaymentID"}
MARKS = {"contacts": "Name", "invoices": "InvoiceNumber", "payments": "Reference"}


@dataclass(kw_only=True)
class Order:
    """What the shop says of an order."""

    customer: str
    total: Decimal
    paid: bool = False
    refunded: bool = False
    cancelled: bool = False

    def payload(self, order_id: str) -> Record:
        """As the mirror has it."""
        record: Record = {
            "number": f"{order_id:0>9}",
            "customer_id": self.customer,
            "total": self.total,
            "date": "2026-10-01",
            "lines": [{"text": "Bag", "account": "200", "amount": self.total}],
        }
        if self.paid:
            record["paid"] = self.total
        if self.refunded:
            record["unpaid"] = "refunded"
        if self.cancelled:
            record["gone"] = "cancelled"
        return record


@dataclass
class Shop:
    """What the shop wants."""

    customers: dict[str, str] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)


class Machine(RuleBasedStateMachine):
    """One run of it."""

    pool: Pool

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        url = self.stack.enter_context(self.pool.lend())
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        database = Database(url)
        connection = self.stack.enter_context(database.connect())
        self.engine: Engine = new_engine(database, connection, folder)
        self.ledger = Ledger()
        self.engine.target = self.ledger
        for write in self.engine.writes.values():
            write.adopts = False
        self.model = Shop()
        self.versions: dict[tuple[str, str], tuple[int, int]] = {}

    @initialize(paid=st.lists(st.booleans(), min_size=2, max_size=2))
    def begin(self, paid: list[bool]) -> None:
        """Two orders, of two customers."""
        self.ledger.on_read = self.ledger.asked
        for number, is_paid in enumerate(paid, start=1):
            self.place(str(number), str(number), Decimal("12.00"), is_paid)

    # --- the shop

    @rule(
        deed=st.sampled_from(["place", "place", "pay", "pay", "refund", "amend", "cancel"]),
        order=ORDERS,
        customer=CUSTOMERS,
        total=AMOUNTS,
    )
    def shop(self, deed: str, order: str, customer: str, total: Decimal) -> None:
        match deed:
            case "place":
                self.place(order, customer, total, paid=total > 10)
            case "amend":
                self.amend(order, total)
            case "pay":
                self.pay(order)
            case "refund":
                self.refund(order)
            case _:
                self.cancel(order)

    @rule(customer=CUSTOMERS, phone=WORDS)
    def edit_customer(self, customer: str, phone: str) -> None:
        self.model.customers[customer] = phone
        self.engine.customer(customer, **({"phone": phone} if phone else {}))

    def place(self, order: str, customer: str, total: Decimal, paid: bool) -> None:
        if order in self.model.orders:
            return
        if customer not in self.model.customers:
            self.edit_customer(customer, "")
        self.model.orders[order] = Order(customer=customer, total=total, paid=paid)
        self._tell(order)

    def pay(self, order: str) -> None:
        found = self.model.orders.get(order)
        if found is not None and not found.cancelled:
            found.paid = True
            self._tell(order)

    def refund(self, order: str) -> None:
        found = self.model.orders.get(order)
        if found is not None and found.paid:
            found.refunded = True
            self._tell(order)

    def amend(self, order: str, total: Decimal) -> None:
        found = self.model.orders.get(order)
        if found is not None and not found.paid and not found.cancelled:
            found.total = total
            self._tell(order)

    def cancel(self, order: str) -> None:
        found = self.model.orders.get(order)
        if found is not None:
            found.cancelled, found.refunded = True, found.paid
            self._tell(order)

    # --- a person in the ledger

    @rule(
        what=st.sampled_from(
            ["void", "rename", "reference", "remove payment", "edit contact", "use our number"]
        ),
        order=ORDERS,
    )
    def person(self, what: str, order: str) -> None:
        number = f"WEB-{order:0>9}"
        match what:
            case "void":
                self._person("invoices", number, {"Status": "VOIDED"})
            case "rename":
                self._person("invoices", number, {"InvoiceNumber": f"HAND-{order}"})
            case "reference":
                self._person("invoices", number, {"Reference": "by hand"})
            case "remove payment":
                self._person("payments", f"shop/order/{order}/payment/1", {"Status": "VOIDED"})
            case "edit contact":
                self._person("contacts", f"Jane {order}", {"Phone": "by hand"})
            case _:
                taken = {one["InvoiceNumber"] for one in self.ledger.records["invoices"].values()}
                if number not in taken:
                    self.ledger.add("invoices", InvoiceNumber=number, Reference="typed", Status="AUTHORISED")

    # --- the commands

    @rule(seconds=st.sampled_from([30, 700]))
    def time_passes(self, seconds: int) -> None:
        self.engine.later(seconds)

    @rule(faults=FAULTS, meanwhile=MEANWHILE, order=ORDERS, replay=st.booleans(), loads=st.booleans())
    def sync(
        self,
        faults: list[tuple[str, str]],
        meanwhile: tuple[str, str, list[str]] | None,
        order: str,
        replay: bool,
        loads: bool,
    ) -> None:
        """Load (or not), diff, drain, with answers that get lost and others who act meanwhile."""
        if loads:
            self.engine.load()
        self.engine.diff()
        self._drain(None, faults, meanwhile, order, replay=replay)

    @rule(faults=FAULTS, strikes=st.tuples(STRIKES, STRIKES), full=st.booleans(), order=ORDERS)
    def struck(
        self,
        faults: list[tuple[str, str]],
        strikes: tuple[Strike | None, Strike | None],
        full: bool,
        order: str,
    ) -> None:
        """The same, with commands that are killed, broken or cut off."""
        self.engine.load()
        with striking(strikes[0], self.engine.connection):
            self.engine.diff(full=full)
        self._drain(strikes[1], faults, None, order, replay=False)

    def _drain(
        self,
        strike: Strike | None,
        faults: list[tuple[str, str]],
        meanwhile: tuple[str, str, list[str]] | None,
        order: str,
        *,
        replay: bool,
    ) -> None:
        self.ledger.aims = list(faults)
        for write in self.engine.writes.values():
            write.replay_seconds = 300 if replay else 0
        if meanwhile is not None:
            self.ledger.meanwhile = (*meanwhile[:2], partial(self._meanwhile, meanwhile[2], order))
        try:
            with striking(strike, self.engine.connection), suppress(TieoutError):
                self.engine.drain()
        except psycopg.OperationalError:
            assert meanwhile is not None
            assert "cut" in meanwhile[2]
        finally:
            self.ledger.aims, self.ledger.meanwhile = [], None

    def _meanwhile(self, deeds: list[str], order: str) -> None:
        known: dict[str, Callable[[], Any]] = {
            "amend": lambda: self.amend(order, Decimal("99.00")),
            "edit customer": lambda: self.edit_customer(order if order != "4" else "1", "late"),
            "diff": self.engine.diff,
            "drain": self.engine.drain,
            "load": self.engine.load,
            "void": lambda: self.person("void", order),
            "rename": lambda: self.person("rename", order),
            "cut": self._cut,
            # Its sender lives: nobody may take the call over, however late it is.
            "time": lambda: self.engine.later(700),
        }
        for deed in deeds:
            known[deed]()

    def _cut(self) -> None:
        self.engine.connection.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )

    # --- what must hold

    @invariant()
    def check_always(self) -> None:
        """After each step."""
        twice = {mark: count for mark, count in self.ledger.made.items() if count > 1}
        assert not twice, f"made twice: {twice}"
        known = {str(row["call"]) for row in self.engine.rows("select call from cdc.calls")}
        assert self.ledger.keys <= known, "a request left without a record of it"
        for row in self.engine.rows("select entity, key, version, generation, target_id from cdc.links"):
            name, now = (row["entity"], row["key"]), (row["version"], row["generation"])
            assert now >= self.versions.get(name, (0, 0)), f"{name} went back to {now}"
            self.versions[name] = now
            origin = self.ledger.origin.get(row["target_id"])
            assert origin in (None, (row["entity"], _mark(row["key"]))), f"{name} is linked to {origin}"

    def teardown(self) -> None:
        """Come to rest, and compare."""
        try:
            self._come_to_rest()
            self._compare()
        finally:
            self.stack.close()

    def _come_to_rest(self) -> None:
        for _ in range(ROUNDS):
            before = len(self.ledger.writes)
            self.engine.later(3600)
            self.engine.sync()
            self.check_always()
            states = set(self.engine.states().values())
            if len(self.ledger.writes) == before and not states & {"ready", "sending", "in_doubt"}:
                break
        assert not states & {"ready", "sending", "in_doubt"}, f"stuck: {self.engine.states()}"
        before = len(self.ledger.writes)
        self.engine.sync()
        self.engine.load()
        self.engine.diff(full=True)
        self.engine.drain()
        assert len(self.ledger.writes) == before, f"echo: {self.ledger.writes[before:]}"

    def _compare(self) -> None:
        """Every document once, or named; no entry lost; the money as the shop says."""
        states = self.engine.states()
        drifting = {row["key"] for row in self.engine.rows("select key from cdc.drift")}
        links = {row["key"]: row for row in self.engine.rows("select * from cdc.links")}
        if "waiting" in states.values():
            assert set(states.values()) & NAMED, f"nothing at the head of {states}"
        for customer, phone in self.model.customers.items():
            wanted = {"EmailAddress": f"{customer}@example.com", **({"Phone": phone} if phone else {})}
            self._is_there("contacts", f"shop/customer/{customer}", wanted, states, links, drifting)
        for order_id, order in self.model.orders.items():
            key, payment = f"shop/order/{order_id}/1", f"shop/order/{order_id}/payment/1"
            if order.cancelled:
                self._is_gone("invoices", key, states, links)
            else:
                self._is_there("invoices", key, {"amount": order.total}, states, links, drifting)
            if order.refunded:
                self._is_gone("payments", payment, states, links)
            elif order.paid:
                self._is_there("payments", payment, {"Amount": order.total}, states, links, drifting)

    def _is_there(
        self, entity: str, key: str, wanted: Record, states: Any, links: Any, drifting: set[str]
    ) -> None:
        if states.get(key) in NAMED or states.get(key) == "waiting" or key in drifting:
            return
        assert key not in states, f"{key} is {states[key]}"
        assert key in links, f"{key} is lost"
        target_id = links[key]["target_id"]
        assert target_id in self.ledger.records[entity], f"{key} is neither there nor named"
        record = self.ledger.records[entity][target_id]
        shown = {
            name: sum(Decimal(str(line["LineAmount"])) for line in record["LineItems"])
            if name == "amount"
            else record.get(name)
            for name in wanted
        }
        assert {name: _plain(value) for name, value in shown.items()} == {
            name: _plain(value) for name, value in wanted.items()
        }, key

    def _is_gone(self, entity: str, key: str, states: Any, links: Any) -> None:
        if states.get(key) in NAMED or states.get(key) == "waiting":
            return
        assert key not in states, f"{key} is {states[key]}"
        link = links.get(key)
        if link is None or link["target_id"] is None:
            # It was cancelled before it was made.
            assert not self.ledger.made[(entity, _mark(key))], f"{key} was made and is not linked"
            return
        record = self.ledger.records[entity][link["target_id"]]
        assert record.get("Status") == "VOIDED", f"{key} counts still"

    def _person(self, entity: str, mark: str, fields: Record) -> None:
        """A person edits what we made; a payment is never edited, only removed."""
        for target_id, origin in self.ledger.origin.items():
            if origin == (entity, mark):
                record = self.ledger.records[entity][target_id]
                self.ledger.records[entity][target_id] = {**record, **fields}

    def _tell(self, order: str) -> None:
        self.engine.put("magento__orders", order, self.model.orders[order].payload(order))


def _mark(key: str) -> str:
    _, kind, number, *rest = key.split("/")
    if kind == "customer":
        return f"Jane {number}"
    return key if "payment" in rest else f"WEB-{number:0>9}"


def _plain(value: Any) -> Any:
    return Decimal(value).normalize() if isinstance(value, Decimal | int | float) else value


def run(pool: Pool, *, examples: int, steps: int = 12, seed: int | None = None, shrink: bool = False) -> None:
    """So many random runs of so many steps. Without a seed always the same ones. Raises AssertionError with the steps."""
    phases = (Phase.explicit, Phase.generate, *((Phase.shrink,) if shrink else ()))
    machine = type("Machine", (Machine,), {"pool": pool})
    if seed is not None:
        machine._hypothesis_internal_use_seed = seed  # type: ignore[attr-defined]
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=seed is None,
            database=None,
            phases=phases,
            suppress_health_check=list(HealthCheck),
        ),
    )
