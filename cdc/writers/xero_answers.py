"""Read Xero's answer to a write: one outcome for each element that was sent.

With `summarizeErrors=false` a collection answers 200 with one element for each sent, in request order, each
with its own status; the good ones are saved. Elements are matched by position first and by our number where
positions do not agree. A 400 saved nothing: its `Elements` are the failing ones only, matched by number;
without `Elements` the request as a whole was not understood, so each entry is sent again by itself, and the
one that is at fault shows itself. (Xero developer documentation, "Requests and responses", "HTTP response
codes & errors".)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cdc.writers.xero_errors import classify
from cdc.writers.xero_values import line_ids
from cdc.writing import Outcome, Outgoing
from tieout.errors import ConnectionRefused, RetryLater, UnknownOutcome
from tieout.http import Answer

NO_ID = "00000000-0000-0000-0000-000000000000"

Identity = Callable[[Mapping[str, Any]], str | None]
"""What names a payload and its record alike: a number, a code; None when nothing does."""

# Said in answers to writes alone: a read does not show them, so they would look like a change in the mirror.
_ANSWER_ONLY = frozenset({"StatusAttributeString", "ValidationErrors", "Warnings"})


def outcomes(
    outgoing: Sequence[Outgoing],
    answer: Answer,
    *,
    entity: str,
    plural: str,
    id_field: str,
    identity: Identity,
) -> list[Outcome]:
    """One outcome an element. Raises as `Write.outcomes` promises."""
    if answer.status == 429:
        raise RetryLater("Xero's limit on requests is reached.")
    if answer.status >= 500:
        raise UnknownOutcome(f"Xero answered {answer.status}.")
    body = _body(answer)
    if answer.status >= 300:
        return _refused(outgoing, answer.status, body, entity=entity, id_field=id_field, identity=identity)
    if not answer.content.strip():
        return [Outcome(kind="applied", target_id=one.target_id, full=False) for one in outgoing]
    elements = body.get(plural)
    if not isinstance(elements, list):
        elements = [body] if body.get(id_field) else []
    matched = _match(outgoing, elements, id_field=id_field, identity=identity)
    return _settled(
        [_outcome(one, element, entity, id_field) for one, element in zip(outgoing, matched, strict=True)],
        matched,
    )


def refusal(entity: str, messages: tuple[str, ...]) -> Outcome:
    """The outcome for an element that Xero refused with these messages."""
    understood = classify(entity, messages)
    return Outcome(
        kind=understood.kind,
        messages=messages,
        field=understood.field,
        cause=understood.cause,
        reason=understood.reason,
        cure=understood.cure,
        who=understood.who,
        depends_on=understood.depends_on,
        ask=understood.ask,
    )


def messages_in(element: object, name: str = "ValidationErrors") -> tuple[str, ...]:
    """All messages of an element and of what is nested in it (contact, lines, account), each once."""
    found: dict[str, None] = {}

    def walk(part: object) -> None:
        if isinstance(part, Mapping):
            for key, value in part.items():
                if key == name and isinstance(value, list):
                    found.update(dict.fromkeys(str(error.get("Message", "")) for error in value if error))
                else:
                    walk(value)
        elif isinstance(part, list):
            for value in part:
                walk(value)

    walk(element)
    return tuple(found)


def _body(answer: Answer) -> dict[str, Any]:
    """The JSON object of an answer. An unreadable success may have been carried out; an unreadable refusal
    was not."""
    if not answer.content.strip():
        return {}
    try:
        body = answer.json()
    except (RetryLater, UnknownOutcome) as error:
        if answer.status < 300:
            raise UnknownOutcome("Xero's answer to a write could not be read.") from error
        return {"Message": answer.content[:500].decode("utf-8", "replace").strip()}
    return body if isinstance(body, dict) else {}


def _outcome(one: Outgoing, element: Mapping[str, Any] | None, entity: str, id_field: str) -> Outcome:
    if element is None:
        return Outcome(kind="unknown", reason="Xero's answer has no element for this entry.")
    if _is_refused(element, id_field):
        return refusal(entity, messages_in(element))
    target_id = element.get(id_field)
    if not target_id or target_id == NO_ID:
        return Outcome(kind="unknown", reason="Xero's answer names no id for this entry.")
    record = {name: value for name, value in element.items() if name not in _ANSWER_ONLY}
    return Outcome(
        kind="applied",
        target_id=str(target_id),
        record=record,
        line_ids=line_ids(one, record) or None,
        messages=messages_in(element, "Warnings"),
    )


def _is_refused(element: Mapping[str, Any], id_field: str) -> bool:
    status = element.get("StatusAttributeString")
    if status in ("OK", "WARNING"):
        return False
    return (
        status == "ERROR"
        or element.get("HasErrors") is True
        or element.get("HasValidationErrors") is True
        or element.get(id_field) == NO_ID
        or bool(messages_in(element))
    )


def _match(
    outgoing: Sequence[Outgoing], elements: Sequence[Mapping[str, Any]], *, id_field: str, identity: Identity
) -> list[Mapping[str, Any] | None]:
    """For each entry its element: by position where nothing speaks against it, else by number."""
    if len(elements) == len(outgoing) and all(
        _may_be(one, element, id_field, identity) for one, element in zip(outgoing, elements, strict=True)
    ):
        return list(elements)
    return [_by_name(one, elements, id_field, identity) for one in outgoing]


def _may_be(one: Outgoing, element: Mapping[str, Any], id_field: str, identity: Identity) -> bool:
    if one.target_id and element.get(id_field) not in (None, "", NO_ID):
        return str(element[id_field]).casefold() == one.target_id.casefold()
    ours, theirs = identity(one.payload), identity(element)
    return ours is None or theirs is None or ours == theirs


def _by_name(
    one: Outgoing, elements: Sequence[Mapping[str, Any]], id_field: str, identity: Identity
) -> Mapping[str, Any] | None:
    name = identity(one.payload)
    for element in elements:
        if one.target_id and str(element.get(id_field) or "").casefold() == one.target_id.casefold():
            return element
    same_name = [element for element in elements if name is not None and identity(element) == name]
    return same_name[0] if len(same_name) == 1 else None


def _refused(
    outgoing: Sequence[Outgoing],
    status: int,
    body: dict[str, Any],
    *,
    entity: str,
    id_field: str,
    identity: Identity,
) -> list[Outcome]:
    """Nothing of the call was saved."""
    elements = body.get("Elements")
    if isinstance(elements, list) and elements:
        if len(outgoing) == 1:
            matched: list[Mapping[str, Any] | None] = [elements[0]]
        else:
            matched = [_by_name(one, elements, id_field, identity) for one in outgoing]
        again = Outcome(kind="later", reason="Another entry of the same call was refused.", seconds=0)
        return _settled(
            [again if element is None else refusal(entity, messages_in(element)) for element in matched],
            matched,
        )
    unnamed = (
        "The document with the supplied id was not found." if status == 404 else f"Xero answered {status}."
    )
    message = str(body.get("Message") or body.get("Detail") or unnamed)
    if "idempotency key" in message.casefold():
        # Said of a repeat that is not the same: what became of the first call is as unknown as before.
        raise UnknownOutcome(message)
    understood = classify(entity, (message,))
    if understood.is_connection:
        raise ConnectionRefused(understood.reason, cure=understood.cure)
    if len(outgoing) == 1:
        return [refusal(entity, (message,))]
    return [
        Outcome(
            kind="later",
            messages=(message,),
            reason="Xero refused the call as a whole.",
            seconds=0,
            alone=True,
        )
        for _ in outgoing
    ]


def _settled(found: list[Outcome], matched: Sequence[Mapping[str, Any] | None]) -> list[Outcome]:
    """Turn what concerns the whole connection into a refusal of the connection, once nothing else would be
    lost by it.

    Where the same call saved other elements, the refused ones only wait: the next call has nothing but them
    in it.
    """
    stopped = {
        position: understood
        for position, outcome in enumerate(found)
        if outcome.messages
        and outcome.kind != "applied"
        and (understood := classify("", outcome.messages)).is_connection
        and matched[position] is not None
    }
    if not stopped:
        return found
    if not any(outcome.kind in ("applied", "unknown") for outcome in found):
        first = next(iter(stopped.values()))
        raise ConnectionRefused(first.reason, cure=first.cure)
    return [
        Outcome(kind="later", messages=outcome.messages, reason=stopped[position].reason, seconds=0)
        if position in stopped
        else outcome
        for position, outcome in enumerate(found)
    ]
