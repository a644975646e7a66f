"""What a record shows of itself, so that it can be recognised on the other side; and where to look for it.

A face has the same form for an outbound row of ours and for a record of a target. `blocks` are the texts under which both
sides meet in the database: only records that share one are ever compared, so the cost follows the candidates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

from cdc import likeness

Kind = Literal["party", "item", "document", "money"]
"""party: contacts, customers. item: what is sold. document: invoices and credit notes. money: what is put on documents."""

NEAR_DAYS = 3
LONG_RUN = 6
"""Digits, zeros in front included, from which on a run names a document by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """A record as others would know it again; amounts positive, in `currency`."""

    id: str
    """Of ours the key, else the target's id."""
    kind: Kind
    within: str = ""
    """The id of the staging row that shows it, where that is another record (an allocation on its credit note)."""
    title: str = ""
    """What a person knows it by."""
    marks: tuple[str, ...] = ()
    """Texts that nobody but us writes: our key, or the mark that stands for it."""
    numbers: tuple[str, ...] = ()
    """Its own numbers or codes."""
    orders: tuple[str, ...] = ()
    """Numbers of the order behind it, and free references that may name it."""
    names: tuple[str, ...] = ()
    """Of a party or item its name; of a document that of its party."""
    origins: tuple[str, ...] = ()
    """The record of the target that ours was made from, when that target was the source; of theirs, itself."""
    email: str = ""
    tax_number: str = ""
    place: str = ""
    """Within what the e-mail names one party (a website), where that is not the whole target; of money its kind."""
    postcodes: tuple[str, ...] = ()
    """As letters and digits."""
    phones: tuple[str, ...] = ()
    """The last digits."""
    party: str = ""
    """The target's id of the party, where it is known."""
    documents: tuple[str, ...] = ()
    """The target's ids of the documents that the money is put on."""
    account: str = ""
    amount: Decimal | None = None
    tax: Decimal | None = None
    currency: str = ""
    day: date | None = None


def blocks(face: Face, *, is_ours: bool) -> Iterator[str]:
    """The texts under which it may be met. Ours reach out (days before and after), the target's stay where they are."""
    yield from (f"mark:{mark}" for mark in face.marks)
    yield from (f"origin:{origin}" for origin in face.origins)
    match face.kind:
        case "party":
            yield from _of_party(face)
        case "item":
            yield from (
                f"code:{plain}" for number in face.numbers if (plain := likeness.plain_number(number))
            )
            yield from (f"name:{plain}" for name in face.names if (plain := likeness.plain_name(name)))
        case "document":
            yield from _of_document(face, is_ours=is_ours)
        case "money":
            # Money is known by what it is put on: whose document is not there, its payment is not there either. A deposit
            # is put on none yet, and known by who paid it.
            if face.documents:
                yield "paid:" + "/".join(sorted(document.casefold() for document in face.documents))
            elif face.party:
                yield from _near(f"received:{face.party.casefold()}", face.day, is_ours=is_ours)


def _of_party(face: Face) -> Iterator[str]:
    if email := likeness.plain_email(face.email):
        yield f"mail:{email}"
    if tax_number := likeness.plain_tax_number(face.tax_number):
        yield f"tax:{tax_number.lstrip('ABCDEFGHIJKLMNOPQRSTUVWXYZ')}"
    for name in face.names:
        if plain := likeness.plain_name(name):
            yield f"name:{plain}"
        yield from (f"word:{word}" for word in likeness.words_of(name))


def _of_document(face: Face, *, is_ours: bool) -> Iterator[str]:
    for number in (*face.numbers, *face.orders):
        if plain := likeness.plain_number(number):
            yield f"number:{plain}"
        yield from (
            f"digits:{core}" for run in likeness.numbers_in(number) if (core := likeness.core_of(run))
        )
        # A young shop's order 000000002 has next to no digits, but nobody else writes it so.
        yield from (f"run:{run}" for run in likeness.numbers_in(number) if len(run) >= LONG_RUN)
    if face.currency and face.amount is not None:
        yield from _near(f"money:{face.currency}/{_plain(face.amount)}", face.day, is_ours=is_ours)
    if face.party:
        yield from _near(f"party:{face.party.casefold()}", face.day, is_ours=is_ours)
    for name in face.names:
        if plain := likeness.plain_name(name):
            yield from _near(f"who:{plain}", face.day, is_ours=is_ours)


def _near(block: str, day: date | None, *, is_ours: bool) -> Iterator[str]:
    if day is None:
        return
    reach = NEAR_DAYS if is_ours else 0
    yield from (f"{block}/{day + timedelta(days=days)}" for days in range(-reach, reach + 1))


def _plain(amount: Decimal) -> str:
    return f"{amount:.2f}"
