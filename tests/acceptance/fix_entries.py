"""What documents moved in the books, for tests that state the entries an accountant makes."""

from __future__ import annotations

from decimal import Decimal

from tests.acceptance.fix_world import Json, World
from tests.fix_http import LOCAL


def of_order(world: World, plural: str, increment: str) -> list[Json]:
    """Documents in Xero whose Reference begins with an order's number, in the order of their numbers."""
    numbered_by = {"Invoices": "InvoiceNumber", "CreditNotes": "CreditNoteNumber"}[plural]
    found = [
        each for each in world.xero(plural) if str(each.get("Reference", "")).partition(" ")[0] == increment
    ]
    return sorted(found, key=lambda each: str(each[numbered_by]))


def entries(world: World, *records: Json) -> dict[str, Decimal]:
    """What documents and payments moved in the ledger, by account, debit positive, in base currency; nil is left out."""
    ids = {each.get("PaymentID") or each.get("CreditNoteID") or each["InvoiceID"] for each in records}
    codes = {account["AccountID"]: account["Code"] for account in world.xero("Accounts")}
    moved: dict[str, Decimal] = {}
    for journal in journals(world):
        if journal["SourceID"] in ids:
            for entry in journal["_entries"]:
                code = codes.get(entry["account"], entry["account"])
                moved[code] = moved.get(code, Decimal(0)) + round(Decimal(str(entry["base"])), 2)
    return {code: amount for code, amount in sorted(moved.items()) if amount}


def journals(world: World) -> list[Json]:
    """Every journal of the stand-in's ledger."""
    answer = LOCAL.get(f"{world.books.address}/_sandbox/state/Journals", timeout=30)
    answer.raise_for_status()
    found: list[Json] = answer.json()
    return found


def pounds(**amounts: str) -> dict[str, Decimal]:
    """Entries as a test writes them: `pounds(a610="-36.00")`, without those that are nil."""
    return {name[1:]: Decimal(amount) for name, amount in sorted(amounts.items()) if Decimal(amount)}


def held(world: World, key: str) -> Json:
    """The open entry of a key."""
    (row,) = world.rows("select * from cdc.outbox where key = %s", key)
    return row


def lock(world: World, day: str | None) -> None:
    """The accountant closes the books up to a day; None opens them."""
    body = {"PeriodLockDate": day}
    LOCAL.post(f"{world.books.address}/_sandbox/organisation", json=body, timeout=30).raise_for_status()
