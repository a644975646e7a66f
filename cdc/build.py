"""`tieout build`: make a whole new set of models beside the one in force, try it there, and switch.

    fingerprint → dbt builds lookups and models into build__<layer> and runs the data tests → checks
    → one transaction renames build__<layer> to <layer> and notes the models → the old set is dropped

Everything else reads only schemas without prefix, so nobody meets a half-built set: a build that fails or
dies leaves the set in force as it was, and the next one removes what is left over. One build at a time. When
no file and no staging table changed since the set in force was made, nothing is done.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg

from cdc import build_texts, dbt_runner, reads
from cdc.build_checks import Checked, check_plans, check_set
from cdc.lineage import Columns, ModelSet, read_set
from cdc.lookups import objections
from cdc.once import is_proven
from cdc.outbound import Column
from cdc.project import Project, assemble, refuse_repeated_keys
from cdc.switch import OLD, drop_schemas, switch
from tieout.db import Database, try_lock
from tieout.errors import BuildError, LockHeld
from tieout.events import Event, emit
from tieout.migrate import unit_of_work
from tieout.queries import query
from tieout.settings import Settings

LOCK = "tieout.build"
PREFIX = "build"
BUILD_LEASE_SECONDS = 7200
"""The session that holds the lock is idle while dbt works."""

# A model in one of these would rename a schema that is not the set's.
_NOT_OURS = frozenset({"cdc", "staging", "marts", "public", "information_schema"})

# What reads and checks a set: after an upgrade that changes one of these a set is built again.
_MAKERS = ("build_checks", "build_texts", "lineage", "model_meta", "once", "outbound", "reads")

Progress = Callable[[str], None]
Session = psycopg.Connection[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What a build made."""

    build: str
    """The set in force now, by the hash of its SQL, lookups and meta."""
    is_unchanged: bool
    """Nothing had changed, nothing was done."""
    outbound: int
    marts: int
    tests: int
    unit_tests: int
    new_models: tuple[str, ...]
    """Their first entries are held until a person approved."""
    changed_models: tuple[str, ...]
    """Their SQL or lookups changed: the next diff looks at all their rows."""
    gone_models: tuple[str, ...]
    warnings: tuple[str, ...]
    """Lookups that name what the target does not have, tests of severity `warn`."""
    seconds: float


def build(
    settings: Settings,
    database: Database,
    *,
    force: bool = False,
    unit: bool = False,
    strict: bool = False,
    progress: Progress | None = None,
) -> Built:
    """Build the models of the settings and put them in force.

    `force`: also when nothing changed. `unit`: run dbt's unit tests too. `strict`: refuse lookups that name
    what the mirrored target does not have; else they are warnings, and the documents that need them become
    dead letters while all others go through. Raises BuildError, LockHeld when another build runs, RetryLater
    when the old set is in use all the time.
    """
    started = time.monotonic()
    work_folder = settings.data_dir / "dbt" / PREFIX
    with database.connect(direct=True, lease_seconds=BUILD_LEASE_SECONDS) as session, unit_of_work(session):
        if not try_lock(session, LOCK):
            raise LockHeld("Another build is running.")
        project = assemble(settings, work_folder / "project")
        fingerprint = _fingerprint(session, project)
        unchanged = None if force or unit else _unchanged(session, fingerprint, started)
        # Before anything else: a build that died may have left schemas though there is nothing to build any more.
        drop_schemas(session, f"{PREFIX}__", patient=unchanged is None)
        drop_schemas(session, OLD, patient=False)
        if unchanged is not None:
            return unchanged

        ran, models = make(
            project, database, session, prefix=PREFIX, work_folder=work_folder, unit=unit, progress=progress
        )
        lookups = objections(session, models, prefix=f"{PREFIX}__")
        if strict and lookups:
            raise BuildError(
                "\n".join(lookups), cure="Correct the lookups, or load the target first (`tieout load`)."
            )
        before_switch = time.monotonic()
        warnings = (*lookups, *ran.warnings)
        manifest = {
            "fingerprint": fingerprint,
            "layers": list(models.layers),
            "tests": ran.tests,
            "warnings": list(warnings),
        }
        build_texts.keep(session, models, prefix=f"{PREFIX}__")
        read = reads.of_models(session, models, prefix=PREFIX)
        switched = switch(session, models, prefix=PREFIX, manifest=manifest, reads=read)
        emit(Event.BUILD_SWITCHED, build=models.build, seconds=round(time.monotonic() - before_switch, 3))
        drop_schemas(session, OLD, patient=False)
    seconds = time.monotonic() - started
    emit(
        Event.BUILD_FINISHED,
        build=models.build,
        models=len(models.outbound) + len(models.marts),
        tests=ran.tests,
        failures=0,
        changed=[*switched.new, *switched.changed],
        seconds=round(seconds, 3),
    )
    return Built(
        build=models.build,
        is_unchanged=False,
        outbound=len(models.outbound),
        marts=len(models.marts),
        tests=ran.tests,
        unit_tests=ran.unit_tests,
        new_models=switched.new,
        changed_models=switched.changed,
        gone_models=switched.gone,
        warnings=warnings,
        seconds=seconds,
    )


def make(
    project: Project,
    database: Database,
    session: Session,
    *,
    prefix: str,
    work_folder: Path,
    unit: bool = False,
    progress: Progress | None = None,
) -> tuple[dbt_runner.Ran, ModelSet]:
    """Build a whole set into `<prefix>__<layer>`, test and check it there.

    Raises BuildError; puts nothing in force.
    """
    refuse_repeated_keys(project)
    ran = dbt_runner.run(
        project, database, prefix=prefix, work_folder=work_folder, with_unit_tests=unit, progress=progress
    )
    if progress:
        progress("checks")
    models = read_set(ran.manifest, _columns(session, prefix), prefix=prefix, project=project)
    wrong = sorted(_NOT_OURS & set(models.layers))
    if wrong:
        raise BuildError(
            f"Models of the project go to the schema {wrong[0]}, which belongs to tieout itself.",
            cure="Give them another +schema in dbt_project.yml.",
        )
    checked = Checked(models=models, project=project, prefix=prefix, session=session)
    check_set(checked)
    check_plans(checked)
    models, told = _proven(session, models, prefix)
    return replace(ran, warnings=(*ran.warnings, *told)), models


def _proven(session: Session, models: ModelSet, prefix: str) -> tuple[ModelSet, list[str]]:
    """The set without what would not be the same if it were worked out once for a record and its lines, and words on it."""
    kept, told = [], []
    for model in models.outbound:
        if model.once is None or is_proven(session, model.once, prefix=prefix, layers=models.layers):
            kept.append(model)
            continue
        kept.append(replace(model, once=None))
        told.append(
            f"{model.name} and its lines do not read {model.once.model} for their own record alone, so the diff "
            "works it out twice, as if the yml did not say `once`."
        )
    return replace(models, outbound=tuple(kept)), told


def _fingerprint(session: Session, project: Project) -> str:
    """What a set is made from: files, staging tables, and the programs that make and check it."""
    row = session.execute(query("builds", "staging_shape")).fetchone()
    ours = [
        hashlib.sha256((Path(__file__).parent / f"{name}.py").read_bytes()).hexdigest() for name in _MAKERS
    ]
    parts = [
        project.fingerprint,
        row["shape"] if row else "",
        version("dbt-core"),
        version("dbt-postgres"),
        *ours,
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _unchanged(session: Session, fingerprint: str, started: float) -> Built | None:
    """The set in force, when it was made from the same; None when there is something to build."""
    row = session.execute(query("builds", "in_force")).fetchone()
    if row is None or row["manifest"].get("fingerprint") != fingerprint:
        return None
    if session.execute(query("builds", "missing_relations")).fetchone() is not None:
        return None
    counts = session.execute(query("builds", "counts")).fetchone() or {"outbound": 0, "marts": 0}
    return Built(
        build=row["build"],
        is_unchanged=True,
        outbound=counts["outbound"],
        marts=counts["marts"],
        tests=0,
        unit_tests=0,
        new_models=(),
        changed_models=(),
        gone_models=(),
        warnings=tuple(row["manifest"].get("warnings", ())),
        seconds=time.monotonic() - started,
    )


def _columns(session: Session, prefix: str) -> Columns:
    columns: dict[tuple[str, str], list[Column]] = {}
    for row in session.execute(query("builds", "columns"), {"prefix": f"{prefix}__"}).fetchall():
        columns.setdefault((row["layer"], row["relation"]), []).append(
            Column(name=row["name"], type=row["type"])
        )
    return {key: tuple(found) for key, found in columns.items()}
