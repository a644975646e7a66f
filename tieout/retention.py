"""`[retention]`: for how many months what grows for ever stays in the database, and where it goes afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Whole months that stay beside the one under way; 0: for ever. `cdc/retention.py` says which tables are which."""

    folder: Path | None = None
    """Of the archived months; None: `archive` in `data_dir`."""
    history_months: int = 0
    """What changed in mirrored records, and what models read of links."""
    entries_months: int = 0
    """What was sent: finished entries and calls."""
    runs_months: int = 0
    """The commands that were run, and the totals that proofs found."""
    audit_months: int = 0
    """The chain of the audit."""


class RetentionSection(BaseModel):
    """The section as a person writes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    folder: str = ""
    history_months: int = Field(default=0, ge=0)
    entries_months: int = Field(default=0, ge=0)
    runs_months: int = Field(default=0, ge=0)
    audit_months: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _chain_lasts(self) -> RetentionSection:
        # The chain proves the entries: what it is to prove must not outlive it.
        if self.audit_months and (not self.entries_months or self.audit_months < self.entries_months):
            raise ValueError(
                "audit_months must be 0 (for ever) or at least entries_months: the audit proves the entries"
            )
        return self

    def value(self, base: Path) -> Retention:
        """As the rest of tieout reads it; a relative folder is relative to `base`."""
        months = self.model_dump(exclude={"folder"})
        return Retention(folder=base / Path(self.folder).expanduser() if self.folder else None, **months)
