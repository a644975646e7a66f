"""`[limits]`: what one diff of one model may make before a person looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one diff of one model may make; beyond it entries are held for a person (`cdc/guard.py`)."""

    creates: int = 500
    updates: int = 200
    removals: int = 20
    creates_share: Decimal = Decimal(1)
    """Shares are of what the model has in the target, 1: no limit."""
    updates_share: Decimal = Decimal("0.5")
    removals_share: Decimal = Decimal("0.1")
    vanished_share: Decimal = Decimal("0.1")
    """More rows gone at once than this: the input of the model shrank."""
    share_from: int = 20
    """Entries from which on they are compared with a share."""
    amounts: Mapping[str, Decimal] = field(default_factory=lambda: MappingProxyType({}))
    """Money of the documents that one diff makes, changes or removes, by currency."""
    amounts_share: Decimal = Decimal(1)
    largest: Mapping[str, Decimal] = field(default_factory=lambda: MappingProxyType({}))
    """Money of one document, by currency."""
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))
    """Other limits for single models, by name."""

    def of(self, model: str) -> Limits:
        """The limits of one model."""
        return replace(self, **self.models.get(model, {}))


_Count = Annotated[int, Field(ge=0)]
_Share = Annotated[Decimal, Field(ge=0, le=1)]
_Money = dict[
    Annotated[str, StringConstraints(to_upper=True, pattern="^[A-Za-z]{3}$")], Annotated[Decimal, Field(ge=0)]
]


class _OfModel(BaseModel):
    """The limits as a person writes them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    creates: _Count = 500
    updates: _Count = 200
    removals: _Count = 20
    creates_share: _Share = Decimal(1)
    updates_share: _Share = Decimal("0.5")
    removals_share: _Share = Decimal("0.1")
    vanished_share: _Share = Decimal("0.1")
    share_from: _Count = 20
    amounts: _Money = {}
    amounts_share: _Share = Decimal(1)
    largest: _Money = {}


class LimitsSection(_OfModel):
    """The section of the settings file."""

    models: dict[str, _OfModel] = {}

    def value(self) -> Limits:
        """As the rest of tieout reads it; of a single model only what stands in its section, the rest is as for all."""
        models = {name: each.model_dump(exclude_unset=True) for name, each in self.models.items()}
        return Limits(**{**self.model_dump(exclude={"models"}), "models": models})
