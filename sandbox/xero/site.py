"""The state of one running stand-in: records, apps and tokens, limits, replays."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.xero.limits import Limits, Replays
from sandbox.xero.oauth import Identity
from sandbox.xero.store import Store


@dataclass(slots=True, kw_only=True)
class Site:
    """Everything behind one address, guarded by the store's lock."""

    store: Store
    identity: Identity
    limits: Limits
    replays: Replays = field(default_factory=Replays)
