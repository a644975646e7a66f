"""PgQueuer: `fill URL JOBS BYTES`, or `work URL`: one worker that empties the queue. Prints began, ended (the last job), entries.

As its documentation says for speed: jobs put in many at once, batches taken by `batch_size`, its durable tables (the default),
drain mode, psycopg driver. A job does nothing.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import timedelta

import psycopg
from pgqueuer import PgQueuer
from pgqueuer.adapters.drivers.psycopg import PsycopgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode

BATCH = 50


async def fill(url: str, jobs: int, size: int) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        queries = Queries(PsycopgDriver(connection))
        if not await queries.has_table("pgqueuer"):
            await queries.install()
        for _ in range(0, jobs, 1000):
            await queries.enqueue(["nothing"] * 1000, [b"x" * size] * 1000, [0] * 1000)


async def work(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        queuer = PgQueuer(PsycopgDriver(connection))
        done, last = 0, 0.0

        @queuer.entrypoint("nothing")  # type: ignore[untyped-decorator, unused-ignore]
        async def nothing(_job: Job) -> None:
            nonlocal done, last
            done, last = done + 1, time.monotonic()

        print("ready", flush=True)
        sys.stdin.readline()
        began = time.monotonic()
        await queuer.qm.run(
            batch_size=BATCH, mode=QueueExecutionMode.drain, dequeue_timeout=timedelta(seconds=1)
        )
        print(json.dumps({"began": began, "ended": last or began, "entries": done}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "fill":
        asyncio.run(fill(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
    else:
        asyncio.run(work(sys.argv[2]))
