"""A world whose commands are processes that strike themselves, and what must hold when all has settled.

`Faults` starts victims (`victim.py`) at named points (`points.py`), lets time pass for the calls they left, runs ordinary
commands, and looks: into the stand-ins by plain HTTP, into our own tables only for what is left lying about.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from sandbox.people import shopper
from sandbox.serving import Running
from sandbox.stand import item, place
from tests.acceptance.fix_setup import new_world
from tests.acceptance.fix_world import Ended, World, now
from tests.faults.points import names_of
from tieout.settings import package_root

SECONDS = 90.0
"""No command of these tests takes longer; one that does hangs."""
ROUNDS = 4
"""After so many ordinary runs everything must have settled."""
Json = dict[str, Any]


@dataclass(kw_only=True)
class Victim:
    """A command that runs as a process of its own, and strikes itself when it comes to its point."""

    launcher: Launcher
    pid: int
    out: Path
    err: Path

    def wait(self, seconds: float = SECONDS) -> Json:
        """Its end: {"exit": code}, {"signal": 9} or {"stopped": True}. A process that hangs is an error."""
        ended = self.launcher.ask({"wait": self.pid, "seconds": seconds})
        if "hung" in ended:
            os.kill(self.pid, signal.SIGKILL)
            self.launcher.ask({"wait": self.pid, "seconds": seconds})
            raise AssertionError(f"A command hangs: {self.said[-2000:]}")
        if "stopped" not in ended:
            self.launcher.alive.discard(self.pid)
        return ended

    def wake(self) -> Json:
        """Let a stopped process go on; how it ended."""
        os.kill(self.pid, signal.SIGCONT)
        return self.wait()

    @property
    def said(self) -> str:
        """What it printed."""
        return self.out.read_text(encoding="utf-8") + self.err.read_text(encoding="utf-8")


class Launcher:
    """The process that forks victims; see `victim.py`."""

    def __init__(self, folder: Path, *, with_dbt: bool = False) -> None:
        self._folder = folder
        self._count = 0
        self.alive: set[int] = set()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.victim", *(["--with-dbt"] if with_dbt else [])],
            env={**os.environ, "PYTHONPATH": str(package_root())},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def ask(self, order: Json) -> Json:
        """One order, its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(order)}\n")
        self._process.stdin.flush()
        return self._answer()

    def start(
        self,
        *arguments: str,
        settings: Path,
        point: str | None = None,
        nth: int = 1,
        action: str = "kill",
        record: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Victim:
        """A command with `--json` in a process of its own, struck when it passes `point` for the `nth` time."""
        self._count += 1
        out, err = (self._folder / f"victim-{self._count}.{name}" for name in ("out", "err"))
        order = {
            "run": [*arguments, "--json"],
            "env": {"TIEOUT_SETTINGS": str(settings), **(env or {})},
            "point": point,
            "nth": nth,
            "action": action,
            "record": str(record) if record else None,
            "out": str(out),
            "err": str(err),
        }
        pid = int(self.ask(order)["pid"])
        self.alive.add(pid)
        return Victim(launcher=self, pid=pid, out=out, err=err)

    def close(self) -> None:
        """End it, and whatever it started."""
        for pid in self.alive:
            os.kill(pid, signal.SIGKILL)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)

    def _answer(self) -> Json:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError("The launcher of victims has died.")
        answer: Json = json.loads(line)
        return answer


@dataclass(kw_only=True)
class Found:
    """What is wrong after all has settled: empty lists, always."""

    duplicates: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)

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
        """Calls that nobody answers for any more are past their deadline: nothing else may need to be done."""
        with self.world.database.connect() as session:
            session.execute("update cdc.calls set deadline = clock_timestamp() where settled_at is null")
            session.execute("update cdc.budget_slots set expires_at = clock_timestamp()")
            session.execute("update cdc.outbox set not_before = now() where state = 'ready'")

    # ------------------------------------------------------------------ afterwards

    def settle_down(self) -> list[Ended]:
        """What a scheduler does: runs until one finds nothing to do. The runs that were needed, and that last one."""
        done: list[Ended] = []
        for _ in range(ROUNDS):
            self.time_passes()
            with self.world.watched() as calls:
                done.append(self.world.run("sync", codes=(0, 4, 5)))
            if not calls and done[-1].code == 0 and not self.moving():
                return done
        return done

    def moving(self) -> list[Json]:
        """Entries that are not at rest."""
        return self.world.rows(
            "select key, entity, state, cause, reason from cdc.outbox"
            " where state in ('waiting', 'ready', 'sending', 'in_doubt')"
        )

    def found(self) -> Found:
        """Look at everything: each document once, all of them, and nothing lying about."""
        return Found(
            duplicates=[*self._twice()], losses=[*self._lost()], stuck=[*self._open(), *self._left_over()]
        )

    def check(self) -> None:
        """Settle down; then nothing is wrong, and one more run finds nothing to do."""
        runs = self.settle_down()
        found = self.found()
        said = runs[-1].said[-1500:] if runs else ""
        assert found.is_clean, f"{found}\n{said}"
        with self.world.watched() as calls:
            self.world.sync()
        assert calls == []

    def _twice(self) -> Iterator[str]:
        books, shop = self._books, self.world.stand.state
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
            "contacts": {each["ContactID"] for each in self._books("Contacts")},
            "invoices": {each["InvoiceID"] for each in self._books("Invoices")},
            "credit_notes": {each["CreditNoteID"] for each in self._books("CreditNotes")},
            "payments": {each["PaymentID"] for each in self._books("Payments")},
        }
        numbers = {each["InvoiceID"]: str(each.get("Reference") or "") for each in self._books("Invoices")}
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
        for row in self.world.rows("select * from cdc.outbox"):
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
            " and pid <> pg_backend_pid() and backend_type = 'client backend'"
        ):
            yield f"a session is left: {row}"

    def _books(self, entity: str) -> list[Json]:
        answer = httpx.get(f"{self.world.books.address}/_sandbox/state/{entity}", timeout=30)
        answer.raise_for_status()
        found: list[Json] = answer.json()
        return found


@contextmanager
def new_faults(server_url: str, built: str, folder: Path, *, orders: int = 6) -> Iterator[Faults]:
    """A world with a short trade that is delivered, and a launcher."""
    with new_world(server_url, built, folder) as world:
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
