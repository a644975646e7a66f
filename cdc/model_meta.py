"""The `meta.tieout` of a model's yml: what an analyst promises about an outbound model or a mart, validated.

    tieout:
      system: xero                 # target system
      entity: invoices             # what the target's writer calls it
      driver: magento__orders      # what _source_id identifies
      lines: {LineItems: out_xero__invoice_lines}
      once: {model: int_documents_checked, by: [connection, order_id], only: {document: invoice}}   # cdc/once.py
      amend: open_only             # open_only, always, correct, once
      on_target_change: {default: hold, Reference: target}   # hold, source (or overwrite), target (or yield)
      both_ways: {EmailAddress: [email]}                     # fields that the other direction may send, and their common names
      on_both_changed: {default: hold, EmailAddress: newest} # source, target, newest, hold
      marker: InvoiceNumber
      on_missing: hold             # hold, keep
      dirty:                       # one line for each staging table that the model or its lines read
        magento__orders: self
        magento__invoices: {column: order_id}
        xero__invoices: {link: invoices}
        magento__products: {sql: "select … as source_connection, … as source_id from changed join staging.…"}
        xero__accounts: sweep
        magento__stock_items: {ignored: why}

A mart says `kind: mart`, `driver`, `unique_key`, `refresh_by: {connection_column, id_column}`, `dirty`, and `indexes` for BI.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cdc.both_ways import Take
from cdc.outbound import Amend, DirtyRule, OnMissing, OnTargetChange
from tieout.errors import BuildError

_SPELLED: Mapping[OnTargetChange | Literal["source", "target"], OnTargetChange] = {
    "source": "overwrite",
    "target": "yield",
    "overwrite": "overwrite",
    "yield": "yield",
    "hold": "hold",
}


class Rule(BaseModel):
    """A dirty rule that carries a value: exactly one of its fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str | None = None
    link: str | None = None
    sql: str | None = None
    ignored: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_dump(exclude_none=True)) != 1:
            raise ValueError("say exactly one of column, link, sql, ignored")
        return self


class _Meta(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    driver: str
    dirty: dict[str, Literal["self", "sweep"] | Rule] = Field(default_factory=dict)
    problems: str = ""
    """Why this model rightly has no `_problems` of its own, beginning with `none:`."""

    @property
    def rules(self) -> tuple[DirtyRule, ...]:
        """The dirty rules, typed."""
        return tuple(_rule(table, rule) for table, rule in self.dirty.items())


class OnceMeta(BaseModel):
    """A model that header and lines are both made from: the diff works it out once for a driving record."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    by: tuple[str, str]
    """Its columns that hold the driving record's connection and id."""
    only: dict[str, str] = Field(default_factory=dict)
    """Other columns (text), each with the one value that both read."""


class OutboundMeta(_Meta):
    """Meta of an outbound model."""

    kind: Literal["outbound"] = "outbound"
    system: str
    entity: str
    lines: dict[str, str] = Field(default_factory=dict)
    once: OnceMeta | None = None
    amend: Amend = "open_only"
    on_target_change: dict[str, OnTargetChange | Literal["source", "target"]] = Field(default_factory=dict)
    both_ways: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    on_both_changed: dict[str, Take] = Field(default_factory=dict)
    marker: str | None = None
    on_missing: OnMissing = "hold"

    @property
    def owners(self) -> dict[str, OnTargetChange]:
        """`on_target_change` in one spelling."""
        return {field: _SPELLED[rule] for field, rule in self.on_target_change.items()}

    @model_validator(mode="after")
    def _shares_no_money(self) -> Self:
        if self.both_ways and (self.lines or self.amend != "always"):
            raise ValueError(
                "both_ways is for master data (amend: always, no lines): amounts are never merged"
            )
        unknown = self.on_both_changed.keys() - self.both_ways.keys() - {"default"}
        if unknown:
            raise ValueError(f"on_both_changed names {min(unknown)}, which both_ways does not")
        return self


class RefreshBy(BaseModel):
    """The bare columns of a mart's view that changed drivers are looked up by."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connection_column: str
    id_column: str


class MartMeta(_Meta):
    """Meta of a mart."""

    kind: Literal["mart"]
    unique_key: list[str] = Field(min_length=1)
    refresh_by: RefreshBy
    indexes: list[str] = Field(default_factory=list)
    """What BI asks for: what stands after `create index on …`, beside the key and `refresh_by`."""


def parse_meta(meta: Mapping[str, Any], *, where: str) -> OutboundMeta | MartMeta | None:
    """The meta of a model of the outbound or mart layer, None when it has none.

    BuildError names the wrong line.
    """
    stated = {key: value for key, value in meta.items() if key != "problems"}
    if not stated:
        return None
    kind = MartMeta if meta.get("kind") == "mart" else OutboundMeta
    try:
        return kind.model_validate(dict(meta))
    except ValidationError as error:
        sentences = [
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)
        ]
        raise BuildError(
            f"The yml of {where}: meta.tieout: {'; '.join(sentences)}.",
            cure="CONTRIBUTING.md lists what `meta.tieout` may say.",
        ) from error


def _rule(table: str, rule: Literal["self", "sweep"] | Rule) -> DirtyRule:
    if isinstance(rule, str):
        return DirtyRule(table=table, kind=rule)
    if rule.column is not None:
        return DirtyRule(table=table, kind="column", value=rule.column)
    if rule.link is not None:
        return DirtyRule(table=table, kind="link", value=rule.link)
    if rule.sql is not None:
        return DirtyRule(table=table, kind="sql", value=rule.sql)
    return DirtyRule(table=table, kind="ignored", value=rule.ignored or "")
