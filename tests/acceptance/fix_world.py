"""A shop, its books, and tieout between them, as a user has them: stand-ins over HTTP, a database, a settings file, commands.

The models are built once a run, into a database that is copied for each world: a build does not depend on data. What a
test looks at is read from the stand-ins' APIs by plain HTTP, not from our mirror.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from console.cli import main
from sandbox import trade
from sandbox.bad_stories import BAD
from sandbox.serving import Running
from sandbox.stand import Stand
from tests.acceptance.fix_warm import Warm
from tests.fix_http import LOCAL
from tests.ledger import from_magento as ledger
from tieout.db import Database
from tieout.settings import package_root

Json = dict[str, Any]
_BEGINS_ANEW = frozenset({"build", "migrate", "restore", "recover"})
"""Commands after which kept sessions would know views and columns that are no more: a scheduler's next run knows the new ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended: exit code, the JSON object it printed, and what it said on standard error."""

    code: int
    data: Json
    said: str


@dataclass(kw_only=True)
class World:
    """One shop and one set of books in one settings file."""

    folder: Path
    database: Database
    shop: Running
    books: Running
    played: list[trade.Played] = field(default_factory=list)
    warm: Warm | None = None
    """The sessions of its commands; None: each command has its own."""

    @property
    def stand(self) -> Stand:
        """The stand-ins as staff and accountant reach them."""
        return Stand(magento=self.shop.address, xero=self.books.address)

    @property
    def settings_file(self) -> Path:
        """`tieout.toml`."""
        return self.folder / "tieout.toml"

    @property
    def lookups(self) -> Path:
        """The user's own lookups, which overlay ours."""
        return self.folder / "lookups"

    # ------------------------------------------------------------------ tieout

    def run(self, *arguments: str, codes: Sequence[int] = (0,)) -> Ended:
        """A command in this process, with `--json`; it must end with one of the codes."""
        with self.warm_sessions(arguments[0]):
            done = CliRunner().invoke(
                main,
                [*arguments, "--json"],
                env={"TIEOUT_SETTINGS": str(self.settings_file)},
                standalone_mode=True,
            )
        printed = done.stdout.strip().splitlines()
        data = json.loads(printed[-1], parse_float=Decimal) if printed else {}
        if done.exit_code not in codes:
            if not isinstance(done.exception, SystemExit) and done.exception is not None:
                raise done.exception
            behind = [
                f"{total['flow']} {total['measure']}: {record['key'] or record['number']} {record['amount']} {record['reason']}"
                for total in data.get("totals", [])
                for record in total["records"]
                if not record["explained"]
            ]
            said = data.get("message") or behind or self._letters() or done.output[-3000:]
            raise AssertionError(f"{arguments} ended with {done.exit_code}: {said}")
        return Ended(code=done.exit_code, data=data, said=done.stderr)

    def warm_sessions(self, command: str = "") -> AbstractContextManager[None]:
        """Meanwhile what runs in this process works in the sessions of the world."""
        if self.warm is None:
            return nullcontext()
        if command in _BEGINS_ANEW:
            self.warm.close()
            return nullcontext()
        return self.warm.sessions()

    def _letters(self) -> list[str]:
        """Dead letters in a line each, for a test that failed."""
        rows = self.rows(
            "select entity, key, state, cause, reason from cdc.outbox where state in ('held', 'rejected')"
        )
        return [" ".join(str(value) for value in row.values()) for row in rows]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The same as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "console", *arguments, "--json"],
            env={**os.environ, "TIEOUT_SETTINGS": str(self.settings_file), "PYTHONPATH": str(package_root())},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def sync(self, *, codes: Sequence[int] = (0,)) -> Json:
        """What a scheduler runs, every few minutes."""
        return self.run("sync", codes=codes).data

    def first_run(self) -> None:
        """What a user does on the first day, `holds approve` after `plan` included; then the news for the shop."""
        for name in ("shop", "books"):
            self.run("connect", name)
        self.run("load")
        self.run("diff", codes=(0, 5))
        self.go_live()
        self.run("diff", codes=(0, 5))
        self.run("holds", "approve", "--reason", "first run")
        self.run("drain", codes=(0, 5))
        self.run("load")
        self.run("diff", codes=(0, 5))
        self.run("holds", "approve", "--reason", "first run, news for the shop")
        self.sync()

    def go_live(self) -> None:
        """Look at what the books have already, say yes to what is sure and no to the rest."""
        self.run("link", "propose")
        self.run("link", "approve", "--reason", "first run")
        # A key that has several pairs loses them all at once.
        for key in dict.fromkeys(pair["key"] for pair in self.run("link", "list").data["proposals"]):
            self.run("link", "reject", key, "--reason", "not the same")

    def proof(self, *, codes: Sequence[int] = (0,)) -> Json:
        """`tieout prove`."""
        return self.run("prove", codes=codes).data

    def behind(self, *, codes: Sequence[int] = (0,)) -> dict[str, Json]:
        """The documents that a proof names behind differences, by key, else by target id; unexplained ones win."""
        named = [
            record
            for total in self.proof(codes=codes)["totals"]
            for record in total["records"]
            if total["measure"] == "gross" and total["flow"] != "orders"
        ]
        ordered = sorted(named, key=lambda record: not record["explained"], reverse=True)
        return {record["key"] or record["target_id"]: record for record in ordered}

    def dead(self) -> dict[str, Json]:
        """Dead letters by key, with cause, reason, cure and who."""
        groups = self.run("dead-letters").data["groups"]
        return {key: group for group in groups for key in group["keys"]}

    def rows(self, statement: str, *values: object) -> list[Json]:
        """Rows of our own database."""
        with self.database.connect() as session:
            return session.execute(statement, values or None).fetchall()

    # ------------------------------------------------------------------ the trade

    def play(self, orders: int, *, bad: bool = False, seed: int = 7) -> None:
        """Play a sample trade."""
        self.played = trade.play(self.stand, orders, bad=bad, seed=seed)

    def stories(self, case: str) -> list[int]:
        """Orders of one kind of story."""
        return [each.order_id for each in self.played if each.case == case]

    def story(self, case: str) -> int:
        """The order of the only (or first) story of a kind."""
        return self.stories(case)[0]

    @property
    def bad(self) -> dict[str, int]:
        """Orders with bad input, by story."""
        names = {teller.__name__ for teller in BAD}
        return {each.case: each.order_id for each in self.played if each.case in names}

    def order(self, number: int) -> Json:
        """An order as the shop's API shows it."""
        token = ledger.log_in(self.shop.address, *self.administrator)
        order: Json = ledger.fetch(f"{self.shop.address}/rest/all/V1/orders/{number}", token)
        return order

    def shop_list(self, path: str) -> list[Json]:
        """Every record of a list of the shop's API, global values."""
        token = ledger.log_in(self.shop.address, *self.administrator)
        asked = f"{self.shop.address}/rest/all/V1/{path}?searchCriteria[pageSize]=0"
        found: list[Json] = ledger.fetch(asked, token)["items"]
        return found

    def of_order(self, entity: str, number: int) -> list[Json]:
        """Invoices, creditmemos or shipments of an order, oldest first."""
        found = [each for each in self.stand.state(entity) if int(each["order_id"]) == number]
        return sorted(found, key=lambda each: int(each["entity_id"]))

    def comments(self, number: int) -> list[str]:
        """The comments on an order that bear our mark."""
        histories = self.order(number).get("status_histories") or []
        return [str(each["comment"]) for each in histories if "[tieout:" in str(each["comment"])]

    # ------------------------------------------------------------------ the books

    def xero(self, plural: str, **params: Any) -> list[Json]:
        """Every record of a list of the Xero API, in its full form."""
        found: list[Json] = []
        page = 1
        while True:
            answer = LOCAL.get(
                f"{self.books.address}/api.xro/2.0/{plural}",
                params={**params, "page": page, "pageSize": 1000},
                headers={"Authorization": f"Bearer {self._token}", "Accept": "application/json"},
                timeout=60,
            )
            answer.raise_for_status()
            some = json.loads(answer.content, parse_float=Decimal)[plural]
            found += some
            if len(some) < 1000:
                return found
            page += 1

    def invoices(self, number: int) -> list[Json]:
        """The Xero invoices of an order by its Reference, in the order of their numbers; voided and deleted ones too."""
        return self._of_order("Invoices", "InvoiceNumber", number)

    def invoice(self, number: int) -> Json:
        """The only Xero invoice of an order."""
        (found,) = self.invoices(number)
        return found

    def credit_notes(self, number: int) -> list[Json]:
        """The Xero credit notes of an order."""
        return self._of_order("CreditNotes", "CreditNoteNumber", number)

    def contact(self, invoice: Json) -> Json:
        """The contact of an invoice."""
        (found,) = self.xero("Contacts", IDs=invoice["Contact"]["ContactID"], includeArchived="true")
        return found

    def payments(self, number: int) -> list[Json]:
        """Live payments and refunds of an order, by the mark in their reference."""
        begins = f"shop/order/{number}/"
        return [
            each
            for each in self.xero("Payments")
            if str(each.get("Reference", "")).startswith(begins) and each["Status"] != "DELETED"
        ]

    def _of_order(self, plural: str, numbered_by: str, number: int) -> list[Json]:
        increment = self.order(number)["increment_id"]
        found = [each for each in self.xero(plural) if each.get("Reference") == increment]
        return sorted(found, key=lambda each: str(each[numbered_by]))

    @property
    def _token(self) -> str:
        credentials = self.books.credentials
        answer = LOCAL.post(
            f"{self.books.address}/connect/token",
            data={"grant_type": "client_credentials"},
            auth=(credentials["custom_client_id"], credentials["custom_client_secret"]),
            timeout=30,
        )
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    # ------------------------------------------------------------------ what went over the wire

    @contextmanager
    def watched(self) -> Iterator[list[str]]:
        """Write calls made meanwhile, as `PUT Invoices` or `POST orders/comments`, filled in at the end."""
        calls: list[str] = []
        marks = {each.address: _requests(each, 0)["last"] for each in (self.shop, self.books)}
        yield calls
        for each in (self.books, self.shop):
            calls += [
                _named(request)
                for request in _requests(each, marks[each.address])["requests"]
                if request["write"]
            ]

    def fault(self, where: Running, kind: str, method: str, path: str, **options: Any) -> None:
        """Let the next request that fits go wrong."""
        body = {"kind": kind, "method": method, "path": path, **options}
        LOCAL.post(f"{where.address}/_sandbox/faults", json=body, timeout=30).raise_for_status()

    def unstruck(self) -> list[Json]:
        """Faults that no request has met."""
        return [
            fault
            for each in (self.shop, self.books)
            for fault in LOCAL.get(f"{each.address}/_sandbox/faults", timeout=30).json()["faults"]
        ]

    # ------------------------------------------------------------------ the separate ledger

    def ledgers(self) -> tuple[Json, Json]:
        """What the separate script expects of the books, and what they say; what is not sent yet is left out by order."""
        without, unpaid = self.not_sent()
        token = ledger.log_in(self.shop.address, *self.administrator)
        wanted = ledger.expected(
            *ledger.read_shop(self.shop.address, token), without=without, unpaid=unpaid
        ).plain()
        return wanted, ledger.read_books(self.books.address, ledger.ACCOUNTS, self.not_ours()).plain()

    def ledger_script(self) -> subprocess.CompletedProcess[str]:
        """The same as a stranger would run it."""
        without, unpaid = self.not_sent()
        username, password = self.administrator
        options = [
            *(("--magento", self.shop.address), ("--xero", self.books.address)),
            *(("--username", username), ("--password", password)),
            *(("--without", str(number)) for number in without),
            *(("--unpaid", str(number)) for number in unpaid),
            *(("--not-ours", record) for record in self.not_ours()),
        ]
        return subprocess.run(
            [sys.executable, str(Path(ledger.__file__)), *(word for pair in options for word in pair)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def not_sent(self) -> tuple[frozenset[int], frozenset[int]]:
        """Orders whose invoice is a dead letter or waits for one, and orders of which only the payment is."""
        opened = self.rows(
            "select entity, split_part(key, '/', 3)::int as number from cdc.outbox where key like 'shop/order/%%'"
            " and entity in ('invoices', 'payments')"
        )
        without = {row["number"] for row in opened if row["entity"] == "invoices"}
        return frozenset(without), frozenset({row["number"] for row in opened} - without)

    def not_ours(self) -> frozenset[str]:
        """Documents in Xero without an order's number: others made them."""
        return frozenset(each["InvoiceID"] for each in self.xero("Invoices") if not each.get("Reference"))

    def causes(self) -> dict[int, set[str]]:
        """Why documents of an order are stopped for a person: the causes of its open entries, by order."""
        rows = self.rows(
            "select split_part(key, '/', 3)::int as number, coalesce(cause, held_for) as cause from cdc.outbox"
            " where key like 'shop/order/%%' and (state = 'rejected' or state = 'held')"
        )
        found: dict[int, set[str]] = defaultdict(set)
        for row in rows:
            found[row["number"]].add(row["cause"])
        return found

    @property
    def administrator(self) -> tuple[str, str]:
        """Name and password of the shop's administrator."""
        return self.shop.credentials["admin_username"], self.shop.credentials["admin_password"]


def _requests(where: Running, since: int) -> Json:
    answer: Json = LOCAL.get(f"{where.address}/_sandbox/requests", params={"since": since}, timeout=30).json()
    return answer


def _named(request: Json) -> str:
    words = [
        word for word in request["path"].split("/")[1:] if word not in ("api.xro", "2.0", "rest", "all", "V1")
    ]
    return f"{request['method']} {'/'.join(word for word in words if not any(letter.isdigit() for letter in word))}"


def now() -> datetime:
    """The time of later changes: what was loaded before is older."""
    return datetime.now(UTC)
