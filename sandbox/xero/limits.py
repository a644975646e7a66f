"""Rate limits and idempotency keys.

Limits: 5 requests at once, 60 a minute and 5,000 a day for an app and an organisation, 10,000 a minute
for an app ("OAuth 2.0 API limits"). Windows are fixed and reset at another instant for each organisation,
or roll, by option; refused and replayed requests count. Idempotency: the first answer under a key, error
or not, is replayed for 6 minutes; the same key with another request is refused ("Idempotency").
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sandbox.xero import errors

REPLAY = timedelta(minutes=6)
LONGEST_KEY = 128

_SPANS = {"minute": 60, "day": 86_400, "appminute": 60}


@dataclass(slots=True)
class _Window:
    number: int = -1
    count: int = 0
    times: deque[float] = field(default_factory=deque)


@dataclass(slots=True)
class Limits:
    """The counters of all apps and organisations. The caller holds the lock."""

    rolling: bool = False
    most: dict[str, int | None] = field(
        default_factory=lambda: {"minute": 60, "day": 5000, "concurrent": 5, "appminute": 10_000}
    )
    _windows: dict[tuple[str, str, str], _Window] = field(default_factory=dict)
    _running: dict[tuple[str, str], int] = field(default_factory=dict)

    def change(self, wanted: Mapping[str, int | None]) -> None:
        """Set limits (None: no limit) and forget what was counted."""
        if set(wanted) - set(self.most):
            raise ValueError(f"limits are named {', '.join(self.most)}")
        self.most.update(wanted)
        self._windows.clear()

    def enter(self, client_id: str, tenant_id: str, now: datetime) -> dict[str, str]:
        """Count a request and return the headers that tell what is left; raises 429."""
        held = self._running.get((client_id, tenant_id), 0)
        self._running[client_id, tenant_id] = held + 1
        left: dict[str, int | None] = {}
        refused: tuple[str, int | None] | None = None
        most = self.most["concurrent"]
        if most is not None and held >= most:
            refused = ("concurrent", None)
        for name, span in _SPANS.items():
            owner = "" if name == "appminute" else tenant_id
            count, wait = self._count(name, client_id, owner, span, now.timestamp())
            limit = self.most[name]
            left[name] = None if limit is None else max(0, limit - count)
            if limit is not None and count > limit and refused is None:
                refused = (name, wait if name != "appminute" else None)
        headers = _headers(left)
        if refused is not None:
            error = errors.too_many(*refused)
            error.headers.update(headers)
            raise error
        return headers

    def leave(self, client_id: str, tenant_id: str) -> None:
        """A request that entered is over."""
        self._running[client_id, tenant_id] -= 1

    def _count(self, name: str, client_id: str, tenant_id: str, span: int, now: float) -> tuple[int, int]:
        window = self._windows.setdefault((name, client_id, tenant_id), _Window())
        if self.rolling:
            while window.times and window.times[0] <= now - span:
                window.times.popleft()
            window.times.append(now)
            return len(window.times), max(1, int(window.times[0] + span - now) + 1)
        shifted = now + _offset(tenant_id, span)
        if int(shifted // span) != window.number:
            window.number, window.count = int(shifted // span), 0
        window.count += 1
        return window.count, max(1, int(span - shifted % span) + 1)


def _offset(tenant_id: str, span: int) -> int:
    """The instant at which an organisation's windows reset."""
    return int.from_bytes(hashlib.sha256(tenant_id.encode()).digest()[:4], "big") % span


def _headers(left: Mapping[str, int | None]) -> dict[str, str]:
    names = {
        "day": "X-DayLimit-Remaining",
        "minute": "X-MinLimit-Remaining",
        "appminute": "X-AppMinLimit-Remaining",
    }
    return {header: str(left[name]) for name, header in names.items() if left[name] is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A first answer, to be replayed."""

    at: datetime
    request: str
    answer: Any


@dataclass(slots=True)
class Replays:
    """Answers by idempotency key, app and organisation. The caller holds the lock."""

    kept: dict[tuple[str, str, str], Kept] = field(default_factory=dict)

    def find(self, key: tuple[str, str, str], request: str, now: datetime) -> Any:
        """The first answer under the key, or None; raises 400 when the key belongs to another request."""
        if len(key[2]) > LONGEST_KEY:
            raise errors.ApiError(400, {"Message": f"Idempotency Key: maximum length is {LONGEST_KEY}."})
        kept = self.kept.get(key)
        if kept is None or now >= kept.at + REPLAY:
            self.kept.pop(key, None)
            return None
        if kept.request != request:
            raise errors.ApiError(
                400, {"Message": f"Idempotency Key: {key[2]} is used with a different request."}
            )
        return kept.answer

    def keep(self, key: tuple[str, str, str], request: str, now: datetime, answer: Any) -> None:
        """Keep a first answer for 6 minutes from now."""
        self.kept[key] = Kept(at=now, request=request, answer=answer)


def fingerprint(method: str, url: str, body: bytes) -> str:
    """What makes a request the same: method, address with query, and body."""
    return hashlib.sha256(b"\0".join((method.encode(), url.encode(), body))).hexdigest()
