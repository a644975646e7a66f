"""Puts a built set in the place of the one in force: one short transaction that renames schemas and notes the
models.

Views find each other by number and not by name, so renaming their schemas disturbs no query that runs, and
the next query sees the new set whole. Dying before the commit leaves the old set; dying after it leaves only
schemas `old__…`, which the next build removes.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from cdc.lineage import ModelSet
from cdc.marts import create_missing, drop
from cdc.outbound import SET_LOCK, Mart, OutboundModel
from cdc.reads import Reads
from tieout.db import lock_key
from tieout.errors import RetryLater
from tieout.queries import compose, query
from tieout.roles import grant_roles

WAIT_MILLISECONDS = 2_000
ATTEMPTS = 30
OLD = "old__"

Session = psycopg.Connection[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched:
    """How the new set differs from the one before, by model name."""

    new: tuple[str, ...]
    changed: tuple[str, ...]
    gone: tuple[str, ...]


def switch(
    session: Session,
    models: ModelSet,
    *,
    prefix: str,
    manifest: dict[str, Any],
    reads: Mapping[str, Reads],
    pause: Callable[[float], None] = time.sleep,
) -> Switched:
    """Put the set `<prefix>__…` in force; `reads`: what each of its models reads of the records.

    Raises RetryLater when readers keep the old one busy all the time.
    """
    for attempt in range(ATTEMPTS):
        if attempt:
            # Waiting in the queue would hold up everybody behind us: step back and try again.
            pause(min(5.0, 0.1 * 2**attempt) * random.uniform(0.5, 1.0))
        try:
            with session.transaction():
                session.execute(query("builds", "limit_wait"), {"milliseconds": str(WAIT_MILLISECONDS)})
                return _switch(session, models, prefix, manifest, reads)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            continue
    raise RetryLater(
        "The new set of models is built, but the old one was in use all the time; the old one stays in "
        "force.",
        cure="Run `tieout build` again when no diff or long BI query runs.",
    )


def drop_schemas(session: Session, beginning: str, *, patient: bool = True) -> None:
    """Remove leftovers. Not patient: what readers still use is left to the next build."""
    for row in session.execute(query("builds", "schemas"), {"prefix": beginning}).fetchall():
        try:
            with session.transaction():
                session.execute(query("builds", "limit_wait"), {"milliseconds": str(WAIT_MILLISECONDS)})
                session.execute(compose("builds", "drop_schema", schema=sql.Identifier(row["name"])))
        except psycopg.errors.LockNotAvailable as error:
            if patient:
                raise RetryLater(
                    f"Somebody reads the half-built schema {row['name']}, so it cannot be removed.",
                    cure="End that session and run `tieout build` again.",
                ) from error


def _switch(
    session: Session, models: ModelSet, prefix: str, manifest: dict[str, Any], reads: Mapping[str, Reads]
) -> Switched:
    session.execute(query("builds", "claim_set"), {"key": lock_key(SET_LOCK)})
    _rename(session, models.layers, prefix)
    known = {row["model"]: row for row in session.execute(query("builds", "known_models")).fetchall()}
    session.execute(query("builds", "note_build"), {"build": models.build, "manifest": Jsonb(manifest)})
    everything = models.all
    for model in everything:
        session.execute(query("builds", "note_model"), _row(model, models.build, reads.get(model.name)))
    gone = session.execute(
        query("builds", "forget_models"), {"models": [model.name for model in everything]}
    ).fetchall()
    create_missing(session, models.marts)
    for row in gone:
        if row["kind"] == "mart":
            drop(session, row["model"])
            session.execute(query("marts", "forget"), {"mart": row["model"]})
    grant_roles(session)
    return Switched(
        new=tuple(model.name for model in everything if model.name not in known),
        changed=tuple(
            model.name for model in everything if model.name in known and _differs(model, known[model.name])
        ),
        gone=tuple(row["model"] for row in gone),
    )


def _rename(session: Session, layers: Sequence[str], prefix: str) -> None:
    present = {row["name"] for row in session.execute(query("builds", "schemas"), {"prefix": ""}).fetchall()}
    before = session.execute(query("builds", "in_force")).fetchone()
    # The same set may be built twice (--force), so the leftovers of a set are told apart by chance and not by
    # its hash.
    old = f"{OLD}{secrets.token_hex(4)}__"
    for layer in sorted({*layers, *(before["manifest"]["layers"] if before else ())} & present):
        if layer in layers:
            for grant in session.execute(query("builds", "grants_on_schema"), {"schema": layer}).fetchall():
                new = sql.Identifier(f"{prefix}__{layer}")
                session.execute(
                    compose("builds", "grant_schema", schema=new, role=sql.Identifier(grant["role"]))
                )
            names = {"schema": layer, "new": f"{prefix}__{layer}"}
            for grant in session.execute(query("builds", "grants_on_relations"), names).fetchall():
                relation = sql.Identifier(f"{prefix}__{layer}", grant["relation"])
                session.execute(
                    compose("builds", "grant_relation", relation=relation, role=sql.Identifier(grant["role"]))
                )
        names = {"schema": sql.Identifier(layer), "name": sql.Identifier(f"{old}{layer}")}
        session.execute(compose("builds", "rename_schema", **names))
    for layer in layers:
        names = {"schema": sql.Identifier(f"{prefix}__{layer}"), "name": sql.Identifier(layer)}
        session.execute(compose("builds", "rename_schema", **names))


def _row(model: OutboundModel | Mart, build: str, reads: Reads | None) -> dict[str, Any]:
    return {
        "model": model.name,
        "kind": "outbound" if isinstance(model, OutboundModel) else "mart",
        "system": model.system if isinstance(model, OutboundModel) else None,
        "entity": model.entity if isinstance(model, OutboundModel) else None,
        "config": Jsonb(model.to_config()),
        "reads": None if reads is None else Jsonb(reads),
        "code_hash": model.code_hash,
        "lookups_hash": model.lookups_hash,
        "build": build,
    }


def _differs(model: OutboundModel | Mart, row: dict[str, Any]) -> bool:
    return bool(row["code_hash"] != model.code_hash or row["lookups_hash"] != model.lookups_hash)
