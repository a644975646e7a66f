"""The only user of apprise: alerts as mail, chat or webhook, to addresses of the settings (`[alerts] urls`).

apprise is an extra (`pip install 'tieout[alerts]'`), since few hosts of an installation send alerts. Addresses may hold
passwords and tokens in any part (github.com/caronc/apprise/wiki), so none of their text is ever shown: a channel is named
by its kind and a short hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from tieout.errors import ConfigurationError

Kind = Literal["info", "success", "warning", "failure"]


class Channel(Protocol):
    """Where alerts go."""

    @property
    def name(self) -> str:
        """Names it without telling its address."""

    def send(self, title: str, body: str, kind: Kind) -> str | None:
        """Hand one message over. None when it was taken, else why not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppriseChannel:
    """One address, as apprise reads it."""

    name: str
    server: Any = field(repr=False)

    def send(self, title: str, body: str, kind: Kind) -> str | None:
        """Hand one message over, by the time-outs of the address (`?cto=` and `?rto=`, seconds; by default 4 each)."""
        try:
            taken = self.server.notify(body=body, title=title, notify_type=kind, body_format="text")
        except Exception as error:  # noqa: BLE001 (see below)
            # Code of over a hundred services: whatever goes wrong there must not stop what called us.
            return f"failed with {type(error).__name__}"
        return None if taken else "did not take the message"


def channels(urls: Iterable[str]) -> tuple[AppriseChannel, ...]:
    """The channels of these addresses. ConfigurationError when apprise is missing or does not know an address."""
    wanted = list(urls)
    if not wanted:
        return ()
    try:
        import apprise
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "Alerts are set, but the library that sends them is not installed.",
            cure="Install it: pip install 'tieout[alerts]'.",
        ) from error
    found = []
    for position, url in enumerate(wanted, start=1):
        name = channel_name(url)
        server = apprise.Apprise()
        if not server.add(url):
            raise ConfigurationError(
                f"Address {position} of [alerts] urls ({name}) is none that alerts can be sent to.",
                cure="How an address is written for each service: github.com/caronc/apprise/wiki.",
            )
        found.append(AppriseChannel(name=name, server=server))
    return tuple(found)


def channel_name(url: str) -> str:
    """Its kind, and six digits of a hash that tell two of one kind apart: `mailtos #3fa9c1`."""
    kind = url.partition(":")[0] if "://" in url else "unknown"
    return f"{kind} #{hashlib.sha256(url.encode()).hexdigest()[:6]}"
