"""The shop in memory: rows by table, id sequences, increment ids, stamps, and the way a write reaches the
tables.

A stored row is never changed in place: a write loads a copy, works on it for a few milliseconds and puts
the whole copy back. Two writes on one order therefore overwrite each other, as they do on a real 2.4.4,
where only the invoice action takes a lock on the order. A row's `updated_at` moves only if one of its
columns really changed (MySQL's `ON UPDATE CURRENT_TIMESTAMP`). Source: recorded exchanges with Magento
Open Source 2.4.4 (concurrency, order life).
"""

from __future__ import annotations

import copy
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sandbox.clock import Clock
from sandbox.magento.errors import MISSING_ENTITY, not_found
from sandbox.magento.options import Options

Doc = dict[str, Any]
NESTED = frozenset({"items", "payment", "billing_address", "shipping_address", "taxes", "comments", "tracks"})
"""Keys of a stored document that live in tables of their own, so that they do not move its stamp."""

_KEYS = {"order_items": "item_id", "transactions": "transaction_id"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreView:
    """A store view with the settings of its website that matter to sales and catalogue."""

    id: int
    code: str
    name: str
    website_id: int
    website: str
    website_name: str
    group_id: int
    group_name: str
    currency: str
    rate_text: str
    timezone: str
    prices_include_tax: bool


@dataclass(slots=True, kw_only=True)
class Shop:
    """All state of one stand-in."""

    options: Options
    clock: Clock
    views: tuple[StoreView, ...] = ()
    lock: threading.RLock = field(default_factory=threading.RLock)
    rows: dict[str, dict[int, Doc]] = field(default_factory=lambda: defaultdict(dict))
    sequences: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    increments: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    reservations: list[Doc] = field(default_factory=list)
    gateway: list[Doc] = field(default_factory=list)
    bulks: dict[str, Doc] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    product_writes: int = 0
    _order_locks: dict[int, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))

    def stamp(self) -> str:
        """Now in UTC, to the second, as the database writes it."""
        return self.clock.now().strftime("%Y-%m-%d %H:%M:%S")

    def view(self, store_id: int) -> StoreView:
        """The store view of an id; the default one for an unknown id."""
        return next((view for view in self.views if view.id == store_id), self.views[0])

    def view_by_code(self, code: str) -> StoreView | None:
        """The store view of a code."""
        return next((view for view in self.views if view.code == code), None)

    def next_id(self, name: str) -> int:
        """The next value of an auto-increment column."""
        with self.lock:
            self.sequences[name] += 1
            return self.sequences[name]

    def increment_id(self, kind: str, store_id: int) -> str:
        """Nine digits counted apart per store and document type, after the store id but for store 1."""
        with self.lock:
            self.increments[kind, store_id] += 1
            prefix = "" if store_id == 1 else str(store_id)
            return f"{prefix}{self.increments[kind, store_id]:09d}"

    def all(self, table: str) -> list[Doc]:
        """A snapshot of a table by id; the rows are shared and must not be changed."""
        with self.lock:
            return [self.rows[table][key] for key in sorted(self.rows[table])]

    def peek(self, table: str, key: int) -> Doc | None:
        """The stored row, shared."""
        with self.lock:
            return self.rows[table].get(key)

    def load(self, table: str, key: int, message: str = MISSING_ENTITY) -> Doc:
        """A copy to work on; 404 if there is none."""
        row = self.peek(table, key)
        if row is None:
            raise not_found(message)
        return copy.deepcopy(row)

    def put(self, table: str, row: Doc, at: str | None = None) -> None:
        """Write a row back whole; stamps move where columns changed."""
        key = int(row[_KEYS.get(table, "entity_id")])
        with self.lock:
            before = self.rows[table].get(key)
            if at is not None:
                _stamp(row, before, at)
                if table == "orders":
                    _stamp_items(row, before, at)
            self.rows[table][key] = row

    def remove(self, table: str, key: int) -> bool:
        """Delete a row; whether it was there."""
        with self.lock:
            return self.rows[table].pop(key, None) is not None

    def order_lock(self, order_id: int) -> threading.Lock:
        """The row lock that the invoice action takes on an order."""
        with self.lock:
            return self._order_locks[order_id]

    @contextmanager
    def mutex(self, order_id: int) -> Iterator[None]:
        """Hold the order lock."""
        with self.order_lock(order_id):
            yield

    def linger(self, *, short: bool = False) -> None:
        """Stay between reading a copy and writing it back; with a visibility lag, that much longer."""
        window = self.options.race_window_ms * (1 if short else 3) + self.options.visibility_lag_ms
        if window:
            time.sleep(window / 1000)


def _columns(row: Doc) -> Doc:
    return {key: value for key, value in row.items() if key not in NESTED and key != "updated_at"}


def _stamp(row: Doc, before: Doc | None, at: str) -> None:
    if before is None:
        row.setdefault("created_at", at)
        row["updated_at"] = at
    elif _columns(row) != _columns(before):
        row["updated_at"] = at
    else:
        row["updated_at"] = before["updated_at"]


def _stamp_items(row: Doc, before: Doc | None, at: str) -> None:
    known = {item["item_id"]: item for item in before["items"]} if before is not None else {}
    for item in row["items"]:
        _stamp(item, known.get(item["item_id"]), at)
