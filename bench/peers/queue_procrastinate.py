"""procrastinate: `fill URL JOBS BYTES`, or `work URL`: one worker that empties the queue. Prints began, ended (the last job), entries.

As its documentation says for speed: jobs put in many at once (`batch_defer`), an asynchronous task, several of them at a time
(`concurrency`), finished jobs deleted at once. A job does nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time

from procrastinate import App, PsycopgConnector

CONCURRENCY = 20


def app_of(url: str) -> App:
    return App(connector=PsycopgConnector(conninfo=url, min_size=2, max_size=10))


async def fill(url: str, jobs: int, size: int) -> None:
    app = app_of(url)
    async with app.open_async():
        if not await app.check_connection_async():
            await app.schema_manager.apply_schema_async()
        task = app.configure_task("nothing", allow_unknown=True)
        for _ in range(0, jobs, 1000):
            await task.batch_defer_async(*({"payload": "x" * size} for _ in range(1000)))


async def work(url: str) -> None:
    app = app_of(url)
    done, last = 0, 0.0

    @app.task(name="nothing")  # type: ignore[untyped-decorator, unused-ignore]
    async def nothing(payload: str) -> None:  # noqa: ARG001 (what the job carries)
        nonlocal done, last
        done, last = done + 1, time.monotonic()

    async with app.open_async():
        print("ready", flush=True)
        sys.stdin.readline()
        began = time.monotonic()
        await app.run_worker_async(
            wait=False, concurrency=CONCURRENCY, delete_jobs="always", install_signal_handlers=False
        )
        print(json.dumps({"began": began, "ended": last or began, "entries": done}), flush=True)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    if sys.argv[1] == "fill":
        asyncio.run(fill(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
    else:
        asyncio.run(work(sys.argv[2]))
