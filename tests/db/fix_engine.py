"""A small shop and a small ledger for tests of the engine: hand-made views, and a target in memory with real semantics.

The shop's records stand in staging.magento__customers and staging.magento__orders; the ledger is mirrored in Xero's staging
tables. The target refuses a number twice, forgets nothing, answers the same call with the same key from memory (if told
to), and can lose an answer before or after the effect.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from cdc.diff import Diffed, diff
from cdc.drain import Drained, drain
from cdc.outbound import Column, DirtyKind, DirtyRule, Lines, OutboundModel
from cdc.writing import Finding, Found, Operation, Outcome, Outgoing, TargetClient, Write, WriteCall
from tieout.budget import Slot, Work, present_work
from tieout.db import Database, json_dumps, json_loads
from tieout.errors import TieoutError, UnknownOutcome
from tieout.http import Answer
from tieout.limits import Limits
from tieout.settings import Connection, Settings, package_root

Record = dict[str, Any]
BOOKS = "books"
SHOP = "shop"

VIEWS = """
create schema outbound;
create view outbound.out_contacts as
select
    coalesce(payload ->> 'to', 'books') as _to, 'shop/customer/' || id as _key,
    connection as _source_connection, id as _source_id,
    payload ->> 'skip' as _skip, payload ->> 'hold' as _hold, payload ->> 'gone' as _gone, payload -> 'problems' as _problems,
    null::numeric as _total, null::text as _currency, null::date as _date, payload -> 'if_taken' as _if_taken,
    null::jsonb as _after, null::jsonb as _expect, payload -> 'identity' as _identity,
    payload ->> 'name' as "Name", payload ->> 'email' as "EmailAddress", payload -> 'phone' as "Phone",
    payload -> 'both_ways' as _both_ways
from staging.magento__customers where deleted_at is null;

create view outbound.out_invoices as
select
    'books' as _to, 'shop/order/' || id || '/1' as _key, connection as _source_connection, id as _source_id,
    payload ->> 'skip' as _skip, payload ->> 'hold' as _hold, payload ->> 'gone' as _gone, payload -> 'problems' as _problems,
    (payload ->> 'total')::numeric as _total, 'EUR' as _currency, (payload ->> 'date')::date as _date,
    null::jsonb as _if_taken, null::jsonb as _after, null::jsonb as _expect,
    'WEB-' || (payload ->> 'number') as "InvoiceNumber",
    jsonb_build_object('ContactID', jsonb_build_object('$linked',
        jsonb_build_object('entity', 'contacts', 'key', 'shop/customer/' || (payload ->> 'customer_id')))) as "Contact",
    payload ->> 'reference' as "Reference", coalesce(payload ->> 'status', 'AUTHORISED') as "Status"
from staging.magento__orders where deleted_at is null and payload ? 'number';

create view outbound.out_invoice_lines as
select
    orders.connection as _source_connection, orders.id as _source_id, 'shop/order/' || orders.id || '/1' as _key,
    line.position::text as _line, line.position::integer as _line_order, line.value -> 'problems' as _problems,
    line.value ->> 'text' as "Description", line.value ->> 'account' as "AccountCode",
    (line.value ->> 'amount')::numeric as "LineAmount"
from staging.magento__orders as orders
cross join jsonb_array_elements(orders.payload -> 'lines') with ordinality as line (value, position)
where orders.deleted_at is null;

create view outbound.out_payments as
select
    'books' as _to, 'shop/order/' || id || '/payment/1' as _key, connection as _source_connection, id as _source_id,
    null::text as _skip, null::text as _hold, payload ->> 'unpaid' as _gone, null::jsonb as _problems,
    (payload ->> 'paid')::numeric as _total, 'EUR' as _currency, null::date as _date,
    null::jsonb as _if_taken, null::jsonb as _after, null::jsonb as _expect,
    jsonb_build_object('InvoiceID', jsonb_build_object('$linked',
        jsonb_build_object('entity', 'invoices', 'key', 'shop/order/' || id || '/1', 'settled', true))) as "Invoice",
    (payload ->> 'paid')::numeric as "Amount", 'shop/order/' || id || '/payment/1' as "Reference"
from staging.magento__orders where deleted_at is null and payload ? 'paid';
"""


def model(
    name: str, entity: str, position: int, dirty: Mapping[str, tuple[DirtyKind, str]], **changes: Any
) -> OutboundModel:
    """A model in force, as `build` would store it."""
    plain = OutboundModel(
        name=name,
        schema="outbound",
        system="xero",
        entity=entity,
        driver="magento__orders",
        columns=(Column(name="_key", type="text"),),
        lines=(),
        amend="open_only",
        on_target_change={
            "default": "hold",
            "Reference": "yield",
            "AccountCode": "yield",
            "Phone": "overwrite",
        },
        both_ways={},
        on_both_changed={},
        marker=None,
        on_missing="hold",
        dirty=tuple(DirtyRule(table=table, kind=kind, value=value) for table, (kind, value) in dirty.items()),
        refers_to=(),
        tables=tuple(dirty),
        lookups=(),
        position=position,
        code_hash="code",
        lookups_hash="lookups",
        is_new=False,
    )
    return replace(plain, **changes)


MODELS = (
    model(
        "out_contacts",
        "contacts",
        0,
        {"magento__customers": ("self", ""), "xero__contacts": ("link", "contacts")},
    ),
    model(
        "out_invoices",
        "invoices",
        1,
        {"magento__orders": ("self", ""), "xero__accounts": ("sweep", "")},
        lines=(Lines(field="LineItems", model="out_invoice_lines", schema="outbound", columns=()),),
    ),
    model("out_payments", "payments", 2, {"magento__orders": ("self", "")}),
)


class FakeTarget:
    """The ledger itself."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Record]] = {"contacts": {}, "invoices": {}, "payments": {}}
        self.requests: list[tuple[str, str, Any]] = []
        self.faults: list[str] = []
        """For the next writes: "", before, after (the answer is lost), or half (so much of the call had its effect)."""
        self.errors: list[TieoutError] = []
        self.on_write: Callable[[], None] | None = None
        self.during_answer: Callable[[], None] | None = None
        self.on_read: Callable[[], None] | None = None
        self.poison: Callable[[Record], bool] = lambda _element: False
        """A call with such an element is answered by 500 and has no effect."""
        self.reads: list[Work] = []
        """The work class of each read."""
        self.mangle: Callable[[Record], Record] = lambda record: record
        self.accounts: set[str] = {"200", "201"}
        self.open_amounts: dict[str, Decimal] = {}
        """By invoice: what payments on it may not exceed."""
        self.memory: dict[str, bytes] = {}
        self.broken: set[str] = set()
        """Keys of calls that were answered by 500 in the middle of their effect."""
        # A test may let another drain run while this one waits for its answer.
        self.lock = threading.RLock()

    @property
    def writes(self) -> list[tuple[str, str, Any]]:
        return [request for request in self.requests if request[0] != "GET"]

    def add(self, entity: str, **fields: Any) -> str:
        """A record that a person made."""
        target_id = str(uuid.uuid4())
        self.records[entity][target_id] = {_ID[entity]: target_id, **fields}
        return target_id

    def write(self, method: str, path: str, body: Any, key: str) -> bytes:
        with self.lock:
            self.requests.append((method, path, body))
            fault = self.faults.pop(0) if self.faults else ""
            if self.errors:
                raise self.errors.pop(0)
            if self.on_write is not None:
                self.on_write()
            if fault == "before":
                raise UnknownOutcome("reset")
            if any(self.poison(element) for element in body["elements"]):
                raise UnknownOutcome("The write was answered by 500.")
            self._break(method, path, body, key, is_now=fault == "half")
            if key not in self.memory:
                entity = path.strip("/")
                results = [self._one(method, entity, element) for element in body["elements"]]
                self.memory[key] = json_dumps(results).encode()
            if self.during_answer is not None:
                self.during_answer()
            if fault == "after":
                raise UnknownOutcome("reset")
            return self.memory[key]

    def _break(self, method: str, path: str, body: Any, key: str, *, is_now: bool) -> None:
        """Answer by 500 in the middle of the effect, and to the same key from then on: Xero keeps errors too ("Idempotency")."""
        if is_now:
            for element in body["elements"][: (len(body["elements"]) + 1) // 2]:
                self._one(method, path.strip("/"), element)
            self.broken.add(key)
        if key in self.broken:
            raise UnknownOutcome("The write was answered by 500.")

    def _one(self, method: str, entity: str, element: Record) -> Record:
        records = self.records[entity]
        natural = _NATURAL.get(entity)
        if method == "PUT" and natural and any(one[natural] == element[natural] for one in records.values()):
            return {"error": f"{natural} {element[natural]} is already in use", "kind": "taken"}
        for line in element.get("LineItems", []):
            if line["AccountCode"] not in self.accounts:
                return {
                    "error": f"Account code '{line['AccountCode']}' is not a valid code",
                    "kind": "account",
                }
        if method == "PUT" and entity == "payments" and self._exceeds(element):
            return {"error": "the amount exceeds the amount outstanding", "kind": "amount"}
        if method == "PUT":
            target_id = str(uuid.uuid4())
            records[target_id] = self.mangle({_ID[entity]: target_id, **element})
            return {"record": records[target_id]}
        target_id = element[_ID[entity]]
        if target_id not in records:
            return {"error": "no such record", "kind": "gone"}
        records[target_id] = self.mangle({**records[target_id], **element})
        return {"record": records[target_id]}

    def _exceeds(self, element: Record) -> bool:
        invoice = element["Invoice"]["InvoiceID"]
        paid = sum(
            Decimal(one["Amount"])
            for one in self.records["payments"].values()
            if one["Invoice"]["InvoiceID"] == invoice
        )
        return invoice in self.open_amounts and paid + Decimal(element["Amount"]) > self.open_amounts[invoice]


_ID = {"contacts": "ContactID", "invoices": "InvoiceID", "payments": "PaymentID"}
_NATURAL = {"contacts": "Name", "invoices": "InvoiceNumber"}


@dataclass(frozen=True, kw_only=True)
class FakeIdentity:
    id: str = "org-1"
    name: str = "Demo"
    is_demo: bool = True
    base_currency: str | None = "EUR"


class FakeHttp:
    calls_at_once: int | None = 1
    """So a drain has one sender; tests of several change it."""

    def __init__(self, target: FakeTarget) -> None:
        self.target = target

    def read(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        work: Work | None = None,
    ) -> Answer:
        self.target.requests.append(("GET", path, None))
        self.target.reads.append(work if work is not None else present_work())
        if self.target.on_read is not None:
            self.target.on_read()
        content = json_dumps(list(self.target.records[path.strip("/")].values())).encode()
        return Answer(status=200, headers={}, content=content, seconds=0)

    def ready_to_write(self, work: Work | None = None, *, size: int = 0) -> Slot:
        return Slot()

    def write(
        self,
        method: str,
        path: str,
        *,
        slot: Slot,
        content: bytes,
        deadline: float,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        with slot:
            body = self.target.write(method, path, json_loads(content), (headers or {})["Idempotency-Key"])
        return Answer(status=200, headers={}, content=body, seconds=0, is_write=True)


class FakeClient:
    def __init__(self, target: FakeTarget, identity: FakeIdentity) -> None:
        self._http = FakeHttp(target)
        self._identity = identity

    @property
    def http(self) -> FakeHttp:
        return self._http

    def identity(self) -> FakeIdentity:
        return self._identity

    def close(self) -> None:
        return None


_FINDING = Finding(mark=None, natural="number", asked="GET all", twice="refuses the number", window="")


@dataclass(kw_only=True)
class FakeWrite:
    """One entity; fulfils cdc.writing.Write."""

    entity: str
    stream: str | None
    adopts: bool = False
    stands_in: bool = False
    """A payment that others entered on the same invoice, of the same amount and without a key, does for ours."""
    finding: Finding = _FINDING
    settling_seconds: int = 0
    replay_seconds: int = 0
    size: int = 50
    serial: Callable[[Outgoing], str | None] = lambda _outgoing: None
    checks: Callable[[Operation, Outgoing], Outcome | None] = lambda _operation, _outgoing: None

    def batch(self, operation: Operation) -> int:
        return self.size

    def serial_by(self, outgoing: Outgoing) -> str | None:
        return self.serial(outgoing)

    def check(
        self, client: TargetClient, operation: Operation, outgoing: Sequence[Outgoing]
    ) -> list[Outcome | None]:
        return [self.checks(operation, one) for one in outgoing]

    def request(self, operation: Operation, outgoing: Sequence[Outgoing]) -> WriteCall:
        return WriteCall(
            method="PUT" if operation == "create" else "POST",
            path=f"/{self.entity}",
            body={"elements": [self._element(operation, one) for one in outgoing]},
            serial_by=self.serial(outgoing[0]),
        )

    def _element(self, operation: Operation, one: Outgoing) -> Record:
        known = {} if operation == "create" else {_ID[self.entity]: one.target_id}
        if operation == "remove":
            return {**known, "Status": "VOIDED"}
        names = one.payload if one.fields is None else one.fields
        return {**known, **{name: _plain(one.payload[name]) for name in names if name in one.payload}}

    def outcomes(self, operation: Operation, outgoing: Sequence[Outgoing], answer: Answer) -> list[Outcome]:
        return [self._outcome(result) for result in answer.json()]

    def _outcome(self, result: Record) -> Outcome:
        if "record" in result:
            record = result["record"]
            return Outcome(kind="applied", target_id=record[_ID[self.entity]], record=record)
        words = (result["error"],)
        if result["kind"] == "taken":
            return Outcome(
                kind="taken" if self.entity == "contacts" else "rejected",
                messages=words,
                cause="name taken",
                ask=True,
            )
        if result["kind"] == "amount":
            return Outcome(
                kind="rejected", messages=words, cause="more than is open", who="accountant", ask=True
            )
        depends_on = ("accounts",) if result["kind"] == "account" else ()
        return Outcome(
            kind="rejected", messages=words, cause="unknown account", who="accountant", depends_on=depends_on
        )

    def find(self, client: TargetClient, outgoing: Sequence[Outgoing]) -> list[list[Found]]:
        records = client.http.read(f"/{self.entity}").json()
        return [self._found(one, records) for one in outgoing]

    def look(self, client: TargetClient, outgoing: Sequence[Outgoing]) -> list[list[Found]]:
        return self.find(client, outgoing) if self.stands_in else [[] for _ in outgoing]

    def holders(
        self, connection: psycopg.Connection[Record], connection_name: str, one: Outgoing
    ) -> tuple[str, ...]:
        rows = connection.execute(
            f"select id from staging.xero__{self.entity} where connection = %s and payload ->> 'Name' = %s",
            (connection_name, one.payload.get("Name")),
        )
        return tuple(row["id"] for row in rows)

    def find_in_mirror(
        self, connection: psycopg.Connection[Record], connection_name: str, outgoing: Sequence[Outgoing]
    ) -> list[list[Found]]:
        if self.stream is None:
            return [[] for _ in outgoing]
        rows = connection.execute(
            f"select payload from staging.xero__{self.stream} where connection = %s",
            (connection_name,),
        )
        records = [row["payload"] for row in rows]
        return [self._found(one, records) for one in outgoing]

    def _found(self, one: Outgoing, records: Sequence[Record]) -> list[Found]:
        if one.operation != "create":
            mine = [record for record in records if record[_ID[self.entity]] == one.target_id]
            return [
                Found(target_id=str(one.target_id), record=record, is_ours=not self.differs(one, record))
                for record in mine
            ]
        natural = {"contacts": "EmailAddress", "invoices": "InvoiceNumber", "payments": "Reference"}[
            self.entity
        ]
        found = [
            Found(
                target_id=record[_ID[self.entity]],
                record=record,
                is_ours=self._is_ours(one, record),
                satisfies=self._stands_in(one, record) and not self._is_ours(one, record),
            )
            for record in records
            if (one.payload.get(natural) and record.get(natural) == one.payload.get(natural))
            or self._stands_in(one, record)
        ]
        return sorted(found, key=lambda each: not each.is_ours)

    def _stands_in(self, one: Outgoing, record: Record) -> bool:
        return (
            self.stands_in
            and "/" not in str(record.get("Reference"))
            and all(self.same(name, one.payload[name], record.get(name)) for name in ("Invoice", "Amount"))
        )

    def _is_ours(self, one: Outgoing, record: Record) -> bool:
        return all(self.same(name, value, record.get(name)) for name, value in _plain(one.payload).items())

    def same(self, field: str, sent: object, held: object) -> bool:
        if {sent if isinstance(sent, str) else "", held if isinstance(held, str) else ""} == {
            "AUTHORISED",
            "PAID",
        }:
            return True
        return bool(_plain(sent) == _plain(held))

    def returned(self, payload: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
        return {name: record.get(name) for name in payload}

    def differs(self, outgoing: Outgoing, record: Mapping[str, Any]) -> tuple[str, ...]:
        if outgoing.operation == "remove":
            return () if record.get("Status") == "VOIDED" else ("Status",)
        names = outgoing.payload if outgoing.fields is None else outgoing.fields
        return tuple(
            name for name in names if not self.same(name, outgoing.payload.get(name), record.get(name))
        )

    def lacking(self, payload: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(name for name in payload if not record.get(name))

    def merged_into(self, record: Mapping[str, Any]) -> str | None:
        return record.get("MergedInto")

    def frozen(self, record: Mapping[str, Any], organisation: Mapping[str, Any] | None) -> str | None:
        return "paid" if record.get("Status") == "PAID" else None


def _plain(value: Any) -> Any:
    """As the target would hold it: without our own keys."""
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items() if not name.startswith("_")}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value


@dataclass(kw_only=True)
class Engine:
    """The whole of it, with the verbs that tests use."""

    database: Database
    connection: psycopg.Connection[Record]
    settings: Settings
    target: FakeTarget = field(default_factory=FakeTarget)
    writes: dict[str, FakeWrite] = field(default_factory=dict)
    identity: FakeIdentity = field(default_factory=FakeIdentity)
    run: uuid.UUID = field(default_factory=uuid.uuid4)

    def __post_init__(self) -> None:
        self.writes = {
            entity: FakeWrite(entity=entity, stream=entity, adopts=entity == "contacts")
            for entity in ("contacts", "invoices", "payments")
        }

    def writers(self, _system: str) -> Mapping[str, Write]:
        return self.writes

    def customer(self, customer_id: str = "7", **fields: Any) -> None:
        self.put(
            "magento__customers",
            customer_id,
            {"name": f"Jane {customer_id}", "email": f"{customer_id}@example.com", **fields},
        )

    def order(self, order_id: str = "1", **fields: Any) -> None:
        plain = {
            "number": f"{order_id:0>9}",
            "customer_id": "7",
            "total": Decimal("12.00"),
            "date": "2026-10-01",
            "lines": [{"text": "Bag", "account": "200", "amount": Decimal("12.00")}],
        }
        self.put("magento__orders", order_id, {**plain, **fields})

    def put(self, table: str, record_id: str, payload: Record, connection: str = SHOP) -> None:
        """A record as a loader stores it, with its change."""
        self.connection.execute(
            f"""
            with version as (select nextval('cdc.version') as version),
            merged as (
                insert into staging.{table} (connection, id, payload, content_hash, version)
                select %(connection)s, %(id)s, %(payload)s, md5(%(payload)s::text), version from version
                on conflict (connection, id) do update
                set payload = excluded.payload, content_hash = excluded.content_hash, version = excluded.version, deleted_at = null
            )
            insert into cdc.changes (connection, stream, id, version) select %(connection)s, %(stream)s, %(id)s, version from version
            """,
            {
                "connection": connection,
                "id": record_id,
                "payload": Jsonb(payload),
                "stream": table.partition("__")[2],
            },
        )

    def delete(self, table: str, record_id: str, connection: str = SHOP) -> None:
        """A record that its source no longer has."""
        self.connection.execute(
            f"update staging.{table} set deleted_at = now(), version = nextval('cdc.version') where id = %s",
            (record_id,),
        )
        self.connection.execute(
            "insert into cdc.changes (connection, stream, id, version) values (%s, %s, %s, nextval('cdc.version'))",
            (connection, table.partition("__")[2], record_id),
        )

    def load(self) -> None:
        """Mirror the target: what a loader would have read by now."""
        for entity, records in self.target.records.items():
            for target_id, record in records.items():
                known = self.row(f"select payload from staging.xero__{entity} where id = %s", target_id)
                if known is None or known["payload"] != record:
                    self.put(
                        f"xero__{entity}",
                        target_id,
                        json.loads(json_dumps(record), parse_float=Decimal),
                        BOOKS,
                    )
        self.connection.execute(
            "update cdc.cursors set loaded_version = nextval('cdc.version'), backfilled_at = now()"
        )

    def diff(self, **options: Any) -> Diffed:
        return diff(self.database, self.settings, run=self.run, writers=self.writers, **options)

    def drain(self, **options: Any) -> Drained:
        return drain(
            self.database,
            self.settings,
            run=self.run,
            writers=self.writers,
            open_client=lambda _connection: FakeClient(self.target, self.identity),
            wait=lambda _seconds: None,
            **options,
        )

    def sync(self) -> Drained:
        self.load()
        self.diff()
        return self.drain()

    def rows(self, statement: str, *values: object) -> list[Record]:
        return self.connection.execute(statement, values).fetchall()

    def row(self, statement: str, *values: object) -> Record | None:
        return self.connection.execute(statement, values).fetchone()

    def entry(self, key: str) -> Record | None:
        return self.row("select * from cdc.outbox where key = %s", key)

    def link(self, key: str) -> Record:
        found = self.row("select * from cdc.links where key = %s", key)
        assert found is not None
        return found

    def states(self) -> dict[str, str]:
        """Open entries by key: the state, or why it is held."""
        return {row["key"]: row["held_for"] or row["state"] for row in self.rows("select * from cdc.outbox")}

    def in_force(self, changed: OutboundModel) -> None:
        """Store a model as `build` would."""
        self.connection.execute(
            """
            insert into cdc.models (model, kind, system, entity, config, code_hash, lookups_hash, sweep_due, is_new, is_changed, build)
            values (%(model)s, 'outbound', %(system)s, %(entity)s, %(config)s, 'code', 'lookups', false, %(is_new)s, %(is_changed)s, 'b1')
            on conflict (model) do update
            set config = excluded.config, is_new = excluded.is_new, is_changed = excluded.is_changed
            """,
            {
                "model": changed.name,
                "system": changed.system,
                "entity": changed.entity,
                "config": Jsonb(changed.to_config()),
                "is_new": changed.is_new,
                "is_changed": changed.is_changed,
            },
        )

    def later(self, seconds: int = 3600) -> None:
        """Let time pass: what was put off is due, what was sent is that much older."""
        self.connection.execute("update cdc.outbox set not_before = now()")
        # Calls stand as they were sent; a test moves their clock all the same.
        self.connection.execute("set session_replication_role = replica")
        self.connection.execute(
            "update cdc.calls set sent_at = sent_at - make_interval(secs => %(s)s), deadline = deadline - make_interval(secs => %(s)s)",
            {"s": seconds},
        )
        self.connection.execute("set session_replication_role = origin")

    def limit(self, **limits: Any) -> None:
        self.settings = replace(self.settings, limits=Limits(**limits))


@pytest.fixture
def engine(database: Database, connection: psycopg.Connection[Record], tmp_path: Path) -> Engine:
    """Shop and ledger connected, three models in force, the target's streams loaded; nothing in them yet."""
    return new_engine(database, connection, tmp_path)


def new_engine(database: Database, connection: psycopg.Connection[Record], data_dir: Path) -> Engine:
    """The same in a database and folder of the caller's."""
    root = package_root()
    settings = Settings(
        environment="test",
        data_dir=data_dir,
        database_url=database.url,
        project_dir=root,
        lookups_dir=root / "models" / "lookups",
        connections={
            SHOP: Connection(name=SHOP, system="magento"),
            BOOKS: Connection(name=BOOKS, system="xero", writes="on"),
        },
    )
    connection.execute(VIEWS)
    connection.execute(
        "insert into cdc.connections (connection, system, target_identity) values ('shop', 'magento', 'shop-1')"
    )
    connection.execute(
        "insert into cdc.connections (connection, system, target_identity) values ('books', 'xero', 'org-1')"
    )
    # Going live lies behind it: what the ledger has was looked at (tests/db/test_linking_look.py).
    connection.execute(
        "insert into cdc.going_live (connection, entity, opened_at, opened_by, how)"
        " select 'books', entity, now(), 'test', 'done' from unnest(array['contacts', 'invoices', 'payments']) as entity"
    )
    connection.execute("insert into cdc.builds (build, switched_at) values ('b1', now())")
    for stream in ("contacts", "invoices", "payments"):
        connection.execute(
            "insert into cdc.cursors (connection, stream, backfilled_at, loaded_version) values ('books', %s, now(), 0)",
            (stream,),
        )
    made = Engine(database=database, connection=connection, settings=settings)
    for each in MODELS:
        made.in_force(each)
    return made


__all__ = ["BOOKS", "MODELS", "SHOP", "Engine", "FakeTarget", "engine", "model", "new_engine"]
