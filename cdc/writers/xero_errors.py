"""Understand Xero's refusals: the vendor's sentences become one cause, plain words, a cure, and who can do
it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from cdc.writers.refusal import Refusal
from cdc.writers.xero_messages import RULES


def classify(entity: str, messages: Sequence[str]) -> Refusal:
    """The refusal that these messages amount to: the first rule of the table that knows one of them.

    The table begins with what concerns the connection and what may be our own record, and ends with the names
    that `_if_taken` could mend: a second try is pointless while anything else is wrong.
    """
    for pattern, refusal in RULES:
        for message in messages:
            if match := pattern.search(message):
                return _worded(entity, refusal, match)
    return Refusal(
        cause="refused by Xero",
        reason="Xero refused this record: " + ("; ".join(messages) or "it did not say why") + ".",
        cure="Correct the record at its source, or edit the entry.",
        who="operator",
    )


def _worded(entity: str, refusal: Refusal, match: re.Match[str]) -> Refusal:
    values = {name: value for name, value in match.groupdict().items() if value}
    named = values.get("value", "").strip(" .'’\"")
    lookup = "payment_methods" if entity == "payments" else "accounts"
    field = _FIELDS.get((entity, refusal.field or ""), refusal.field)
    fill = {
        "value": f" {named}" if named else "",
        "until": f" (up to {named})" if named else "",
        "lookup": lookup,
    }
    return replace(
        refusal, reason=refusal.reason.format(**fill), cure=refusal.cure.format(**fill), field=field
    )


_FIELDS = {
    ("payments", "AccountCode"): "Account",
    ("bank_transactions", "AccountCode"): "BankAccount",
    ("credit_notes", "InvoiceNumber"): "CreditNoteNumber",
}
