"""A world whose commands are processes that strike themselves, and what must hold when all has settled.

`Faults` starts victims (`victim.py`) at named points (`points.py`), lets time pass for the calls they left, runs ordinary
commands, and looks: into the stand-ins by plain HTTP, into our own tables only for what is left lying about.
"""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from sandbox import magento, xero
from sandbox.people import shopper
from sandbox.serving import Running
from sandbox.stand import item, place
from tests.acceptance.fix_setup import new_world, write_settings
from tests.acceptance.fix_warm import NAME as KEPT
from tests.acceptance.fix_warm import Warm
from tests.acceptance.fix_world import Ended, World, now
from tests.faults.fix_victims import SECONDS, Json, Launcher, Victim
from tests.faults.points import names_of
from tieout import embedded
from tieout.db import Database

ROUNDS = 4
"""After so many ordinary runs everything must have settled."""
SLEEPER = "sleeper"
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""A killed server loses nothing by these: only a machine that loses power would."""

_LEASES_END = """
    select pg_terminate_backend(pid, 5000)
    from pg_stat_activity
    where
        datname = current_database()
        and application_name = %(sleeper)s
        and (
            state like 'idle in transaction%%'
            or pid in (
                select pid
                from pg_locks
                where
                    locktype = 'advisory'
                    and database = (select oid from pg_database where datname = current_database())
                    and (classid::bigint << 32) | objid::bigint not in (select lock_key from cdc.workers)
            )
        )
"""

_CUT = """
    select pg_terminate_backend(pid, 5000)
    from pg_stat_activity
    where
        datname = current_database()
        and application_name = %(sleeper)s
        and (
            not %(only_lock)s
            or pid in (
                select pid
                from pg_locks
                where
                    locktype = 'advisory'
                    and database = (select oid from pg_database where datname = current_database())
                    and (classid::bigint << 32) | objid::bigint in (select lock_key from cdc.workers)
            )
        )
"""


class NotMet(Exception):
    """A command came to its end without passing the point where it was to be struck."""


@dataclass(kw_only=True)
class Found:
    """What is wrong after all has settled: empty lists, always."""

    duplicates: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    windows: list[str] = field(default_factory=list)
    """Made twice in a gap that the target leaves open, found, and shown to a person: counted apart."""

    @property
    def is_clean(self) -> bool:
        """Nothing is wrong."""
        return not (self.duplicates or self.losses or self.stuck)


@dataclass(kw_only=True)
class Faults:
    """One world and its victims."""

    world: World
    launcher: Launcher
    folder: Path
    orders: list[int] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    """What fell into windows and was counted."""

    # ------------------------------------------------------------------ work to be done

    def order(self) -> int:
        """A new shopper buys and pays: a contact, an invoice, a payment, a comment in the shop."""
        number = len(self.orders) + 1
        who = shopper(random.Random(number)).renamed(
            "Fault", f"Number {number}", f"fault.{number}@example.com"
        )
        made = int(place(self.world.stand, who, now(), [item("MUG-01")])["entity_id"])
        self.orders.append(made)
        return made

    def entries(self) -> None:
        """What happened in the shop stands in the outbox."""
        self.world.run("load")
        self.world.run("diff")

    def refund(self, number: int) -> None:
        """The shop takes an order back: a credit note, its allocation or refund, a comment."""
        self.world.stand.shop("refund", order_id=number)

    # ------------------------------------------------------------------ victims

    def start(self, *arguments: str, **options: Any) -> Victim:
        """A victim of this world; see `Launcher.start`."""
        return self.launcher.start(*arguments, settings=self.world.settings_file, **options)

    def struck(self, *arguments: str, point: str, nth: int = 1) -> bool:
        """Run a command that is killed at a point; False when it ended before it came there."""
        victim = self.start(*arguments, point=point, nth=nth)
        with self.quiet():
            ended = victim.wait()
        return ended == {"signal": int(signal.SIGKILL)}

    def sleeping(self, *arguments: str, point: str, nth: int = 1) -> Victim:
        """A command that stopped itself at a point; for the database and for itself every deadline passes."""
        victim = self.paused(*arguments, point=point, nth=nth, action="sleep")
        self.time_passes()
        return victim

    def paused(self, *arguments: str, point: str, nth: int = 1, action: str = "pause") -> Victim:
        """A command that stopped itself at a point, for a moment."""
        url = self.world.database.url
        victim = self.start(
            *arguments,
            point=point,
            nth=nth,
            action=action,
            env={"TIEOUT_DATABASE__URL": f"{url}?application_name={SLEEPER}"},
        )
        with self.quiet():
            ended = victim.wait()
        if ended != {"stopped": True}:
            raise NotMet(f"{point}: {ended} {victim.said[-2000:]}")
        return victim

    def cut(self, *, only_lock: bool = False) -> None:
        """The sessions of a paused command end, or only the one that holds its sender's lock."""
        with self.world.database.connect() as session:
            session.execute(_CUT, {"sleeper": SLEEPER, "only_lock": only_lock})

    def recorded(self, *arguments: str) -> Counter[str]:
        """Run a command to its end; the points that it passed, and how often."""
        record = self.folder / "points.txt"
        record.unlink(missing_ok=True)
        ended = self.start(*arguments, record=record).wait()
        assert ended.get("exit") in (0, 5), ended
        return names_of(record)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Wait at the end until the stand-ins have nothing in hand: a killed client's request may still be at work."""
        yield
        for where in (self.world.shop, self.world.books):
            _until_idle(where)

    def time_passes(self) -> None:
        """Calls that nobody answers for any more are past their deadline, and sessions past their lease.

        The server ends such sessions by itself (`test_db` looks at that); here nobody waits for it.
        """
        with self.world.database.connect() as session:
            session.execute(_LEASES_END, {"sleeper": SLEEPER})
            session.execute("update cdc.calls set deadline = clock_timestamp() where settled_at is null")
            session.execute("update cdc.budget_slots set expires_at = clock_timestamp()")
            session.execute("update cdc.outbox set not_before = now() where state = 'ready'")

    def kill_server(self) -> None:
        """The first process of the embedded server is killed; the others end as they notice it."""
        folder = embedded.status(self.folder / "data").folder
        pid = int((folder / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
        process = psutil.Process(pid)
        process.kill()
        psutil.wait_procs([process], timeout=SECONDS)

    def forget_tokens(self) -> None:
        """As on another machine: nobody is logged in."""
        with self.world.database.connect() as session:
            session.execute("delete from cdc.vault")

    # ------------------------------------------------------------------ afterwards

    def settle_down(self) -> list[Ended]:
        """What a scheduler does: runs until one finds nothing to do and makes no call. The runs that were needed."""
        done: list[Ended] = []
        for _ in range(ROUNDS):
            self.time_passes()
            with self.world.watched() as calls:
                done.append(self.world.run("sync", codes=(0, 4, 5)))
            if not calls and done[-1].code == 0 and not self.moving():
                return done
        raise AssertionError(
            f"After {ROUNDS} runs it is not at rest: {self.moving()}\n{done[-1].said[-3000:]}"
        )

    def moving(self) -> list[Json]:
        """Entries that are not at rest."""
        return self.world.rows(
            "select key, entity, state, cause, reason from cdc.outbox"
            " where state in ('waiting', 'ready', 'sending', 'in_doubt')"
        )

    def found(self, *, asleep: bool = False) -> Found:
        """Look at everything: each document once, all of them, and nothing lying about but what a sleeper has."""
        shown = {
            row["key"] for row in self.world.rows("select key from cdc.outbox where cause = 'made twice'")
        }
        twice = [*self._twice()]
        windows = [each for each in twice if any(key in each for key in shown)]
        return Found(
            duplicates=[each for each in twice if each not in windows],
            losses=[*self._lost()],
            stuck=[*self._open(), *(() if asleep else self._left_over())],
            windows=windows,
        )

    def check(self, *, asleep: bool = False) -> list[Ended]:
        """Settle down; then nothing is wrong. The runs that were needed."""
        runs = self.settle_down()
        found = self.found(asleep=asleep)
        assert found.is_clean, f"{found}\n{runs[-1].said[-1500:]}"
        return runs

    def _twice(self) -> Iterator[str]:
        books, shop = self.books, self.world.stand.state
        live = {
            "payment": [
                each["Reference"]
                for each in books("Payments")
                if each["Status"] != "DELETED" and each.get("Reference")
            ],
            "invoice": [each["InvoiceNumber"] for each in books("Invoices") if each.get("InvoiceNumber")],
            "credit note": [each["CreditNoteNumber"] for each in books("CreditNotes")],
            "contact": [
                each["EmailAddress"]
                for each in books("Contacts")
                if str(each.get("EmailAddress", "")).startswith("fault.")
            ],
            "comment": [
                f"{each['entity_id']}: {history['comment']}"
                for each in shop("orders")
                for history in each.get("status_histories") or ()
                if "[tieout:" in str(history.get("comment"))
            ],
        }
        for kind, names in live.items():
            for name, count in Counter(names).items():
                if count > 1:
                    yield f"{kind} {name}: {count}"

    def _lost(self) -> Iterator[str]:
        wanted, found = self.world.ledgers()
        if wanted != found:
            yield f"the ledger is {found}, and should be {wanted}"
        ids = {
            "contacts": {each["ContactID"] for each in self.books("Contacts")},
            "invoices": {each["InvoiceID"] for each in self.books("Invoices")},
            "credit_notes": {each["CreditNoteID"] for each in self.books("CreditNotes")},
            "payments": {each["PaymentID"] for each in self.books("Payments")},
        }
        numbers = {each["InvoiceID"]: str(each.get("Reference") or "") for each in self.books("Invoices")}
        linked = self.world.rows(
            "select entity, key, target_id from cdc.links where connection = 'books' and target_id is not null"
        )
        for link in linked:
            if link["entity"] in ids and link["target_id"] not in ids[link["entity"]]:
                yield f"{link['key']} is linked to a record that is not there"
        invoiced = set(numbers.values())
        for number in self.orders:
            if self.world.order(number)["increment_id"] not in invoiced:
                yield f"order {number} has no invoice"
            if not self.world.comments(number):
                yield f"order {number} was told nothing"

    def _open(self) -> Iterator[str]:
        for row in self.world.rows("select * from cdc.outbox where cause is distinct from 'made twice'"):
            yield f"{row['entity']} {row['key']} is {row['state']}: {row['cause']} {row['reason']}"
        for row in self.world.rows("select * from cdc.calls where settled_at is null"):
            yield f"call {row['number']} ({row['outcome']}) never ended"
        for row in self.world.rows("select * from cdc.outbox where state in ('sending', 'in_doubt')"):
            yield f"{row['key']} is {row['state']}"

    def _left_over(self) -> Iterator[str]:
        for table in ("cdc.workers", "cdc.changed_keys", "cdc.changes", "cdc.ask_again"):
            (row,) = self.world.rows(f"select count(*) as found from {table}")
            if row["found"]:
                yield f"{row['found']} rows are left in {table}"
        for row in self.world.rows(
            "select pid, state, query from pg_stat_activity where datname = current_database()"
            " and pid <> pg_backend_pid() and backend_type = 'client backend' and application_name <> %s",
            KEPT,
        ):
            yield f"a session is left: {row}"

    def books(self, entity: str) -> list[Json]:
        """Every record of an entity, as the books keep it."""
        answer = httpx.get(f"{self.world.books.address}/_sandbox/state/{entity}", timeout=30)
        answer.raise_for_status()
        found: list[Json] = answer.json()
        return found


@contextmanager
def new_faults(server_url: str, built: str, folder: Path, *, orders: int = 6) -> Iterator[Faults]:
    """A world with a short trade that is delivered, and a launcher."""
    with new_world(server_url, built, folder) as world, traded(world, folder, orders) as made:
        yield made


@contextmanager
def new_faults_on_own_server(folder: Path, *, orders: int = 6) -> Iterator[Faults]:
    """The same on an embedded server of its own, as a user has it: the commands find it and start it by themselves."""
    data = folder / "data"
    url = embedded.ensure_running(data, server_settings=_FAST)
    try:
        shop, books = (
            magento.start(race_window_ms=0),
            xero.start(minute=None, day=None, concurrent=None, appminute=None),
        )
        warm = Warm()  # for the ordinary runs between and after the victims
        world = World(folder=folder, database=Database(url), shop=shop, books=books, warm=warm)
        write_settings(world, lambda text: text.replace(f"[database]\nurl = '{url}'\n", ""))
        try:
            world.run("migrate")
            world.run("build")
            with traded(world, folder, orders) as made:
                yield made
        finally:
            warm.close()
            shop.stop()
            books.stop()
    finally:
        embedded.remove(data)


@contextmanager
def traded(world: World, folder: Path, orders: int) -> Iterator[Faults]:
    """A world in which so many orders were placed and delivered."""
    world.play(orders)
    world.first_run()
    launcher = Launcher(folder)
    try:
        yield Faults(world=world, launcher=launcher, folder=folder)
    finally:
        launcher.close()


def spread(names: Sequence[str], count: int) -> list[str]:
    """So many of them, evenly."""
    step = max(1.0, len(names) / max(1, count))
    return [names[int(place * step)] for place in range(min(count, len(names)))]


def _until_idle(where: Running) -> None:
    """Two looks a moment apart see the same number of requests."""
    before = -1
    for _ in range(200):
        last = httpx.get(f"{where.address}/_sandbox/requests", params={"since": 10**9}, timeout=30).json()[
            "last"
        ]
        if last == before:
            return
        before = last
        time.sleep(0.01)
