"""Tracked inventory: quantity and cost of items by approved documents, at average cost.

A bill brings quantity and its net amount in base currency onto the item's inventory account; a sale takes quantity out
and posts its share of the cost pool: Dr cost of goods, Cr inventory. Credit notes do the opposite. A sale of more than
there is on hand is refused. Quantity and cost pool are read-only: only documents move them. Sources: developer
documentation "Items" (tracked inventory), "Invoices"; the refusal is one of the public examples. Not documented, and
so by our own choice: a returned sale comes back at the average cost of that moment, and taking a document back moves
what it moved.
"""

from __future__ import annotations

from decimal import Decimal

from sandbox.xero import ledger
from sandbox.xero.errors import ElementError
from sandbox.xero.store import Record, Tenant, cents, stamped

ZERO = Decimal("0.00")
INSUFFICIENT = "Insufficient stock. Items are eligible for backorder."


def move(tenant: Tenant, document: Record, *, source_id: str, sale: bool, credit: bool) -> list[Record]:
    """Move what an approved document sells or buys, post the cost of sales, and return the moves. Raises ElementError."""
    moves: list[Record] = []
    entries: list[ledger.Entry] = []
    for line in document["LineItems"]:
        item = next(tenant.find("Items", "Code", line["ItemCode"]), None) if line.get("ItemCode") else None
        if item is None or not item["IsTrackedAsInventory"] or not line.get("Quantity"):
            continue
        quantity: Decimal = line["Quantity"] * (-1 if sale != credit else 1)
        if sale:
            cost = _share(item, quantity)
            entries += _cost_of_sales(tenant, item, -cost)
        else:
            net = line["LineAmount"]
            if document["LineAmountTypes"] == "Inclusive":
                net -= line.get("TaxAmount") or ZERO
            cost = ledger.to_base(net, document["CurrencyRate"]) * (-1 if credit else 1)
        if item["QuantityOnHand"] + quantity < 0:
            raise ElementError(INSUFFICIENT)
        _store(tenant, item, quantity, cost)
        moves.append({"ItemID": item["ItemID"], "quantity": quantity, "cost": cost})
    if entries:
        ledger.post(
            tenant,
            source_type=document["Type"],
            source_id=source_id,
            on=document["Date"],
            currency=tenant.base_currency,
            entries=entries,
        )
    return moves


def take_back(tenant: Tenant, document: Record) -> None:
    """Undo the moves of a document; its journals are reversed with it."""
    for each in document.get("_stock") or []:
        item = tenant.get("Items", each["ItemID"])
        if item is not None:
            _store(tenant, item, -each["quantity"], -each["cost"])


def _share(item: Record, quantity: Decimal) -> Decimal:
    """The cost of so much at the average; all of the pool for all of the stock."""
    held: Decimal = item["QuantityOnHand"]
    pool: Decimal = item["TotalCostPool"]
    if not held:
        return ZERO
    return -pool if quantity == -held else cents(pool * quantity / held)


def _cost_of_sales(tenant: Tenant, item: Record, cost: Decimal) -> list[ledger.Entry]:
    codes = ((item["PurchaseDetails"]["COGSAccountCode"], cost), (item["InventoryAssetAccountCode"], -cost))
    return [
        ledger.Entry(
            account=next(iter(tenant.find("Accounts", "Code", code)))["AccountID"],
            amount=amount,
            base=amount,
        )
        for code, amount in codes
    ]


def _store(tenant: Tenant, item: Record, quantity: Decimal, cost: Decimal) -> None:
    changed = {
        **item,
        "QuantityOnHand": item["QuantityOnHand"] + quantity,
        "TotalCostPool": item["TotalCostPool"] + cost,
    }
    tenant.put("Items", item["ItemID"], stamped(tenant, changed))
