"""Questions to a target about our own writes, each noted, so that what was asked and found stays on record.

They go before all other work of the budget: while a call is in doubt, nothing else is written there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cdc.lane import Client
from cdc.writing import Found, Outcome
from tieout.budget import Work
from tieout.errors import TieoutError
from tieout.http import Answer

EARLIER_ROUNDS = 9
"""A call that cannot be settled is asked about by every drain: so many rounds before the last are kept."""


class Asking:
    """A target's client as `Write.find` needs it."""

    def __init__(self, client: Client) -> None:
        self._client: Client = client
        self.questions: list[dict[str, Any]] = []
        """Path and parameters of each read, with the status of its answer or the error."""

    @property
    def http(self) -> Asking:
        """Reads only."""
        return self

    def read(
        self, path: str, *, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """As `tieout.http.Http.read`, noted."""
        question: dict[str, Any] = {"path": path, **({"params": dict(params)} if params else {})}
        self.questions.append(question)
        try:
            answer = self._client.http.read(path, params=params, headers=headers, work=Work.PERSON)
        except TieoutError as error:
            question["error"] = str(error)
            raise
        question["status"] = answer.status
        return answer


def verdict_of(found: Sequence[Found], outcome: Outcome) -> dict[str, Any]:
    """What the target showed for one key, and what was made of it."""
    return {
        "records": [
            {"id": one.target_id, "is_ours": one.is_ours, "satisfies": one.satisfies, "may_be": one.may_be}
            for one in found
        ],
        "kind": outcome.kind,
        "target_id": outcome.target_id,
        "reason": outcome.reason,
    }


def with_earlier(asked: dict[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any]:
    """This round, with those before it in their order."""
    if not before:
        return asked
    earlier = [
        *before.get("earlier", []),
        {name: value for name, value in before.items() if name != "earlier"},
    ]
    return {**asked, "earlier": earlier[-EARLIER_ROUNDS:]}
