"""What Magento's refusals of customers, products, prices and quantities mean.

Magento tells in the language of the store; scope `all` (the default) is English unless the shop says otherwise. What
is not understood is told in Magento's own words. Sentences as recorded on 2.4.4.
"""

from __future__ import annotations

from collections.abc import Sequence

from cdc.writers.refusal import Refusal, rule
from cdc.writing import Outcome

_AGAIN = "It is tried again by itself."

RULES = (
    rule(
        r"same email address already exists",
        cause="e-mail in use",
        reason="The shop has a customer with this e-mail on this website.",
        cure="The next load brings that customer, and it is linked; or correct the e-mail in the ledger.",
        field="email",
        depends_on=("customers",),
        ask=True,
    ),
    rule(
        r"not a valid email address",
        cause="e-mail invalid",
        reason="The shop does not take the e-mail for an address.",
        cure="Correct the e-mail of the contact in the ledger.",
        field="email",
    ),
    rule(
        r'"(?P<value>[^"]+)" is a required value',
        cause="required field missing",
        reason="The shop asks for {value}.",
        cure="Enter it in the ledger.",
    ),
    rule(
        r"URL key for specified store already exists",
        cause="name of another product",
        reason="The shop makes the address of a product of its name, and another product has that address.",
        cure="Give one of the two products another name, or an address (URL key) of its own in the shop.",
        who="shop",
        field="name",
        depends_on=("products",),
    ),
    rule(
        r"Unique constraint violation",
        cause="made meanwhile",
        reason="The shop has a product with this sku.",
        cure="The next load brings it; then it is linked instead of made.",
        who="operator",
        field="sku",
        depends_on=("products",),
        ask=True,
    ),
    rule(
        r"stock item was unable to be saved|Please try again|Deadlock",
        cause="shop busy",
        reason="Another write to the shop's catalogue got in the way.",
        cure=_AGAIN,
        who="operator",
        kind="later",
    ),
    rule(
        r"Invalid attribute set|Invalid product data|attribute set",
        cause="attribute set unknown",
        reason="The shop does not know the attribute set for new products.",
        cure="Correct attribute_set in back_routes.csv.",
        who="analyst",
    ),
    rule(
        r"Invalid attribute SKU|product that was requested doesn't exist|No such entity",
        cause="not in the shop",
        reason="The shop does not have this record.",
        cure="The next load shows what became of it.",
        who="shop",
        depends_on=("products", "customers"),
    ),
    rule(
        r"Invalid attribute Price",
        cause="price refused",
        reason="The shop does not take this price.",
        cure="Correct the price in the ledger.",
        field="price",
    ),
    rule(
        r"Could not save Source Item",
        cause="source unknown",
        reason="The shop has no such inventory source.",
        cure="Correct source_code in back_routes.csv, or make the source in the shop.",
        who="analyst",
        field="source_code",
    ),
    rule(
        r"Error occurred during|value's type is invalid|Invalid value of",
        cause="value refused",
        reason="The shop does not take a value.",
        cure="Correct it in the ledger.",
    ),
)


def refusal(messages: Sequence[str]) -> Outcome:
    """The outcome for an element that Magento refused with these messages."""
    said = "; ".join(messages)
    found = next(
        ((rule_, match) for pattern, rule_ in RULES if (match := pattern.search(said)) is not None), None
    )
    if found is None:
        understood = Refusal(
            cause="refused by Magento",
            reason=f"Magento refused it: {said or 'without words'}.",
            cure="Correct the record at its source, or edit the entry.",
            who="operator",
        )
        value = ""
    else:
        understood, match = found
        value = match.groupdict().get("value") or ""
    return Outcome(
        kind=understood.kind,
        messages=tuple(messages),
        field=understood.field,
        cause=understood.cause,
        reason=understood.reason.format(value=value) if found else understood.reason,
        cure=understood.cure,
        who=understood.who,
        depends_on=understood.depends_on,
        ask=understood.ask,
    )
