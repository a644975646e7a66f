"""Secrets that this process has met, so that none of them leaves it in words: not in an event, an error or a record.

Patterns find a secret that stands where secrets stand (`Bearer …`, `password=…`). A vendor's answer may quote ours
anywhere; what we know by heart is found wherever it stands. Whoever reads a secret (settings, the vault, a client's
options) tells it here.
"""

from __future__ import annotations

from urllib.parse import quote

SHORTEST = 12
"""Shorter ones may be ordinary words, and blanking those would spoil messages."""

_known: set[str] = set()


def know(*secrets: str | None) -> None:
    """Remember secrets, as they are and as they stand in a URL; short ones and None are ignored."""
    for secret in secrets:
        if secret is not None and len(secret) >= SHORTEST:
            _known.update((secret, quote(secret, safe="")))


def hush(text: str) -> str:
    """The text with `…` in place of every secret that is known."""
    # Longest first: one secret may begin with another.
    for secret in sorted(_known, key=len, reverse=True):
        if secret in text:
            text = text.replace(secret, "…")
    return text
