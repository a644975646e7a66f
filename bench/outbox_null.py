# ruff: noqa: ARG002 (a target that does nothing has arguments it does not look at)
"""What `bench.outbox` drains: entries of real shape, a target that answers at once, and a worker that is a process.

An entry is an invoice of three lines that refers to its contact (about 0.9 KB of JSON); one call takes fifty, as Xero does.
The target holds nothing and costs nothing: what is measured is all that a drain does beside the request.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from cdc import installation
from cdc.drain import drain
from cdc.writing import Finding, Found, Operation, Outcome, Outgoing, TargetClient, Write, WriteCall
from tieout.budget import Slot, Work
from tieout.db import Database
from tieout.http import Answer
from tieout.settings import Connection, Settings

BOOKS = "books"
BATCH = 50
_FINDING = Finding(mark=None, natural="number", asked="GET", twice="refused", window="")

_CONTACTS = """
insert into cdc.links (connection, entity, key, model, source_connection, source_id, version, target_id, said, returned, linked_at)
select
    'books', 'contacts', 'shop/customer/' || n, 'out_contacts', 'shop', n::text, 1, gen_random_uuid()::text,
    jsonb_build_object('Name', 'Customer ' || n), jsonb_build_object('Name', 'Customer ' || n), now()
from generate_series(1, 1000) as n
on conflict do nothing
"""

_FILL = """
with made as (
    select
        n,
        'shop/order/' || n || '/1' as key,
        jsonb_build_object(
            'Type', 'ACCREC',
            'InvoiceNumber', 'WEB-' || lpad(n::text, 9, '0'),
            'Reference', 'Order ' || n,
            'Contact', jsonb_build_object('ContactID', jsonb_build_object('$linked', jsonb_build_object(
                'entity', 'contacts', 'key', 'shop/customer/' || (1 + n %% 1000)))),
            'Date', '2026-10-01',
            'DueDate', '2026-10-31',
            'Status', 'AUTHORISED',
            'CurrencyCode', 'EUR',
            'LineAmountTypes', 'Exclusive',
            'LineItems', (
                select jsonb_agg(jsonb_build_object(
                    '_line', line::text, 'Description', 'Hero Hoodie, size ' || line, 'Quantity', line,
                    'UnitAmount', 19.95 + line, 'AccountCode', '200', 'TaxType', 'OUTPUT2', 'TaxAmount', 3.79,
                    'LineAmount', line * (19.95 + line)))
                from generate_series(1, 3) as line)
        ) as payload
    from generate_series(%(first)s::bigint, %(last)s::bigint) as n
),

locks as (
    insert into cdc.links (connection, entity, key, model, source_connection, source_id)
    select 'books', 'invoices', key, 'out_invoices', 'shop', n::text from made
)

insert into cdc.outbox (
    connection, entity, key, model, source_connection, source_id, operation, state, payload, payload_hash, control,
    link_version, waits_for, amount, currency, document_date
)
select
    'books', 'invoices', key, 'out_invoices', 'shop', n::text, 'create', 'ready', payload,
    encode(sha256(payload::text::bytea), 'hex'), jsonb_build_object('total', 65.85), 0,
    jsonb_build_array(jsonb_build_object('entity', 'contacts', 'key', 'shop/customer/' || (1 + n %% 1000))), 65.85, 'EUR',
    date '2026-10-01'
from made
order by n
"""

_BARE = """
delete from cdc.outbox
where entry = any(array(
    select entry from cdc.outbox
    where connection = 'books' and entity = 'invoices' and operation = 'create' and state = 'ready'
    order by entry limit %(limit)s for update skip locked))
"""

_LOADED = """
insert into cdc.cursors (connection, stream, loaded_version, backfilled_at)
select 'books', stream, nextval('cdc.version'), now() from unnest(array['contacts', 'invoices']) as stream
on conflict do nothing
"""


def prepare(connection: psycopg.Connection[Any], settings: Settings) -> None:
    """The records that the entries refer to, and the marks of a target that was loaded; this machine may write."""
    installation.check(connection, settings)
    connection.execute(_CONTACTS)
    connection.execute(_LOADED)


def fill(connection: psycopg.Connection[Any], first: int, count: int) -> None:
    """`count` entries that may be sent, and the links that lock them; numbered from `first`."""
    connection.execute(_FILL, {"first": first, "last": first + count - 1})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Identity:
    id: str = "null"
    name: str = "Null"
    is_demo: bool = True
    base_currency: str | None = "EUR"


class _Http:
    calls_at_once = 1
    """A worker of the benchmark is one process with one sender."""

    def read(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        work: Work | None = None,
    ) -> Answer:
        return Answer(status=200, headers={}, content=b"[]", seconds=0)

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
        return Answer(status=200, headers={}, content=b"", seconds=0, is_write=True)


class NullClient:
    """Says yes to everything, at once."""

    http = _Http()

    def identity(self) -> _Identity:
        return _Identity()

    def close(self) -> None:
        return None


@dataclass(kw_only=True)
class NullWrite:
    """Fulfils cdc.writing.Write; every record is as it was sent."""

    entity: str = "invoices"
    stream: str | None = None
    adopts: bool = False
    finding: Finding = _FINDING
    settling_seconds: int = 0
    replay_seconds: int = 0

    def batch(self, operation: Operation) -> int:
        return BATCH

    def serial_by(self, outgoing: Outgoing) -> str | None:
        return None

    def check(
        self, client: TargetClient, operation: Operation, outgoing: Sequence[Outgoing]
    ) -> list[Outcome | Outgoing | None]:
        return [None] * len(outgoing)

    def request(self, operation: Operation, outgoing: Sequence[Outgoing]) -> WriteCall:
        return WriteCall(method="PUT", path="/Invoices", body={"Invoices": [one.payload for one in outgoing]})

    def outcomes(self, operation: Operation, outgoing: Sequence[Outgoing], answer: Answer) -> list[Outcome]:
        made = [(one, str(uuid.uuid4())) for one in outgoing]
        return [
            Outcome(kind="applied", target_id=given, record={"InvoiceID": given, **one.payload})
            for one, given in made
        ]

    def find(self, client: TargetClient, outgoing: Sequence[Outgoing]) -> list[list[Found]]:
        return [[] for _ in outgoing]

    def find_in_mirror(
        self, connection: psycopg.Connection[Any], connection_name: str, outgoing: Sequence[Outgoing]
    ) -> list[list[Found]]:
        return [[] for _ in outgoing]

    def holders(
        self, connection: psycopg.Connection[Any], connection_name: str, one: Outgoing
    ) -> tuple[str, ...]:
        return ()

    def look(self, client: TargetClient, outgoing: Sequence[Outgoing]) -> list[list[Found]]:
        return [[] for _ in outgoing]

    def same(self, field: str, sent: object, held: object) -> bool:
        return sent == held

    def returned(self, payload: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
        return {name: record.get(name) for name in payload}

    def differs(self, outgoing: Outgoing, record: Mapping[str, Any]) -> tuple[str, ...]:
        return ()

    def lacking(self, payload: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[str, ...]:
        return ()

    def merged_into(self, record: Mapping[str, Any]) -> str | None:
        return None

    def frozen(self, record: Mapping[str, Any], organisation: Mapping[str, Any] | None) -> str | None:
        return None


def writers(*, is_mirrored: bool) -> dict[str, Write]:
    """One entity; with its answers merged into the mirror, or not."""
    return {"invoices": NullWrite(stream="invoices" if is_mirrored else None)}


def settings_of(url: str, folder: Path) -> Settings:
    """Settings whose one target is the null one."""
    return Settings(
        data_dir=folder,
        database_url=url,
        project_dir=folder,
        lookups_dir=folder,
        connections={BOOKS: Connection(name=BOOKS, system="xero", writes="on")},
    )


def work(url: str, folder: Path, *, is_mirrored: bool, seconds: float) -> dict[str, float]:
    """Drain until nothing is left, or for so many seconds as long as there is something. Seconds, entries, CPU."""
    database, settings = Database(url), settings_of(url, folder)
    known = writers(is_mirrored=is_mirrored)
    began, used, applied = time.monotonic(), time.process_time(), 0
    while True:
        done = drain(
            database, settings, writers=lambda _: known, open_client=lambda _: NullClient(), wait=time.sleep
        )
        applied += done.applied
        if done.errors or done.held or done.rejected:
            raise RuntimeError(f"{done}")
        if time.monotonic() - began >= seconds:
            break
        if not done.calls:
            time.sleep(0.01)
    ended = time.monotonic()
    return {"began": began, "ended": ended, "entries": applied, "cpu": time.process_time() - used}


def claim_bare(url: str) -> dict[str, float]:
    """The same entries in batches, taken and deleted, each batch committed; nothing else is kept."""
    began, used, taken = time.monotonic(), time.process_time(), 0
    with Database(url).connect() as connection:
        while count := connection.execute(_BARE, {"limit": BATCH}).rowcount:
            taken += count
    ended = time.monotonic()
    return {"began": began, "ended": ended, "entries": taken, "cpu": time.process_time() - used}


def main() -> None:
    """One worker: says when it is ready, and begins when it is told to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mirrored", action="store_true")
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--bare", action="store_true")
    options = parser.parse_args()
    print("ready", flush=True)
    sys.stdin.readline()
    if options.bare:
        done = claim_bare(options.url)
    else:
        done = work(options.url, options.folder, is_mirrored=options.mirrored, seconds=options.seconds)
    print(json.dumps(done), flush=True)


if __name__ == "__main__":
    main()
