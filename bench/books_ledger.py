"""The ledger of `bench.books`: it accepts everything, and what it made stands in its staging tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from bench.books_seed import MARK, target_id
from cdc import outbox
from cdc.links import Target, Unlinked, resolved
from cdc.outbox import Closed
from cdc.writing import Write
from loaders.records import RawRecord
from loaders.stage import merge
from tieout.db import json_dumps, next_version
from tieout.queries import parse

_SQL = parse((Path(__file__).parent / "books.sql").read_text(encoding="utf-8"))
Session = psycopg.Connection[dict[str, Any]]

LEDGER = "books"
INSTANT = "1769904000000"
"""The day of the seeds in the ledger's milliseconds."""


class Ledger:
    """Accepts every entry whose references exist, and mirrors what it made."""

    def __init__(self, writes: Mapping[str, Write]) -> None:
        self._writes: Mapping[str, Write] = writes
        self._records: dict[tuple[str, str], dict[str, Any]] = {}

    def accept(self, connection: Session, entries: Sequence[Mapping[str, Any]]) -> None:
        for entry in entries:
            rows = connection.execute(_SQL["targets"]).fetchall()
            targets = {
                (row["entity"], row["key"]): Target(target_id=row["target_id"], returned=row["returned"])
                for row in rows
            }
            try:
                payload = resolved(entry["payload"], targets)
            except Unlinked:
                continue
            with connection.transaction():
                self._make(connection, entry, payload, targets.get((entry["entity"], entry["key"])))

    def _make(
        self, connection: Session, entry: Mapping[str, Any], payload: dict[str, Any], known: Target | None
    ) -> None:
        entity, key = entry["entity"], entry["key"]
        write = self._writes[entity]
        id_ = known.target_id if known else self._id_of(entity, key)
        record, line_ids = _record(entity, payload, id_)
        self._records[entity, id_] = record
        self._tell_others(connection, entity, record)
        version = next_version(connection)
        if write.stream is not None:
            self._mirror(connection, write.stream, entity, id_)
        returned = write.returned(payload, record) if write.stream is not None else {}
        row = {
            "key": key, "target_id": id_, "said": entry["payload"], "is_read": True, "returned": returned,
            "line_ids": line_ids, "mirror_version": version, "is_adopted": False, "is_gone": False,
        }  # fmt: skip
        connection.execute(
            outbox.looked_at_again("settle"),
            {"connection": entry["connection"], "entity": entity, "rows": Jsonb([row], json_dumps)},
        )
        outbox.close(connection, [Closed(entry=entry["entry"], outcome="applied", target_id=id_)])

    def _mirror(self, connection: Session, stream: str, entity: str, id_: str) -> None:
        raw = json_dumps(self._records[entity, id_]).encode()
        merge(
            connection, system="xero", stream=stream, connection_name=LEDGER, records=[RawRecord(id=id_, raw=raw)],
            asked_version=next_version(connection), told_by="write answer",
        )  # fmt: skip

    def _id_of(self, entity: str, key: str) -> str:
        """A GUID that holds the mark, so that a copy's differs."""
        place = key.find(MARK)
        digits = key[place : place + 9] if place >= 0 else str(len(self._records))
        kinds = ("contacts", "items", "invoices", "payments", "credit_notes", "allocations", "order_comments")
        kind = kinds.index(entity) + 1
        # A guest and a customer may have the same number, and so may a payment and a refund.
        variant = {"guest": "1", "customer": "2", "credit": "3"}
        second = next((value for word, value in variant.items() if f"/{word}/" in key), "0")
        return target_id(f"{kind}{second}", digits)

    def _tell_others(self, connection: Session, entity: str, record: Mapping[str, Any]) -> None:
        """Money that arrives shows on the document that it pays."""
        amount = Decimal(str(record.get("Amount", 0)))
        for owner, field, id_field in (
            ("invoices", "Invoice", "InvoiceID"),
            ("credit_notes", "CreditNote", "CreditNoteID"),
        ):
            named = record.get(field)
            if entity not in ("payments", "allocations") or named is None:
                continue
            document = self._records[owner, named[id_field]]
            paid = {"PaymentID": record.get("PaymentID"), "Amount": record["Amount"], "Date": record["Date"]}
            if owner == "invoices":
                _owes_less(document, amount, "AmountPaid" if entity == "payments" else "AmountCredited")
                if entity == "payments":
                    document["Payments"] = [*document["Payments"], paid]
            else:
                document["RemainingCredit"] = str(Decimal(str(document["RemainingCredit"])) - amount)
                if entity == "payments":
                    document["Payments"] = [*document["Payments"], paid]
                else:
                    document["Allocations"] = [
                        *document["Allocations"],
                        {"Amount": str(amount), "Invoice": record["Invoice"]},
                    ]
                if Decimal(document["RemainingCredit"]) == 0:
                    document["Status"] = "PAID"
            self._mirror(connection, owner, owner, named[id_field])


def _owes_less(invoice: dict[str, Any], amount: Decimal, field: str) -> None:
    invoice[field] = str(Decimal(invoice[field]) + amount)
    invoice["AmountDue"] = str(Decimal(invoice["AmountDue"]) - amount)
    if Decimal(invoice["AmountDue"]) == 0:
        invoice["Status"] = "PAID"
        invoice["FullyPaidOnDate"] = f"/Date({INSTANT}+0000)/"


def _record(entity: str, payload: dict[str, Any], id_: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The record as the ledger shows it, and our lines' ids in it."""
    stamp = {"UpdatedDateUTC": f"/Date({INSTANT}+0000)/", "HasValidationErrors": False}
    record = {**payload, **stamp}
    for name in ("Date", "DueDate"):
        if name in payload:
            record[name] = f"/Date({INSTANT}+0000)/"
            record[f"{name}String"] = f"{payload[name]}T00:00:00"
    line_ids: dict[str, str] = {}
    match entity:
        case "contacts":
            record |= {
                "ContactID": id_, "ContactStatus": "ACTIVE", "IsCustomer": True, "IsSupplier": False, "ContactGroups": [],
                "ContactPersons": [], "HasAttachments": False, "BankAccountDetails": "",
            }  # fmt: skip
        case "items":
            record |= {"ItemID": id_, "IsTrackedAsInventory": False, "IsPurchased": False}
        case "payments":
            record |= {
                "PaymentID": id_,
                "Status": "AUTHORISED",
                "PaymentType": "ACCRECPAYMENT",
                "IsReconciled": False,
            }
        case "invoices" | "credit_notes":
            lines = [dict(line) for line in payload["LineItems"]]
            for number, line in enumerate(lines):
                name = str(line.pop("_line"))
                line_ids[name] = target_id(f"{entity[0]}{number}".encode().hex(), id_[-9:])
                amount = Decimal(str(line["UnitAmount"])) * Decimal(str(line["Quantity"]))
                line |= {"LineItemID": line_ids[name], "LineAmount": f"{amount:.2f}", "ValidationErrors": []}
            net = sum(Decimal(line["LineAmount"]) for line in lines)
            tax = sum(Decimal(str(line["TaxAmount"])) for line in lines)
            money = {"SubTotal": f"{net:.2f}", "TotalTax": f"{tax:.2f}", "Total": f"{net + tax:.2f}"}
            record |= {
                "LineItems": lines,
                **money,
                "Payments": [],
                "HasErrors": False,
                "SentToContact": False,
            }
            if entity == "invoices":
                record |= {
                    "InvoiceID": id_, "AmountDue": money["Total"], "AmountPaid": "0.00", "AmountCredited": "0.00",
                    "CreditNotes": [], "Prepayments": [], "Overpayments": [], "IsDiscounted": False,
                }  # fmt: skip
            else:
                record |= {
                    "CreditNoteID": id_,
                    "ID": id_,
                    "RemainingCredit": money["Total"],
                    "Allocations": [],
                }
    return record, line_ids
