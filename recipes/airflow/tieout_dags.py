"""Two DAGs for each set of books in `books.toml`: a sync every few minutes, and what is due once a night.

tieout is a command in an environment of its own (TIEOUT_COMMAND), so that its packages and Airflow's never meet. Its exit code
decides: 0 is success, 4 is tried again later, all others fail at once, because only a person can cure them.
"""

from __future__ import annotations

import logging
import os
import subprocess
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG, Variable, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

BOOKS = Path(os.environ.get("TIEOUT_BOOKS", Path(__file__).with_name("books.toml")))
COMMAND = os.environ.get("TIEOUT_COMMAND", "/opt/tieout/bin/tieout")
BACKUPS = Path(os.environ.get("TIEOUT_BACKUPS", "/var/backups/tieout"))
EVERY = "*/5 * * * *"
NIGHT = "20 2 * * *"

TRY_AGAIN = 4
NEEDS = {
    1: "a mistake of tieout's own: see the last lines above, and report it",
    2: "the command line is wrong: correct this DAG",
    3: "a person must act: settings, login or recovery; `tieout status` says what",
    5: "done, but records newly need a person: `tieout dead-letters`",
    6: "the database is not at the migration of this version: `tieout migrate`",
}

log = logging.getLogger(__name__)


@task(
    retries=6,
    retry_delay=timedelta(minutes=1),
    retry_exponential_backoff=True,
    max_retry_delay=timedelta(minutes=30),
    execution_timeout=timedelta(hours=6),
)
def tieout(books: str, settings: str, *arguments: str) -> None:
    """Run one command for one set of books, its lines into the task's log, its exit code into success, retry or failure."""
    # Names are environment variables, values their secrets. Read when the task runs, never when the file is parsed; Airflow
    # encrypts it (or asks the secrets backend) and blanks it in logs, because its name says "secret".
    secrets = Variable.get(f"tieout_{books}_secrets", default={}, deserialize_json=True)
    running = subprocess.Popen(
        [COMMAND, *arguments, "--json"],
        env={**os.environ, **secrets, "TIEOUT_SETTINGS": settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        for line in running.stdout or ():
            log.info("%s", line.rstrip())
        code = running.wait()
    finally:
        # A task that is cleared or runs out of time: tieout may be stopped anywhere.
        running.terminate()
        running.wait()
    if code in NEEDS:
        raise AirflowFailException(f"tieout {arguments[0]} of {books} ended with {code}: {NEEDS[code]}")
    if code:
        word = "try again later" if code == TRY_AGAIN else "it was stopped; running it again is safe"
        raise AirflowException(f"tieout {arguments[0]} of {books} ended with {code}: {word}")


def dags_of(books: str, settings: str, *, every: str = EVERY, night: str = NIGHT) -> list[DAG]:
    """The two DAGs of a set of books."""
    same = {
        "start_date": datetime(2026, 1, 1, tzinfo=UTC),
        "catchup": False,
        "max_active_runs": 1,
        "tags": ["tieout", books],
    }
    with DAG(f"tieout_{books}", schedule=every, **same) as minutes:
        tieout.override(task_id="sync")(books, settings, "sync")
    with DAG(f"tieout_{books}_night", schedule=night, **same) as nightly:
        sweep = tieout.override(task_id="sweep")(books, settings, "load", "--sweep")
        prove = tieout.override(task_id="prove", trigger_rule="all_done")(books, settings, "sync", "--prove")
        # A template: the file is named when the task runs.
        file = f"{BACKUPS / books}-{{{{ dag_run.run_after | ts_nodash }}}}.dump"
        backup = tieout.override(task_id="backup", trigger_rule="all_done")(books, settings, "backup", file)
        sweep >> prove >> backup
    return [minutes, nightly]


for name, each in tomllib.loads(BOOKS.read_text(encoding="utf-8")).items():
    for dag in dags_of(name, **each):
        globals()[dag.dag_id] = dag
