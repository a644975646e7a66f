"""How alike are two names, numbers, amounts, days, tax numbers, e-mails? Pure functions; a score proposes, it never merges.

All comparisons run on plain forms: names without case, accents, punctuation and legal form, their words in order of the
alphabet; numbers as letters and digits; tax numbers and e-mails as their owners would type them again. Two empty values
are never alike: absence proves nothing.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

from rapidfuzz import fuzz

_LEGAL_FORMS = frozenset(
    [
        "ltd",
        "limited",
        "plc",
        "llp",
        "llc",
        "inc",
        "incorporated",
        "corp",
        "corporation",
        "co",
        "company",
        "gmbh",
        "ag",
        "kg",
        "ug",
        "mbh",
        "sa",
        "sas",
        "sarl",
        "srl",
        "spa",
        "bv",
        "nv",
        "ab",
        "as",
        "oy",
        "aps",
        "pty",
        "sro",
        "the",
        "and",
        "und",
        "et",
    ]
)
_TITLES = frozenset(["mr", "mrs", "ms", "miss", "dr", "prof", "herr", "frau", "mme"])
_NOT_WORD = re.compile(r"[^\w]+|_")
_DIGITS = re.compile(r"\d+")
_LONG_NUMBER = 4
"""Fewer digits name too many documents."""


def plain_name(text: str | None) -> str:
    """`Müller & Söhne GmbH` as `muller sohne`; the words of what is nothing but a legal form stay."""
    words = _words(text)
    kept = [word for word in words if word not in _LEGAL_FORMS and word not in _TITLES] or words
    return " ".join(sorted(kept))


def words_of(text: str | None) -> tuple[str, ...]:
    """The words of a name that tell people apart: three letters or more, no legal form."""
    return tuple(dict.fromkeys(word for word in plain_name(text).split() if len(word) >= 3))


def plain_number(text: str | None) -> str:
    """`WEB-000 12/b` as `WEB00012B`: a document number or code without what separates its parts."""
    return "".join(character for character in (text or "").upper() if character.isalnum())


def numbers_in(text: str | None) -> tuple[str, ...]:
    """The runs of digits in a text that may name a document, zeros in front kept: `Order 000000012 (x2)` has `000000012`."""
    found = _DIGITS.findall(text or "")
    return tuple(dict.fromkeys(run for run in found if len(run) >= _LONG_NUMBER))


def core_of(number: str) -> str:
    """The digits of a number without zeros in front; empty where they say too little (`7`)."""
    digits = number.lstrip("0")
    return digits if len(digits) >= 3 else ""


def plain_tax_number(text: str | None) -> str:
    """`gb 123 4567 89` as `GB123456789`; empty for what has fewer than five digits."""
    plain = plain_number(text)
    return plain if sum(character.isdigit() for character in plain) >= 5 else ""


def plain_email(text: str | None) -> str:
    """Lower case, without blanks; empty for what is no address."""
    plain = "".join((text or "").split()).lower()
    return plain if plain.count("@") == 1 and not plain.startswith("@") and not plain.endswith("@") else ""


def name_likeness(one: str | None, other: str | None) -> float:
    """From 0 to 1: the better of all letters compared in order of words, and of the words that both have.

    A name that only contains the other (`Smith` in `Jane Smith`) never reaches 0.9: a family is not a person.
    """
    left, right = plain_name(one), plain_name(other)
    if not left or not right:
        return 0.0
    if left == right:
        return 1.0
    whole = float(fuzz.ratio(left, right)) / 100
    shared = float(fuzz.token_set_ratio(left, right)) / 100
    return max(whole, min(shared, 0.85) if min(len(left), len(right)) >= _LONG_NUMBER else 0.0)


def number_likeness(one: str | None, other: str | None) -> float:
    """1 for the same number, 0.8 for the same digits behind another prefix, else how alike they look, at most 0.6."""
    left, right = plain_number(one), plain_number(other)
    if not left or not right:
        return 0.0
    if left == right:
        return 1.0
    cores = [{core_of(run) for run in numbers_in(text)} - {""} for text in (one, other)]
    if cores[0] & cores[1]:
        return 0.8
    return min(0.6, float(fuzz.ratio(left, right)) / 100)


def amount_likeness(one: Decimal | None, other: Decimal | None) -> float:
    """1 to the cent, 0.9 within five cents (rounding), then falling with the share that is apart; 0 from a half on."""
    if one is None or other is None:
        return 0.0
    apart = abs(one - other)
    if not apart:
        return 1.0
    if apart <= Decimal("0.05"):
        return 0.9
    larger = max(abs(one), abs(other))
    return max(0.0, 0.8 * (1 - 2 * float(apart / larger)))


def tax_number_likeness(one: str | None, other: str | None) -> float:
    """1 for the same number, with or without its country in front; else 0: a digit apart is another business."""
    left, right = plain_tax_number(one), plain_tax_number(other)
    if not left or not right:
        return 0.0
    bare = [number.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for number in (left, right)]
    both_named = left[:2].isalpha() and right[:2].isalpha()
    return 1.0 if left == right or (bare[0] == bare[1] and not both_named) else 0.0


def email_likeness(one: str | None, other: str | None) -> float:
    """1 for the same address; 0.5 at most for one that looks like it (a slip of the keyboard is a proposal at best)."""
    left, right = plain_email(one), plain_email(other)
    if not left or not right:
        return 0.0
    if left == right:
        return 1.0
    alike = float(fuzz.ratio(left, right)) / 100
    return 0.5 if alike >= 0.93 else 0.0


def _words(text: str | None) -> list[str]:
    decomposed = unicodedata.normalize("NFKD", (text or "").casefold())
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    return _NOT_WORD.sub(" ", plain).split()
