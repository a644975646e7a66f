"""Tax rates and the total-based tax calculation, with the rounding that is carried from line to line.

Transcribed in our own words from `Tax/Model/Calculation/TotalBaseCalculator.php` and checked against
recorded orders of Magento Open Source 2.4.4: rounding differences are carried per rate, apart for the tax
before and after discount, from the first item to shipping; the carry starts at a millionth. With
tax-inclusive prices the catalogue price is first stripped of the tax of the shipping origin.

Rates of rules with one priority are one tax (`Calculation::getAppliedRates`): summed, rounded once, then shared out by
percent to four places, unrounded to cents. A rule of a later priority is taken on top of the tax before it, unless it
is marked "calculate off subtotal only". The rounding carry is kept by such a group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from sandbox.magento.render import ZERO, cents
from sandbox.magento.shop import Doc, Shop

CUSTOMER_CLASS = 3
_START = Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A rate that applies."""

    code: str
    title: str
    percent: Decimal
    priority: int = 0
    on_top: bool = False
    """Taken of the price and of the tax of the priorities before."""


@dataclass(slots=True, kw_only=True)
class Taxed:
    """The figures of one line."""

    price: Decimal
    price_incl_tax: Decimal
    row_total: Decimal
    row_total_incl_tax: Decimal
    tax: Decimal
    compensation: Decimal
    percent: Decimal
    applied: list[tuple[Rate, Decimal]]


def rates_for(
    shop: Shop, product_class: int, country: str, customer_class: int = CUSTOMER_CLASS
) -> list[Rate]:
    """Rates of the rules for a product class and a customer class, in a country."""
    found: list[Rate] = []
    known: dict[int, Doc] = {row["id"]: row for row in shop.all("tax_rates")}
    rules = sorted(shop.all("tax_rules"), key=lambda rule: (rule["priority"], rule["position"], rule["id"]))
    for rule in rules:
        if (
            product_class not in rule["product_tax_class_ids"]
            or customer_class not in rule["customer_tax_class_ids"]
        ):
            continue
        for rate_id in rule["tax_rate_ids"]:
            rate = known.get(rate_id)
            if rate is not None and rate["tax_country_id"] == country:
                found.append(
                    Rate(
                        code=rate["code"],
                        title=rate["code"],
                        percent=Decimal(rate["rate"]),
                        priority=rule["priority"],
                        on_top=not rule["calculate_subtotal"],
                    )
                )
    return found


def groups_of(rates: Sequence[Rate]) -> list[tuple[list[Rate], Decimal]]:
    """The rates by priority, each group with the percent that it takes of the price."""
    found: list[tuple[list[Rate], Decimal]] = []
    before = ZERO
    for priority in sorted({rate.priority for rate in rates}):
        group = [rate for rate in rates if rate.priority == priority]
        percent = sum((rate.percent for rate in group), ZERO)
        if found and group[0].on_top:
            percent = percent * (100 + before) / 100
        before += percent
        found.append((group, percent))
    return found


def total_percent(rates: Sequence[Rate]) -> Decimal:
    """What all rates take of the price together."""
    return sum((percent for _, percent in groups_of(rates)), ZERO)


@dataclass(slots=True)
class Calculator:
    """One calculation: the lines of a cart in one currency, then shipping."""

    _carried: dict[tuple[str, str], Decimal] = field(default_factory=dict)

    def line(
        self,
        *,
        unit: Decimal,
        qty: Decimal,
        discount: Decimal,
        rates: Sequence[Rate],
        included: bool,
        origin_percent: Decimal,
    ) -> Taxed:
        """Tax of one line; `unit` includes tax if `included`."""
        if included:
            return self._included(cents(unit), qty, discount, rates, origin_percent)
        return self._excluded(cents(unit), qty, discount, rates)

    def _included(
        self, unit: Decimal, qty: Decimal, discount: Decimal, rates: Sequence[Rate], origin_percent: Decimal
    ) -> Taxed:
        percent = total_percent(rates)
        if percent != origin_percent:
            net = unit - unit * origin_percent / (100 + origin_percent)
            unit = cents(net * (100 + percent) / 100)
        gross = unit * qty
        before = self._round(gross * percent / (100 + percent), "before", str(percent))
        taxable = max(gross - discount, ZERO)
        tax = self._round(taxable * percent / (100 + percent), "after", str(percent))
        row = gross - before
        shares = [
            (rate, tax * taken / percent * rate.percent / sum(each.percent for each in group))
            for group, taken in groups_of(rates)
            for rate in group
            if percent and rate.percent
        ]
        return Taxed(
            price=cents(row / qty),
            price_incl_tax=unit,
            row_total=row,
            row_total_incl_tax=gross,
            tax=tax,
            compensation=before - tax,
            percent=percent,
            applied=shares,
        )

    def _excluded(self, unit: Decimal, qty: Decimal, discount: Decimal, rates: Sequence[Rate]) -> Taxed:
        row = unit * qty
        before = ZERO
        applied: list[tuple[Rate, Decimal]] = []
        tax = ZERO
        for group, percent in groups_of(rates):
            name = "".join(rate.code for rate in group)
            before += self._round(row * percent / 100, "before", name)
            part = self._round(max(row - discount, ZERO) * percent / 100, "after", name)
            tax += part
            nominal = sum((rate.percent for rate in group), ZERO)
            applied += [(rate, part * rate.percent / nominal if nominal else ZERO) for rate in group]
        return Taxed(
            price=unit,
            price_incl_tax=cents((row + before) / qty),
            row_total=row,
            row_total_incl_tax=row + before,
            tax=tax,
            compensation=ZERO,
            percent=total_percent(rates),
            applied=applied,
        )

    def _round(self, amount: Decimal, kind: str, rate: str) -> Decimal:
        if not amount:
            return ZERO
        amount += self._carried.get((kind, rate), _START)
        rounded = cents(amount)
        self._carried[kind, rate] = amount - rounded
        return rounded
