"""Derive cdc/writers/catalogue/xero.json from Xero's official OpenAPI file.

    python tools/derive_xero_catalogue.py xero_accounting.yaml

The file is https://github.com/XeroAPI/Xero-OpenAPI (MIT, © 2017 Xero Developer API), taken at commit e952d0b,
version 16.1.0. Only names are taken, and whether a field may be written: "write", "read", or an object of
such. The OpenAPI marks few fields as read-only; what Xero's documentation adds stands in READ_ONLY below.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

TARGET = Path(__file__).parent.parent / "cdc" / "writers" / "catalogue" / "xero.json"

ENTITIES = {
    "contacts": "Contact",
    "items": "Item",
    "invoices": "Invoice",
    "credit_notes": "CreditNote",
    "payments": "Payment",
    "bank_transactions": "BankTransaction",
    "allocations": "Allocation",
    "prepayment_allocations": "Allocation",
    "overpayment_allocations": "Allocation",
}

# Inside another record these only point at one: whatever else is sent there would change the record itself (a
# contact nested in an invoice "with more than its id updates the contact").
REFERENCES = {
    "Contact": ("ContactID",),
    "Invoice": ("InvoiceID",),
    "CreditNote": ("CreditNoteID",),
    "Prepayment": ("PrepaymentID",),
    "Overpayment": ("OverpaymentID",),
    "Account": ("AccountID", "Code"),
    "BatchPayment": (),
    "LineItemItem": (),
    "BrandingTheme": (),
    "ContactGroup": (),
}

# Nothing in these is written with the record they stand in.
NEVER = {"ValidationError", "Attachment", "Balances", "TaxBreakdownComponent", "InvoiceAddress"}

# Marked writable in the OpenAPI file, but computed by Xero or part of answers only (developer documentation,
# 2026), or a record's own id, which the engine adds from its link.
READ_ONLY = {
    "*": {
        "StatusAttributeString", "HasErrors", "HasValidationErrors", "HasAttachments", "ValidationErrors",
        "Warnings", "Attachments", "RepeatingInvoiceID", "UpdatedDateUTC",
    },
    "Contact": {
        "ContactID", "IsSupplier", "IsCustomer", "MergedToContactID", "ContactGroups", "Balances",
        "BrandingTheme",
    },
    "Item": {"ItemID", "TotalCostPool", "QuantityOnHand"},
    "Invoice": {"InvoiceID"},
    "CreditNote": {
        "CreditNoteID", "SubTotal", "TotalTax", "Total", "FullyPaidOnDate", "RemainingCredit", "Allocations",
        "AppliedAmount", "Payments",
    },
    "LineItem": {"LineItemID", "Item", "Taxability", "SalesTaxCodeId", "TaxBreakdown", "RepeatingInvoiceID"},
    "Payment": {"PaymentID", "BatchPayment", "BatchPaymentID", "BankAccountNumber", "HasAccount", "Code"},
    "BankTransaction": {"BankTransactionID", "SubTotal", "TotalTax", "Total", "IsReconciled"},
    "Allocation": {"AllocationID", "IsDeleted"},
}  # fmt: skip


class _PlainDates(yaml.SafeLoader):
    """Leaves the unquoted timestamps of the examples alone."""


_PlainDates.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def main(source: Path) -> None:
    """Write the catalogue, sorted, so that a newer OpenAPI file shows as a small difference."""
    schemas = yaml.load(source.read_text(encoding="utf-8"), Loader=_PlainDates)["components"]["schemas"]  # noqa: S506
    catalogue = {entity: _fields(schemas, schema, depth=0) for entity, schema in ENTITIES.items()}
    TARGET.write_text(json.dumps(catalogue, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _fields(schemas: dict[str, Any], name: str, *, depth: int) -> dict[str, Any]:
    return {
        field: _field(schemas, name, field, described, depth=depth)
        for field, described in schemas[name]["properties"].items()
    }


def _field(schemas: dict[str, Any], owner: str, field: str, described: dict[str, Any], *, depth: int) -> Any:
    if described.get("readOnly") or field in READ_ONLY["*"] or field in READ_ONLY.get(owner, set()):
        return "read"
    reference = described.get("$ref") or described.get("items", {}).get("$ref")
    if reference is None:
        return "write"
    nested = str(reference).rsplit("/", 1)[-1]
    if nested in NEVER:
        return "read"
    if nested in REFERENCES:
        return dict.fromkeys(REFERENCES[nested], "write") or "read"
    if "properties" not in schemas[nested] or depth == 3:
        return "write"
    return _fields(schemas, nested, depth=depth + 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
