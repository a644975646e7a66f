"""Every structured event: its name, its fields and their units. One rich line a unit of work, on standard
error.

On a terminal the lines are for people, elsewhere they are JSON. Fields whose names sound like a secret are
blanked, and so is the password in a URL. Names and fields are an interface: they are added to, not renamed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, MutableMapping
from enum import StrEnum
from typing import Any, TextIO

import structlog

from tieout.hush import hush

_SECRET = re.compile(
    r"secret|password|passwd|token|authori[sz]ation|cookie|credential|vault_key|signature|code_verifier|bearer",
    re.IGNORECASE,
)
_IN_TEXT = (  # each from the beginning of a word: tried at all its letters, a long text takes the square of its length
    (re.compile(r"(\b\w+://[^:/@\s]*):[^@/\s]+@"), r"\1:…@"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), r"\1 …"),
    (
        re.compile(r"(?i)\b((?:access_|refresh_)?token|client_secret|password|oauth_signature)=[^&\s\"']+"),
        r"\1=…",
    ),
)


class Event(StrEnum):
    """The name of an event: part, thing, what happened."""

    COMMAND_FINISHED = "command.finished"
    RUN_STARTED = "run.started"
    RUN_PART_FAILED = "run.part.failed"
    RUN_PART_RECOVERED = "run.part.recovered"
    DATABASE_STARTED = "database.started"
    DATABASE_STOPPED = "database.stopped"
    MIGRATION_APPLIED = "migration.applied"
    HTTP_RETRIED = "http.retried"
    HTTP_WRITE_FINISHED = "http.write.finished"
    BUDGET_WAITED = "budget.waited"
    VAULT_RENEWED = "vault.renewed"
    VAULT_ROTATED = "vault.rotated"
    CONNECTION_STOPPED = "connection.stopped"
    CONNECTION_PINNED = "connection.pinned"
    LOAD_STREAM_FINISHED = "load.stream.finished"
    LOAD_STREAM_FAILED = "load.stream.failed"
    LOAD_BACKFILL_GOES_ON = "load.backfill.goes_on"
    LOAD_SWEEP_FINISHED = "load.sweep.finished"
    LOAD_RECORD_REFUSED = "load.record.refused"
    BUILD_FINISHED = "build.finished"
    BUILD_SWITCHED = "build.switched"
    DIFF_MODEL_FINISHED = "diff.model.finished"
    DIFF_HELD = "diff.held"
    DIFF_MISSED = "diff.missed"
    DIFF_CONFLICT = "diff.conflict"
    DRAIN_CALL_FINISHED = "drain.call.finished"
    DRAIN_ENTRY_REJECTED = "drain.entry.rejected"
    DRAIN_DOUBT_SETTLED = "drain.doubt.settled"
    DRAIN_FINISHED = "drain.finished"
    MARTS_REFRESHED = "marts.refreshed"
    PROOF_FINISHED = "proof.finished"
    LINK_PROPOSED = "link.proposed"
    SHADOW_FINISHED = "shadow.finished"
    DECISION_MADE = "decision.made"
    AUDIT_SEALED = "audit.sealed"
    MONTH_ARCHIVED = "month.archived"
    PLAN_SAVED = "plan.saved"
    PLAN_STARTED = "plan.started"
    PLAN_ENDED = "plan.ended"
    ALERT_SENT = "alert.sent"
    ALERT_FAILED = "alert.failed"
    DATABASE_RECOVERED = "database.recovered"
    TARGET_COMPARED = "target.compared"
    BACKUP_WRITTEN = "backup.written"
    BACKUP_RESTORED = "backup.restored"
    SANDBOX_STARTED = "sandbox.started"


EVENTS: Mapping[Event, Mapping[str, str]] = {
    Event.COMMAND_FINISHED: {
        "command": "its name",
        "exit_code": "number",
        "seconds": "duration",
        "error": "class, if it failed",
    },
    Event.RUN_STARTED: {
        "connections": "names",
        "every": "seconds between loads of one",
        "look": "seconds between looks of diff and drains",
    },
    Event.RUN_PART_FAILED: {
        "part": "load, diff, drain …, with the connection",
        "error": "class",
        "message": "text",
        "wait": "seconds until it is tried again; 0: with the next look",
    },
    Event.RUN_PART_RECOVERED: {"part": "as above", "attempts": "count"},
    Event.DATABASE_STARTED: {
        "port": "on 127.0.0.1",
        "version": "of Postgres",
        "seconds": "duration",
        "folder": "of the data",
    },
    Event.DATABASE_STOPPED: {"folder": "of the data"},
    Event.MIGRATION_APPLIED: {"files": "names in order", "seconds": "duration"},
    Event.HTTP_RETRIED: {
        "connection": "name",
        "path": "without parameters",
        "cause": "class of the error",
        "wait": "seconds that the vendor asks for, if it told",
    },
    Event.HTTP_WRITE_FINISHED: {
        "connection": "name",
        "method": "of HTTP",
        "path": "without parameters",
        "outcome": "answered, or class of the error",
        "status": "of HTTP, if answered",
        "seconds": "duration",
    },
    Event.BUDGET_WAITED: {
        "connection": "name",
        "seconds": "waited",
        "cause": "minute, day, bytes, minute of the app, concurrency, pace, turn or blocked",
    },
    Event.VAULT_RENEWED: {"name": "of the secret", "seconds": "duration"},
    Event.VAULT_ROTATED: {"secrets": "number of those encrypted with the new key"},
    Event.CONNECTION_STOPPED: {"connection": "name", "reason": "the vendor's words"},
    Event.CONNECTION_PINNED: {
        "connection": "name",
        "identity": "of the target",
        "title": "name at the target",
    },
    Event.LOAD_STREAM_FINISHED: {
        "connection": "name",
        "stream": "name",
        "pages": "count",
        "rows": "records read",
        "changed": "records whose content changed",
        "refused": "records that became dead letters",
        "seconds": "duration",
        "cursor_before": "position",
        "cursor_after": "position",
    },
    Event.LOAD_STREAM_FAILED: {
        "connection": "name",
        "stream": "name",
        "error": "class",
        "message": "text",
        "rows": "records kept",
    },
    Event.LOAD_BACKFILL_GOES_ON: {
        "connection": "name",
        "stream": "name",
        "rows": "records read so far",
        "left": "records still to come, by the vendor's count",
        "percent": "of all",
        "seconds_left": "at the measured pace, or at the calls that a day allows",
        "bound": "pace, or day: the vendor's limit on calls of a day",
    },
    Event.LOAD_SWEEP_FINISHED: {
        "connection": "name",
        "stream": "name",
        "seen": "records",
        "missing": "records that were not seen",
        "deleted": "records confirmed as gone",
        "held": "true when the shrink was over its limit",
        "seconds": "duration",
    },
    Event.LOAD_RECORD_REFUSED: {
        "connection": "name",
        "stream": "name",
        "id": "of the record",
        "reason": "text",
    },
    Event.BUILD_FINISHED: {
        "build": "hash",
        "models": "count",
        "tests": "count",
        "failures": "count",
        "changed": "models that differ from the last build",
        "seconds": "duration",
    },
    Event.BUILD_SWITCHED: {"build": "hash", "seconds": "duration of the switch"},
    Event.DIFF_MODEL_FINISHED: {
        "model": "name",
        "connection": "target",
        "keys": "looked at",
        "creates": "entries",
        "updates": "entries",
        "removals": "entries",
        "held": "entries",
        "waiting": "entries",
        "skipped": "rows with _skip",
        "drift": "differences on frozen documents",
        "seconds": "duration",
    },
    Event.DIFF_HELD: {
        "model": "name",
        "connection": "target",
        "held_for": "rule",
        "entries": "count",
        "reason": "text",
    },
    Event.DIFF_MISSED: {
        "model": "name",
        "records": "count",
        "keys": "some of the records that differed though no change had announced them",
    },
    Event.DIFF_CONFLICT: {
        "model": "name",
        "connection": "target",
        "key": "the record",
        "field": "that waits for a person",
        "reason": "text",
    },
    Event.DRAIN_CALL_FINISHED: {
        "connection": "target",
        "entity": "name",
        "operation": "create, update or remove",
        "call": "id",
        "entries": "count",
        "applied": "entries",
        "rejected": "entries",
        "outcome": "answered, not sent, refused, unknown",
        "status": "of HTTP",
        "seconds": "duration",
    },
    Event.DRAIN_ENTRY_REJECTED: {
        "connection": "target",
        "entity": "name",
        "key": "ours",
        "cause": "group of dead letters",
        "reason": "the vendor's words",
        "cure": "what to do",
        "who": "can fix it",
    },
    Event.DRAIN_DOUBT_SETTLED: {
        "connection": "target",
        "entity": "name",
        "call": "id",
        "entries": "count",
        "verdict": "text",
    },
    Event.DRAIN_FINISHED: {
        "connection": "target",
        "calls": "count",
        "applied": "entries",
        "rejected": "entries",
        "held": "entries",
        "waiting": "entries",
        "in_doubt": "entries",
        "seconds": "duration",
    },
    Event.MARTS_REFRESHED: {"mart": "name", "rows": "count", "as_of": "time, UTC", "seconds": "duration"},
    Event.PROOF_FINISHED: {
        "flow": "name",
        "totals": "compared",
        "unequal": "totals not explained",
        "explained": "totals explained by named records",
        "seconds": "duration",
    },
    Event.LINK_PROPOSED: {
        "connection": "target",
        "entity": "name",
        "rows": "of ours without a record",
        "records": "of the target without a link",
        "chosen": "pairs that are sure",
        "unsure": "rows with pairs that are not",
    },
    Event.SHADOW_FINISHED: {
        "connection": "target",
        "month": "YYYY-MM",
        "documents": "of the source",
        "records": "of the target",
        "missing": "count",
        "twice": "count",
        "differing": "count",
        "without_source": "count",
        "seconds": "duration",
    },
    Event.DECISION_MADE: {
        "verb": "approve, refuse, …",
        "connection": "target",
        "entries": "count",
        "by": "who",
        "reason": "text",
    },
    Event.AUDIT_SEALED: {
        "facts": "facts that were chained",
        "position": "number of the last row of the chain",
        "digest": "its digest: the head",
    },
    Event.MONTH_ARCHIVED: {
        "relation": "table of the engine",
        "month": "as 2026-01",
        "rows": "rows that left the database",
        "bytes": "of the file before compression",
        "file": "its name in the folder of the settings",
    },
    Event.PLAN_SAVED: {"plan": "hash", "entries": "count", "by": "who"},
    Event.PLAN_STARTED: {
        "plan": "hash",
        "entries": "count",
        "resumed": "true when it was started before",
        "by": "who",
    },
    Event.PLAN_ENDED: {
        "plan": "hash",
        "what": "finished or released",
        "sent": "entries",
        "held": "entries",
        "not_yet": "entries that it let go",
        "by": "who",
    },
    Event.ALERT_SENT: {
        "channel": "kind and hash of its address",
        "message": "number",
        "stage": "new, worse or over",
    },
    Event.ALERT_FAILED: {"channel": "kind and hash of its address, or all", "error": "what it said"},
    Event.DATABASE_RECOVERED: {"because": "sentence", "by": "who", "installation": "its new id"},
    Event.TARGET_COMPARED: {
        "connection": "target",
        "linked": "records",
        "agreed": "entries",
        "held": "entries",
        "twice": "records",
        "missing": "links",
    },
    Event.BACKUP_WRITTEN: {
        "file": "path",
        "bytes": "count",
        "installation": "id",
        "last_call": "number",
        "seconds": "duration",
    },
    Event.BACKUP_RESTORED: {"file": "path", "seconds": "duration"},
    Event.SANDBOX_STARTED: {"system": "name", "address": "URL"},
}


def configure(stream: TextIO | None = None, *, json: bool | None = None) -> None:
    """Send events to a stream (standard error); JSON unless the stream is a terminal, or as `json` says."""
    target = stream or sys.stderr
    as_json = json if json is not None else not target.isatty()
    renderer: Any = (
        structlog.processors.JSONRenderer(sort_keys=False, default=str)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=target.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            scrub,
            renderer,
        ],
        # Standard error as it is when an event happens: a runner of commands may have put another in its place.
        logger_factory=lambda *_: structlog.PrintLogger(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )


def emit(event: Event, **fields: object) -> None:
    """Write one event. Its fields are those of EVENTS (tests/architecture compares every call)."""
    if not structlog.is_configured():
        configure()
    structlog.get_logger().info(event.value, **fields)


def scrub(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blank what must not be in a log: fields that name a secret, and secrets inside text."""
    return {key: _scrubbed(key, value) for key, value in event.items()}


def scrub_text(text: str) -> str:
    """The text without the passwords, tokens and signatures that stand in it."""
    for pattern, replacement in _IN_TEXT:
        text = pattern.sub(replacement, text)
    return hush(text)


def _scrubbed(key: str, value: Any) -> Any:
    if _SECRET.search(key):
        return "…"
    if isinstance(value, str):
        return scrub_text(value)
    if isinstance(value, Mapping):
        return {name: _scrubbed(str(name), item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_scrubbed("", item) for item in value]
    return value
