"""Runs dbt in this process on an assembled project and reads its manifest and its complaints.

dbt gets its connection from a profile in the build's work folder, which the next build writes anew: one that is killed leaves
nothing elsewhere. The password is not in it but in the environment of this process while dbt runs, under the prefix that
dbt scrubs from its logs. dbt prints nothing: what a person must know comes back as a BuildError in our words, with dbt's
message, the file and the cure. Nothing is sent to dbt's makers.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from cdc.project import Project
from tieout.db import Database
from tieout.errors import BuildError
from tieout.queries import compose

Progress = Callable[[str], None]

THREADS = max(2, min(8, os.cpu_count() or 2))
"""Postgres does the work, often on the same machine; more threads than cores only make it wait."""
SHOWN_COMPLAINTS = 5

_PASSWORD = "DBT_ENV_SECRET_TIEOUT_PASSWORD"  # noqa: S105 (a name)
_PROFILE = "tieout"
# What dbt's profile may carry over from the URL; the rest (application_name …) does not matter to it.
_TLS = ("sslmode", "sslcert", "sslkey", "sslrootcert")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What dbt made."""

    manifest: Mapping[str, Any]
    """target/manifest.json, with the compiled SQL of every node."""
    tests: int
    unit_tests: int
    warnings: tuple[str, ...]
    """Tests of severity `warn` that failed, in words."""


def run(
    project: Project,
    database: Database,
    *,
    prefix: str,
    work_folder: Path,
    with_unit_tests: bool = False,
    progress: Progress | None = None,
) -> Ran:
    """Build lookups and models into the schemas `<prefix>__<layer>` and run the data tests there.

    `work_folder` keeps the profile, dbt's log and what it remembers of the last parse. Raises BuildError when anything
    fails.
    """
    # The import takes a second: only those who build pay for it.
    from dbt.cli.main import dbtRunner

    target = work_folder / "target"
    target.mkdir(parents=True, exist_ok=True)
    profiles = work_folder / "profiles"
    with _profile(database, prefix, profiles):
        arguments = ["build", "--project-dir", str(project.folder), "--profiles-dir", str(profiles)]
        arguments += [
            "--profile",
            _PROFILE,
            "--target-path",
            str(target),
            "--log-path",
            str(work_folder / "logs"),
        ]
        arguments += [
            "--log-level",
            "none",
            "--log-level-file",
            "info",
            "--no-use-colors",
            "--no-print",
            "--quiet",
        ]
        arguments += ["--no-send-anonymous-usage-stats", "--no-version-check", "--threads", str(THREADS)]
        arguments += ["--partial-parse"]
        arguments += [] if with_unit_tests else ["--exclude-resource-type", "unit_test"]
        # dbt declares a union of what its many commands give; `build` gives results of nodes.
        outcome: Any = dbtRunner(callbacks=[_reporter(progress)] if progress else []).invoke(arguments)
    if outcome.exception is not None and outcome.result is None:
        raise _cannot_parse(outcome.exception, project, work_folder)
    results: list[Any] = list(outcome.result.results)
    _refuse_failures(results, project, database, prefix)
    if not outcome.success:
        raise BuildError(f"dbt failed: {outcome.exception}", cure=f"See {work_folder / 'logs' / 'dbt.log'}.")
    return Ran(
        manifest=json.loads((target / "manifest.json").read_text(encoding="utf-8")),
        tests=sum(1 for result in results if result.node.resource_type == "test"),
        unit_tests=sum(1 for result in results if result.node.resource_type == "unit_test"),
        warnings=tuple(
            _sentence(result, project) for result in results if str(result.status) in {"warn", "warning"}
        ),
    )


@contextmanager
def _profile(database: Database, prefix: str, folder: Path) -> Iterator[None]:
    """A profile for this database in `folder`; until the block ends the password stands in the environment."""
    parameters = conninfo_to_dict(database.direct_url or database.url)
    output = {
        "type": "postgres",
        "host": str(parameters.get("host") or parameters.get("hostaddr") or "localhost"),
        "port": int(str(parameters.get("port") or 5432)),
        "user": str(parameters.get("user") or os.environ.get("PGUSER") or "postgres"),
        "password": f"{{{{ env_var('{_PASSWORD}', '') }}}}",
        "dbname": str(parameters.get("dbname") or parameters.get("user") or "postgres"),
        "schema": prefix,
        "threads": THREADS,
        "connect_timeout": 10,
        **{name: str(parameters[name]) for name in _TLS if parameters.get(name)},
    }
    profile = {_PROFILE: {"target": "tieout", "outputs": {"tieout": output}}}
    # PGTZ: dbt opens its own sessions, and a cast of a time to a date must not depend on the server's zone.
    ours = {"PGTZ": "UTC", _PASSWORD: str(parameters.get("password") or "")}
    before = {name: os.environ.get(name) for name in ours}
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # JSON is YAML.
    (folder / "profiles.yml").write_text(json.dumps(profile), encoding="utf-8")
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _reporter(progress: Progress) -> Callable[[Any], None]:
    def report(event: Any) -> None:
        if event.info.name in {"LogModelResult", "LogSeedResult", "LogTestResult", "LogUnitTestResult"}:
            data = event.data
            name = getattr(data, "description", "") or getattr(data, "name", "")
            # The events of seeds, models and tests do not spell their count alike.
            total = getattr(data, "total", None) or getattr(data, "num_models", "")
            progress(f"{getattr(data, 'index', '')}/{total} {name}")

    return report


def _cannot_parse(error: BaseException, project: Project, work_folder: Path) -> BuildError:
    message = _plain(str(error))
    # dbt names the file inside its sentence; a user's overlay lies elsewhere.
    for path in re.findall(r"[\w./-]+\.(?:sql|yml|csv)", message):
        message = message.replace(path, project.origin(path))
    return BuildError(
        f"dbt cannot read the models: {message}",
        cure="Correct the file named above and run `tieout build` again; dbt's log is "
        f"{work_folder / 'logs' / 'dbt.log'}.",
    )


def _refuse_failures(results: list[Any], project: Project, database: Database, prefix: str) -> None:
    failed = [result for result in results if str(result.status) in {"error", "fail", "runtime error"}]
    if not failed:
        return
    sentences = [
        _wrong_rows(result, project, database) or _sentence(result, project)
        for result in failed[:SHOWN_COMPLAINTS]
    ]
    if len(failed) > SHOWN_COMPLAINTS:
        sentences.append(f"and {len(failed) - SHOWN_COMPLAINTS} more")
    tests_failed = all(str(result.status) == "fail" for result in failed)
    cure = (
        f"The rows that fail are in the schemas {prefix}__* until the next build: run the test's SQL there. "
        if tests_failed
        else "Correct the file named above. "
    )
    raise BuildError("\n".join(sentences), cure=cure + "The set in force is untouched.")


def _sentence(result: Any, project: Project) -> str:
    """One complaint: file, what, dbt's words."""
    node = result.node
    message = _plain(result.message or "")
    file = project.origin(str(node.original_file_path))
    if node.resource_type == "test":
        compiled = getattr(node, "compiled_path", None)
        shown = f"; its SQL: {compiled}" if compiled else ""
        rows = f"{result.failures} rows" if result.failures else message
        return f"{file}: the test {node.name} finds {rows}{shown}"
    return f"{file}: {node.name}: {message}"


def _wrong_rows(result: Any, project: Project, database: Database) -> str | None:
    """What a failed test of kind `sound` says of the rows it found, the most frequent first."""
    node = result.node
    code = str(getattr(node, "compiled_code", None) or "")
    if str(result.status) != "fail" or not code.rstrip().endswith("judged.wrong is not null"):
        return None
    # The test's own SQL, of the same project and trust as the models.
    statement = compose("builds", "wrong_rows", test=sql.SQL(code))
    with database.connect() as session:
        rows = session.execute(statement).fetchall()
    wrongs = ", ".join(f"{row['wrong']} ({row['found']} rows)" for row in rows)
    file, model = project.origin(str(node.original_file_path)), str(node.attached_node).rpartition(".")[2]
    return f"{file}: {model}: {wrongs}; the test's SQL: {node.compiled_path}"


def _plain(message: str) -> str:
    """dbt's message on one line, without its headings and the path of what it compiled."""
    lines = [line.strip() for line in message.splitlines()]
    kept = [
        line
        for line in lines
        if line and not line.startswith(("compiled code at", "Compilation Error", "Database Error in"))
    ]
    return " ".join(kept)
