"""Contacts: companies with several buyers, one e-mail twice, names that are taken, contacts merged and archived."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from sandbox.cases.books import contact_in_books
from sandbox.people import Shopper
from sandbox.stand import Json, Stand, Teller, item, place


def company_two_buyers(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Two buyers of one company, which has a VAT id, order by card: one debtor, two contact persons.

    Twice Dr AR (Harbour Café Ltd) 21.00, Cr sales, shipping, VAT; Dr 611, Cr AR.
    """
    company = ("Harbour Café Ltd", "GB123456789")
    jane = who.renamed("Jane", "Doe", "jane@harbourcafe.example").of_company(*company)
    tom = who.renamed("Tom", "Roe", "tom@harbourcafe.example").of_company(*company)
    place(stand, jane, at, [item("MUG-01")], customer=True)
    return place(stand, tom, at + timedelta(hours=5), [item("MUG-01")], customer=True)


def same_email_two_stores(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """One e-mail is two customers, one on each website: e-mails are unique within a website only.

    Routes by e-mail make one debtor of them, routes by customer two; both sales are booked on theirs.
    """
    twice = who.renamed("Pat", "Twice", "pat.twice@example.com")
    place(stand, twice, at, [item("MUG-01")], customer=True)
    return place(stand, twice, at + timedelta(hours=2), [item("MUG-01", 2)], store="trade_en", customer=True)


def name_taken_numbered(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Two people of the same name; Xero's names are unique.

    By the route the second is held, or becomes a contact with its number behind the name. Each owes their own 24.83 euro.
    """
    first = who.in_ireland().renamed("Sam", "Same", "sam.one@example.com")
    second = who.in_ireland().renamed("Sam", "Same", "sam.two@example.com")
    place(stand, first, at, [item("MUG-01")], store="eu")
    return place(stand, second, at + timedelta(hours=1), [item("MUG-01")], store="eu")


def merged_contact(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """The accountant merges a contact of ours into another; then the shopper orders again.

    Both sales are owed by the contact that stayed: Dr AR (Merged Holdings) 21.00 and 36.00.
    """
    buyer = who.renamed("Max", "Merger", "max.merger@example.com")
    order = place(stand, buyer, at, [item("MUG-01")])

    def act(on: datetime) -> Json | None:
        made = stand.ledger("records/Contacts", Name="Merged Holdings")
        loser = contact_in_books(stand, buyer.email)
        stand.ledger("merge", **{"from": loser["ContactID"], "into": made["Contacts"][0]["ContactID"]})
        return place(stand, buyer, on, [item("MUG-01", 2)])

    stand.after(merged_contact, act)
    return order


def archived_contact(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """The accountant archives a contact of ours; then the shopper orders again.

    The first sale is booked. The second is **held** until somebody restores the contact: Xero takes no document of an
    archived one, and who archives means it.
    """
    buyer = who.renamed("Ari", "Archive", "ari.archive@example.com")
    order = place(stand, buyer, at, [item("MUG-01")])

    def act(on: datetime) -> Json | None:
        contact = contact_in_books(stand, buyer.email)
        fields = {"ContactStatus": "ARCHIVED"}
        stand.ledger("edit", entity="Contacts", id=contact["ContactID"], fields=fields)
        return place(stand, buyer, on, [item("BOOK-01")])

    stand.after(archived_contact, act)
    return order


def guest_then_customer(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A guest registers with the same e-mail and orders again: still one debtor where the route goes by e-mail."""
    buyer = who.renamed("Gerda", "Guest", "gerda.guest@example.com")
    place(stand, buyer, at, [item("MUG-01")])
    return place(stand, buyer, at + timedelta(days=2), [item("BOOK-01", 2)], customer=True)


STORIES: tuple[Teller, ...] = (
    company_two_buyers,
    same_email_two_stores,
    name_taken_numbered,
    merged_contact,
    archived_contact,
    guest_then_customer,
)
