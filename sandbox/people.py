"""Invented shoppers for the sample trade."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

FIRST_NAMES = (
    "Ada",
    "Alan",
    "Amira",
    "Bea",
    "Callum",
    "Chloe",
    "Dev",
    "Edith",
    "Farah",
    "Finn",
    "Grace",
    "Hugo",
    "Imran",
    "Isla",
    "Jack",
    "Kemi",
    "Leo",
    "Maeve",
    "Nadia",
    "Oscar",
    "Priya",
    "Quentin",
    "Rosa",
    "Sam",
    "Tara",
    "Uma",
    "Victor",
    "Wendy",
    "Yusuf",
    "Zoë",
)
LAST_NAMES = (
    "Abbott",
    "Bell",
    "Carter",
    "Doyle",
    "Ellis",
    "Fraser",
    "Gupta",
    "Hughes",
    "Iqbal",
    "Jones",
    "Khan",
    "Lewis",
    "Murphy",
    "Nolan",
    "Okafor",
    "Patel",
    "Quinn",
    "Reid",
    "Singh",
    "Turner",
    "Underwood",
    "Vaughan",
    "Walsh",
    "Young",
    "O'Brien",
    "van der Berg",
)
TOWNS = (
    ("Leeds", "LS1 1AA"),
    ("Bristol", "BS1 4ST"),
    ("York", "YO1 7HH"),
    ("Cardiff", "CF10 1EP"),
    ("Leith", "EH6 6JJ"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shopper:
    """One person: name, e-mail and one address (ISO country code)."""

    firstname: str
    lastname: str
    email: str
    street: str
    town: str
    postcode: str
    country: str = "GB"
    company: str | None = None
    vat_id: str | None = None

    def address(self) -> dict[str, Any]:
        """The address as Magento's API takes it."""
        return {
            "firstname": self.firstname,
            "lastname": self.lastname,
            "street": [self.street],
            "city": self.town,
            "postcode": self.postcode,
            "country_id": self.country,
            "telephone": "0113 496 0000",
            "email": self.email,
            **({"company": self.company} if self.company else {}),
            **({"vat_id": self.vat_id} if self.vat_id else {}),
        }

    def in_ireland(self) -> Shopper:
        """The same person at an Irish address."""
        return self.moved("Cork", "T12 R5CP", "IE")

    def moved(self, town: str, postcode: str, country: str) -> Shopper:
        """The same person elsewhere."""
        return replace(self, town=town, postcode=postcode, country=country)

    def of_company(self, company: str, vat_id: str) -> Shopper:
        """The same person buying for a company."""
        return replace(self, company=company, vat_id=vat_id)

    def mailed(self, email: str) -> Shopper:
        """The same person under another e-mail."""
        return replace(self, email=email)

    def renamed(self, firstname: str, lastname: str, email: str) -> Shopper:
        """The same address under another name."""
        return replace(self, firstname=firstname, lastname=lastname, email=email)


def shopper(chance: random.Random) -> Shopper:
    """Somebody; the same name comes back with the same e-mail, as returning shoppers do."""
    first, last = chance.choice(FIRST_NAMES), chance.choice(LAST_NAMES)
    town, postcode = chance.choice(TOWNS)
    local = f"{first}.{last}".lower().replace(" ", "").replace("'", "").replace("ë", "e")
    return Shopper(
        firstname=first,
        lastname=last,
        email=f"{local}@example.com",
        street=f"{chance.randint(1, 180)} High Street",
        town=town,
        postcode=postcode,
    )
