"""An answer of an API, and what its status means where nobody knows better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tieout.db import json_loads
from tieout.errors import (
    BudgetExhausted,
    ConfigurationError,
    CredentialsError,
    NotFound,
    Rejected,
    RetryLater,
    TieoutError,
    UnknownOutcome,
)
from tieout.events import scrub_text

_SHOWN_BYTES = 300
_AnyJson = msgspec.json.Decoder(msgspec.Raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A complete answer of any status."""

    status: int
    headers: Mapping[str, str]
    """Names in any case."""
    content: bytes = field(repr=False)
    seconds: float
    is_write: bool = False

    def json(self) -> Any:
        """The content with exact numbers; RetryLater, after a write UnknownOutcome, when it is not JSON."""
        try:
            return json_loads(self.content)
        except (ValueError, RecursionError) as error:
            message = f"The answer ({self.status}) is not JSON: {self.start()!r}."
            raise (UnknownOutcome(message) if self.is_write else RetryLater(message)) from error

    def start(self) -> str:
        """The first words of the content, without secrets, for messages."""
        return scrub_text(self.content[:_SHOWN_BYTES].decode("utf-8", "replace"))

    def retry_after(self) -> float | None:
        """The header Retry-After in seconds (RFC 9110 also allows a date, which the vendors we know never
        send).
        """
        text = self.headers.get("retry-after", "").strip()
        return float(text) if text.isdigit() else None


def require_json(answer: Answer) -> None:
    """Raise RetryLater unless the content is JSON; reads it once, builds nothing."""
    try:
        _AnyJson.decode(answer.content)
    except (msgspec.DecodeError, ValueError) as error:
        kind = answer.headers.get("content-type", "nothing")
        raise RetryLater(f"The answer ({answer.status}, {kind}) is not JSON: {answer.start()!r}.") from error


def usual_meaning(answer: Answer) -> TieoutError:
    """What a status means where the client module says nothing else."""
    words = answer.start()
    if answer.status == 429:
        return BudgetExhausted(f"The vendor's limit is reached: {words!r}.", seconds=answer.retry_after())
    if answer.status >= 500 or answer.status == 408:
        message = f"The vendor's server failed ({answer.status}): {words!r}."
        return RetryLater(message, seconds=answer.retry_after())
    if answer.status == 401:
        return CredentialsError(f"The system does not accept our credentials: {words!r}.")
    if answer.status in (404, 410):
        return NotFound(status=answer.status, messages=(words,), body=answer.content)
    if 300 <= answer.status < 400:
        return ConfigurationError(
            f"The address is redirected to {answer.headers.get('location', 'nowhere')}.",
            cure="Set the connection's address to where it is redirected.",
        )
    return Rejected(status=answer.status, messages=(words,), body=answer.content)
