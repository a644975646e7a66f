"""Comments on Magento's orders, which may carry a status.

A comment is made once and never changed or removed. It bears our mark in its text, `[tieout:<key>]`, because
Magento answers a bare `true`, has no idempotency and makes the same comment twice without a word. So the
order is read just before: a comment that is there already is not made again, an order that moved on is a
conflict. The status is always sent, since Magento 2.4.4 empties an order's status when a comment comes
without one, and never more than one call runs on an order, since Magento loses totals when two writes meet on
it (both observed on 2.4.4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from cdc.writing import Finding, Found, Operation, Outcome, Outgoing, TargetClient, Who, WriteCall
from tieout.clients.magento import messages
from tieout.errors import NotFound, RetryLater, UnknownOutcome
from tieout.http import Answer

_SENT = ("comment", "status", "is_customer_notified", "is_visible_on_front")

_FOUND = Finding(
    mark="`comment` ends with `[tieout:<key>]`",
    natural="the order",
    asked="GET orders/{id}/comments; the order itself before each create",
    twice="takes it",
    window="Magento carries out the first sending after it was asked: after the second both are counted, and a person sees it.",
)


def mark(key: str) -> str:
    """What the text of our comment for this key ends with."""
    return f"[tieout:{key}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderComments:
    """POST /V1/orders/{id}/comments; fulfils `cdc.writing.Write`.

    The payload is `parent_id` (entity_id of the order), `comment`, `status`, `is_customer_notified`,
    `is_visible_on_front`.
    """

    entity: str = "order_comments"
    stream: str | None = None
    finding: Finding = _FOUND
    settling_seconds: int = 2
    replay_seconds: int = 0
    adopts: bool = False

    def batch(self, operation: Operation) -> int:  # noqa: ARG002
        """One comment a call."""
        return 1

    def serial_by(self, outgoing: Outgoing) -> str | None:
        """The order: one write at a time, of whatever kind."""
        return _order_id(outgoing)

    def check(
        self, client: TargetClient, operation: Operation, outgoing: Sequence[Outgoing]
    ) -> list[Outcome | None]:
        """Read each order, with its comments, just before sending."""
        return [self._check(client, operation, one) for one in outgoing]

    def request(self, operation: Operation, outgoing: Sequence[Outgoing]) -> WriteCall:
        """One comment. Raises ValueError for what `check` settles without sending."""
        one = outgoing[0]
        if operation != "create" or len(outgoing) != 1 or not one.payload.get("status"):
            raise ValueError("a comment is created, alone, and with a status")
        sent = {name: one.payload[name] for name in _SENT if name in one.payload}
        body = {"statusHistory": {"is_customer_notified": 0, "is_visible_on_front": 0, **sent}}
        return WriteCall(method="POST", path=_path(one), body=body, serial_by=_order_id(one))

    def outcomes(self, operation: Operation, outgoing: Sequence[Outgoing], answer: Answer) -> list[Outcome]:  # noqa: ARG002
        """A bare `true`: made, but without an id; the record is for `find`."""
        if answer.status >= 500:
            raise UnknownOutcome(f"Magento answered {answer.status}.")
        if answer.status == 429:
            raise RetryLater("Magento's limit on requests is reached.")
        if answer.status < 300:
            return [Outcome(kind="applied", full=False) for _ in outgoing]
        return [_refused(answer)]

    def find(self, client: TargetClient, outgoing: Sequence[Outgoing]) -> list[list[Found]]:
        """All comments of the order that bear our mark. More than one: it was made twice."""
        found: list[list[Found]] = []
        for one in outgoing:
            try:
                body = client.http.read(_path(one)).json()
            except NotFound:
                found.append([])
                continue
            found.append([_found(comment) for comment in _marked(one, (body or {}).get("items"))])
        return found

    def find_in_mirror(
        self,
        connection: psycopg.Connection[dict[str, Any]],  # noqa: ARG002
        connection_name: str,  # noqa: ARG002
        outgoing: Sequence[Outgoing],
    ) -> list[list[Found]]:
        """Nothing: comments are not mirrored. `check` reads the order before each of them."""
        return [[] for _ in outgoing]

    def holders(
        self,
        connection: psycopg.Connection[dict[str, Any]],  # noqa: ARG002
        connection_name: str,  # noqa: ARG002
        one: Outgoing,  # noqa: ARG002
    ) -> tuple[str, ...]:
        """Nothing: comments have no names."""
        return ()

    def look(self, client: TargetClient, outgoing: Sequence[Outgoing]) -> list[list[Found]]:  # noqa: ARG002
        """Nothing: what people write into an order is not ours."""
        return [[] for _ in outgoing]

    def same(self, field: str, sent: object, held: object) -> bool:
        """Numbers may come as text; an empty text comes back as null."""
        if field in ("is_customer_notified", "is_visible_on_front"):
            return _flag(sent) == _flag(held)
        return _text(sent) == _text(held)

    def returned(self, payload: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of the payload as the comment shows them."""
        return {name: record.get(name) for name in payload}

    def differs(self, outgoing: Outgoing, record: Mapping[str, Any]) -> tuple[str, ...]:
        """Fields that the comment does not show as they were sent."""
        return tuple(
            name
            for name, value in outgoing.payload.items()
            if not name.startswith("_") and not self.same(name, value, record.get(name))
        )

    def lacking(self, payload: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[str, ...]:  # noqa: ARG002
        """Nothing: a comment is never completed."""
        return ()

    def merged_into(self, record: Mapping[str, Any]) -> str | None:  # noqa: ARG002
        """Nothing: Magento merges no records."""
        return None

    def frozen(self, record: Mapping[str, Any], organisation: Mapping[str, Any] | None) -> str | None:  # noqa: ARG002
        """A comment that was made stays as it is; one that is still to be made has no number yet."""
        return "made" if "entity_id" in record else None

    def _check(self, client: TargetClient, operation: Operation, one: Outgoing) -> Outcome | None:
        if operation != "create":
            return _rejected(
                "comments cannot change",
                "Magento's comments can neither be changed nor removed.",
                "Discard this entry; the comment stays.",
                "operator",
            )
        if not one.payload.get("status"):
            return _rejected(
                "status missing",
                "The comment has no status, and Magento would empty the order's status.",
                "Let the model send the order's current status, or add it to the lookup `order_status`.",
                "analyst",
                field="status",
            )
        if mark(one.key) not in str(one.payload.get("comment")):
            return _rejected(
                "mark missing",
                "The comment's text does not bear our mark, so it could never be found again.",
                f"Let the outbound model end the text with {mark(one.key)}.",
                "analyst",
                field="comment",
            )
        try:
            order = client.http.read(f"/orders/{_order_id(one)}").json()
        except NotFound:
            return _rejected(
                "order not in Magento",
                "Magento has no such order any more.",
                "Discard this entry, if the order was rightly deleted.",
                "shop",
            )
        return _judge(one, order)


def _judge(one: Outgoing, order: Mapping[str, Any]) -> Outcome | None:
    made = _marked(one, order.get("status_histories"))
    if len(made) > 1:
        return _rejected(
            "made twice",
            f"The order bears this comment {len(made)} times.",
            "Nothing was sent. The comments do no harm; accept them as they are.",
            "operator",
        )
    if made:
        return Outcome(
            kind="unchanged",
            target_id=_comment_id(made[0]),
            record=made[0],
            reason="The order already bears this comment.",
        )
    for name, expected in (one.expect or {}).items():
        if _text(order.get(name)) != _text(expected):
            return Outcome(
                kind="conflict",
                field=name,
                cause="moved at the target",
                reason=f"The order's {name} is {order.get(name)!r} and no longer {expected!r}.",
                cure="Nothing was sent. The next sync decides again with the order as it is now.",
                who="operator",
            )
    return None


def _refused(answer: Answer) -> Outcome:
    message = "; ".join(messages(answer))
    if answer.status == 404:
        return _rejected(
            "order not in Magento",
            "Magento has no such order any more.",
            "Discard this entry, if the order was rightly deleted.",
            "shop",
            message,
        )
    if "status" in message.casefold():
        # From 2.4.7 a status must belong to the order's state.
        return _rejected(
            "status not allowed",
            "Magento does not allow this status in the order's state.",
            "Correct the lookup `order_status`, or assign the status to the state in Magento.",
            "shop",
            message,
            field="status",
        )
    return _rejected(
        "refused by Magento",
        f"Magento refused the comment: {message}",
        "Correct the record, or edit the entry.",
        "operator",
        message,
    )


def _rejected(
    cause: str, reason: str, cure: str, who: Who, message: str = "", *, field: str | None = None
) -> Outcome:
    return Outcome(
        kind="rejected",
        cause=cause,
        reason=reason,
        cure=cure,
        who=who,
        field=field,
        messages=(message,) if message else (),
    )


def _marked(one: Outgoing, comments: Any) -> list[dict[str, Any]]:
    wanted = mark(one.key)
    return [comment for comment in comments or [] if wanted in str(comment.get("comment") or "")]


def _found(comment: dict[str, Any]) -> Found:
    return Found(target_id=_comment_id(comment), record=comment, is_ours=True)


def _comment_id(comment: Mapping[str, Any]) -> str:
    return str(comment["entity_id"])


def _order_id(one: Outgoing) -> str:
    return str(one.payload["parent_id"])


def _path(one: Outgoing) -> str:
    return f"/orders/{_order_id(one)}/comments"


def _flag(value: object) -> bool:
    return str(value).casefold() in ("1", "true")


def _text(value: object) -> str:
    return "" if value is None else str(value)
