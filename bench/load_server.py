"""A server of Xero invoices that costs next to nothing itself: documents are rendered before the clock starts, and a process of
its own only joins and writes bytes. Its answers have the shape of Xero's (`Invoices` and `pagination`), without gzip; it knows
pages, both orders and If-Modified-Since.

    python -m bench.load_server FOLDER COUNT     renders, prints its address, serves until it is ended

FOLDER gets `documents.jsonl`, the same documents for COPY and for peers. Beside the list there are a token endpoint, and
`POST /change?share=0.01`, which edits that share of the documents, evenly spread.
"""

from __future__ import annotations

import json
import random
import sys
import uuid
from bisect import bisect_left
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

PAGE = 1000
LINES = 5
START = datetime(2026, 1, 1, tzinfo=UTC)


def ids(count: int) -> list[str]:
    """Ids in the order in which Xero sorts them."""
    chance = random.Random(5)
    return sorted(str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(count))


def invoice(number: int, record_id: str, *, edited: int = 0) -> bytes:
    """One invoice with five lines, 2.7 KB, as Xero's API shows it; `edited` counts the changes since."""
    chance = random.Random(number)
    stamp = _stamp(number, edited)
    milliseconds = int(stamp.timestamp() * 1000)
    lines, total = [], 0
    for line in range(LINES):
        amount = chance.randrange(1_00, 900_00)
        total += amount
        lines.append(
            {
                "LineItemID": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
                "ItemCode": f"SKU-{chance.randrange(20_000):05}",
                "Description": f"{chance.choice(_THINGS)} {chance.randrange(1000)} ({chance.choice(_COLOURS)}), row {line + 1}",
                "UnitAmount": amount / 100,
                "TaxType": "OUTPUT",
                "TaxAmount": amount // 10 / 100,
                "LineAmount": amount / 100,
                "AccountCode": "200",
                "Item": {
                    "ItemID": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
                    "Name": chance.choice(_THINGS),
                    "Code": f"SKU-{chance.randrange(20_000):05}",
                },
                "Tracking": [],
                "Quantity": 1.0,
            }
        )
    document = {
        "Type": "ACCREC",
        "InvoiceID": record_id,
        "InvoiceNumber": f"INV-{number:08}",
        "Reference": f"shop/order/{number}/1" + ("" if not edited else f" (edited {edited})"),
        "Payments": [],
        "CreditNotes": [],
        "Prepayments": [],
        "Overpayments": [],
        "AmountDue": (total + total // 10) / 100,
        "AmountPaid": 0.0,
        "AmountCredited": 0.0,
        "CurrencyRate": 1.0,
        "IsDiscounted": False,
        "HasAttachments": False,
        "Contact": {
            "ContactID": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            "Name": f"{chance.choice(_NAMES)} {chance.choice(_NAMES)} {number % 9973}",
            "Addresses": [],
            "Phones": [],
            "ContactGroups": [],
            "ContactPersons": [],
        },
        "DateString": f"{stamp:%Y-%m-%dT00:00:00}",
        "Date": f"/Date({milliseconds // 86_400_000 * 86_400_000}+0000)/",
        "DueDateString": f"{stamp + timedelta(days=30):%Y-%m-%dT00:00:00}",
        "DueDate": f"/Date({milliseconds // 86_400_000 * 86_400_000 + 30 * 86_400_000}+0000)/",
        "BrandingThemeID": "dd8d9e7a-0a0e-4d3e-8c7e-1b1f9ad2b0c4",
        "Status": "AUTHORISED",
        "LineAmountTypes": "Exclusive",
        "LineItems": lines,
        "SubTotal": total / 100,
        "TotalTax": total // 10 / 100,
        "Total": (total + total // 10) / 100,
        "UpdatedDateUTC": f"/Date({milliseconds}+0000)/",
        "CurrencyCode": "AUD",
        "SentToContact": True,
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _stamp(number: int, edited: int) -> datetime:
    """When a document changed last: no two have the same, and each edit is later than all before."""
    return START + timedelta(milliseconds=997 * number, days=edited * 90)


_THINGS = (
    "Merino throw",
    "Linen sheet set",
    "Standing lamp",
    "Oak side table",
    "Stoneware mug",
    "Wool runner",
)
_COLOURS = ("charcoal", "oatmeal", "forest green", "terracotta", "navy", "undyed")
_NAMES = ("Okafor", "Nguyen", "Schmidt", "Rossi", "Dubois", "Tanaka", "Silva", "Kowalski", "Haddad", "Larsen")


class Documents:
    """All documents, in the two orders in which Xero shows them."""

    def __init__(self, count: int) -> None:
        self._ids = ids(count)
        self._documents = [invoice(number, record_id) for number, record_id in enumerate(self._ids)]
        self._stamps = [_stamp(number, 0) for number in range(count)]
        self._by_time = list(range(count))
        self._edits = 0

    def change(self, share: float) -> int:
        """Edit every so-manieth document; how many."""
        self._edits += 1
        numbers = range(0, len(self._ids), round(1 / share))
        for number in numbers:
            self._documents[number] = invoice(number, self._ids[number], edited=self._edits)
            self._stamps[number] = _stamp(number, self._edits)
        self._by_time.sort(key=self._stamps.__getitem__)
        return len(numbers)

    def page(self, number: int, size: int, order: str, since: datetime | None) -> bytes:
        """A page as it is sent; an empty one past the end."""
        shown: Sequence[int] = range(len(self._ids))
        if order.startswith("UpdatedDateUTC") or since is not None:
            first = (
                bisect_left(self._by_time, since, key=self._stamps.__getitem__) if since is not None else 0
            )
            shown = self._by_time[first:]
        if order.endswith("DESC"):
            shown = shown[::-1]
        documents = [self._documents[place] for place in shown[(number - 1) * size : number * size]]
        pages = -(-len(shown) // size)
        around = {"page": number, "pageSize": size, "pageCount": pages, "itemCount": len(shown)}
        return (
            b'{"pagination":' + json.dumps(around).encode() + b',"Invoices":[' + b",".join(documents) + b"]}"
        )

    def save(self, path: Path) -> None:
        """One document a line."""
        with path.open("wb") as file:
            file.writelines(document + b"\n" for document in self._documents)


def serve(folder: Path, count: int) -> None:
    """Render, print the address, serve until the process is ended."""
    documents = Documents(count)
    documents.save(folder / "documents.jsonl")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            since = self.headers.get("If-Modified-Since")
            moment = datetime.fromisoformat(since).replace(tzinfo=UTC) if since else None
            size = int(asked.get("pageSize", PAGE))
            self._answer(documents.page(int(asked["page"]), size, asked.get("order", ""), moment))

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path.startswith("/change"):
                changed = documents.change(float(parse_qs(urlsplit(self.path).query)["share"][0]))
                self._answer(json.dumps({"changed": changed}).encode())
            else:
                self._answer(b'{"access_token":"bench","token_type":"Bearer","expires_in":1800}')

        def _answer(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
