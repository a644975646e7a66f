"""No flood: when a diff makes more than its limits allow, or a model is new or changed, a person looks first.

Limits are of one diff of one model: counts of entries, shares of the records that the model has in the target, and money by
currency, which is never added over currencies. Money that nobody can know is no money within a limit: where a limit of money
is set, an entry that posts and names no amount, or a currency without a limit, is held and says so.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tieout.errors import ConfigurationError
from tieout.limits import Limits

_NAMES = (("create", "creates"), ("update", "updates"), ("remove", "removals"))
VANISHED = "row vanished from its model"
"""Cause of one row that is no longer there."""
SHRUNKEN = "input shrank"
"""Cause of many that went at once: approved only by this cause or by key, because a yes removes them."""
SHRUNKEN_CURE = (
    "Restore the input (a table, lookup, join or filter): they are dropped by themselves then. Else accept them as they are; "
    "approving removes them, and needs --cause or their keys."
)
FEW = 3
"""Rows that may always vanish one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """New entries of one operation and currency of a model."""

    operation: str
    currency: str | None
    entries: int
    amount: Decimal = Decimal(0)
    """Money of the documents that they make, change or remove, each as a positive amount."""
    largest: Decimal = Decimal(0)
    without_amount: int = 0
    """Of them, those that name no amount or no currency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """Money that a model has in its targets, by currency; of `unknown` records it is not known."""

    amounts: Mapping[str, Decimal]
    unknown: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the limits are measured against; the last two are only asked for when a limit needs them."""

    is_new: bool = False
    is_changed: bool = False
    posts: bool = False
    """Entries of this kind do something to the accounts."""
    linked: Callable[[int | None], int] = lambda _enough: 0
    """Records that the model has in its targets, counted until there are enough (None: all): books are large, a diff is not."""
    posted: Callable[[], Posted] = lambda: Posted(amounts={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Entries of one model that are held, and why. What is not given is any."""

    operations: tuple[str, ...]
    cause: str
    reason: str
    currency: str | None = None
    above: Decimal | None = None
    """Only entries of more money than this."""
    without_amount: bool = False
    """Only entries that name no amount or no currency."""


def stops(made: Sequence[Made], limits: Limits, standing: Standing) -> tuple[Stop, ...]:
    """What is held of the entries that a diff made; each entry by the first stop that fits it.

    A new model is held whole. A changed one holds what it does to documents that are in the target already; what it
    creates passes, so that a cured lookup delivers by itself. Beyond a limit all entries of that operation are held, of
    money those of the currency; beyond `largest` the single ones.
    """
    counts = {name: sum(one.entries for one in made if one.operation == name) for name, _ in _NAMES}
    present = {name for name, count in counts.items() if count}
    if not present:
        return ()
    if standing.is_new:
        reason = "No entry of this model was ever approved."
        return (Stop(operations=tuple(sorted(present)), cause="first run of a new model", reason=reason),)
    found: list[Stop] = []
    if standing.is_changed and (touching := tuple(sorted(present & {"update", "remove"}))):
        reason = (
            "The model or a lookup was changed, and this would change records that are in the target already."
        )
        found.append(Stop(operations=touching, cause="changed model", reason=reason))
    held = {operation for stop in found for operation in stop.operations}
    found += _too_many({name: count for name, count in counts.items() if name not in held}, limits, standing)
    held = {operation for stop in found for operation in stop.operations}
    found += _too_much([one for one in made if one.operation not in held], limits, standing)
    return tuple(found)


def enough_for(count: int, share: Decimal) -> int | None:
    """So many records there must be for a count to be no more than that share of them; None: no number is enough."""
    return math.ceil(count / share) if share > 0 else None


def is_shrunken(vanished: int, limits: Limits, linked: int) -> bool:
    """Did so many rows of a model vanish that its input is to blame?"""
    return vanished > FEW and Decimal(vanished) > limits.vanished_share * linked


def refuse_unknown(limits: Limits, models: Iterable[str]) -> None:
    """ConfigurationError for limits of a model that is not in force: they would hold nothing."""
    known = sorted(models)
    for name in limits.models:
        if known and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise ConfigurationError(
                f"The settings limit {name}, and no outbound model in force has that name.",
                cure=f"Correct [limits.models.{name}]" + (f"; {near[0]} comes near." if near else "."),
            )


def _too_many(counts: Mapping[str, int], limits: Limits, standing: Standing) -> Iterator[Stop]:
    for operation, setting in _NAMES:
        count = counts.get(operation, 0)
        limit: int = getattr(limits, setting)
        share: Decimal = getattr(limits, f"{setting}_share")
        if count > limit:
            reason = f"The diff made {count} entries of this kind; the limit ({setting}) is {limit}."
        elif (
            count >= limits.share_from
            and share < 1
            and Decimal(count) > share * (linked := standing.linked(enough_for(count, share)))
        ):
            setting = f"{setting}_share"
            reason = (
                f"The diff made {count} entries of this kind; this model has {linked} records in the target, and the limit"
                f" ({setting}) is {share * 100:.4g} % of them."
            )
        else:
            continue
        yield Stop(operations=(operation,), cause=f"over the limit of {setting}", reason=reason)


def _too_much(made: Sequence[Made], limits: Limits, standing: Standing) -> Iterator[Stop]:
    if not (limits.amounts or limits.largest or limits.amounts_share < 1) or not standing.posts:
        return
    for one in made:
        if one.without_amount:
            yield Stop(
                operations=(one.operation,),
                cause="no amount to compare with the limit",
                reason="It does something to the accounts and names no amount or no currency, so no limit of money can be kept.",
                without_amount=True,
            )
        if one.currency is not None:
            yield from _of_currency(one, one.currency, limits, standing)


def _of_currency(one: Made, currency: str, limits: Limits, standing: Standing) -> Iterator[Stop]:
    for setting, limit_of in (("amounts", limits.amounts), ("largest", limits.largest)):
        if limit_of and currency not in limit_of:
            yield Stop(
                operations=(one.operation,),
                currency=currency,
                cause=f"no limit for {currency}",
                reason=f"The settings limit money by currency (limits.{setting}), and say nothing of {currency}.",
            )
            return
    limit = limits.amounts.get(currency)
    if limit is not None and one.amount > limit:
        yield Stop(
            operations=(one.operation,),
            currency=currency,
            cause=f"over the limit of amounts in {currency}",
            reason=f"The diff made {one.entries} entries of this kind over {one.amount:,.2f} {currency}; the limit (amounts) is"
            f" {limit:,.2f} {currency}.",
        )
        return
    if limits.amounts_share < 1 and one.entries >= limits.share_from:
        posted = standing.posted()
        known = posted.amounts.get(currency, Decimal(0))
        if one.amount > limits.amounts_share * known:
            unknown = f" (of {posted.unknown} records the amount is not known)" if posted.unknown else ""
            yield Stop(
                operations=(one.operation,),
                currency=currency,
                cause=f"over the limit of amounts_share in {currency}",
                reason=f"The diff made entries of this kind over {one.amount:,.2f} {currency}; this model has"
                f" {known:,.2f} {currency} in the target{unknown}, and the limit (amounts_share) is"
                f" {limits.amounts_share * 100:.4g} % of it.",
            )
            return
    single = limits.largest.get(currency)
    if single is not None and one.largest > single:
        yield Stop(
            operations=(one.operation,),
            currency=currency,
            above=single,
            cause=f"over the limit of largest in {currency}",
            reason=f"It is of more than {single:,.2f} {currency}, the limit (largest) of one document.",
        )
