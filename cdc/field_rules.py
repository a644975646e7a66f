"""The rule of a field: what people kept for it comes before what the model's yml says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from cdc.both_ways import Take
from cdc.outbound import OnTargetChange, OutboundModel
from tieout.queries import query

_OWNED: Mapping[Take, OnTargetChange] = {"source": "overwrite", "target": "yield", "hold": "hold"}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRules:
    """The rules of one model, with those that people kept on top."""

    model: OutboundModel
    kept: Mapping[tuple[str, str], Take]
    """By target connection and field."""

    def winner(self, connection: str, field: str) -> Take:
        """Of a field that both sides send: whose value stays when both changed it."""
        return self.kept.get((connection, field), self.model.rule_when_both_changed(field))

    def owner(self, connection: str, field: str) -> OnTargetChange:
        """Of a field that is ours alone: what happens when somebody else changed it in the target."""
        kept = _OWNED.get(self.kept.get((connection, field), "newest"))
        return kept or self.model.rule_for_target_change(field)


def kept_rules(session: psycopg.Connection[dict[str, Any]], model: OutboundModel) -> KeptRules:
    """The rules that hold for a model now."""
    rows = session.execute(query("conflicts", "rules_in_force"), {"entity": model.entity})
    return KeptRules(model=model, kept={(row["connection"], row["field"]): row["take"] for row in rows})
