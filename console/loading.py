"""Loading several connections at the same time, how far each stream is, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any
from uuid import UUID

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from console.frame import App
from console.report import Report, about, table, worst
from loaders import poll
from loaders.crew import Stop, work_off
from loaders.progress import Backfill, Loaded, duration
from tieout.errors import DatabaseDown, LockHeld, MigrationMismatch, RetryLater, TieoutError, UsageError
from tieout.settings import Connection

Tell = Callable[[Loaded], None]


def load_all(
    app: App,
    run: UUID,
    connection: str | None,
    streams: tuple[str, ...],
    *,
    tell: Callable[[str], None],
    **how: Any,
) -> list[Loaded]:
    """Load one or all connections; raises, when all have ended, what stopped one."""
    loaded, errors = load_each(app, run, connection, streams, tell=in_words(tell), **how)
    if errors:
        raise errors[0]
    return loaded


def load_each(
    app: App, run: UUID, connection: str | None, streams: tuple[str, ...], *, tell: Tell, **how: Any
) -> tuple[list[Loaded], list[TieoutError]]:
    """Load one or all connections; what stops one of them (credentials, a vendor that is down) does not stop the others.

    Several are loaded at the same time. Raises what concerns all of them: a wrong call, a database that is away or of another
    version; RetryLater when a person's Ctrl-C ended each stream between two pages.
    """
    chosen = app.connections(connection)
    database, settings, stop = app.database, app.settings, Stop()

    def one(each: Connection) -> tuple[list[Loaded], TieoutError | None]:
        try:
            loaded = poll.load_connection(
                database, settings, each, streams=streams or None, run=run, progress=tell, stop=stop, **how
            )
            return loaded, None
        except (UsageError, DatabaseDown, MigrationMismatch):
            raise
        except TieoutError as error:
            return [], about(each.name, error)

    at_once = settings.loading.connections_at_once
    jobs = {each.name: partial(one, each) for each in chosen}
    try:
        found = work_off(jobs, after={}, at_once=at_once, stop=stop)
    except KeyboardInterrupt:
        raise RetryLater(
            "The load was interrupted; what was read until then is kept.",
            cure="Run the same command again: it goes on where it stopped.",
        ) from None
    ended = [found[each.name] for each in chosen]
    return [row for loaded, _ in ended for row in loaded], [error for _, error in ended if error is not None]


def in_words(tell: Callable[[str], None]) -> Tell:
    """How far a load is, as one line."""
    return lambda so_far: tell(f"{_name(so_far)}: {_far(so_far)}")


@contextmanager
def bars() -> Iterator[Tell]:
    """A line a stream on a terminal, nothing elsewhere: events tell the same to logs."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as shown:
        yield _Bars(shown)


class _Bars:
    """A bar for each stream that is being read; those that ended make room."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown
        self._tasks: dict[tuple[str, str], TaskID] = {}

    def __call__(self, so_far: Loaded) -> None:
        key = (so_far.connection, so_far.stream)
        if so_far.is_ended:
            if key in self._tasks:
                self._shown.remove_task(self._tasks.pop(key))
            return
        if key not in self._tasks:
            self._tasks[key] = self._shown.add_task(_name(so_far), total=None, detail="")
        backfill = so_far.backfill
        total = backfill.rows + backfill.left if backfill is not None and backfill.left is not None else None
        done = backfill.rows if backfill is not None else so_far.rows
        self._shown.update(self._tasks[key], completed=done, total=total, detail=_far(so_far))


def _far(loaded: Loaded) -> str:
    """How far a stream is: a first load by the vendor's count and the time that it takes, else what was read."""
    if loaded.backfill is not None:
        return loaded.backfill.sentence
    return f"{loaded.rows:,} read, {loaded.changed:,} changed"


def _name(loaded: Loaded) -> str:
    return f"{loaded.connection} {loaded.stream}"


def load_report(loaded: Sequence[Loaded], errors: Sequence[TieoutError] = ()) -> Report:
    """What was read and what had changed, a row a stream; streams that stopped; `errors` stopped whole connections."""
    told = [each for each in loaded if each.rows or each.bad or each.deleted]
    failed = [each for each in loaded if each.error is not None]
    shown = [
        table(
            "Loaded",
            ("connection", "stream", "read#", "changed#", "deleted#", "bad#"),
            [
                (each.connection, each.stream, each.rows, each.changed, each.deleted, each.bad)
                for each in told
            ],
            empty="Loaded: nothing new in any stream.",
        )
    ]
    going = [each.backfill for each in loaded if each.backfill is not None]
    if going:
        shown.append(backfill_table(going))
    if failed:
        rows = [(each.connection, each.stream, str(each.error)) for each in failed]
        shown.append(table("Streams that were not loaded", ("connection", "stream", "why"), rows))
    # Another run that is at it is no error: it does the work.
    stopped = [
        each.error for each in failed if each.error is not None and not isinstance(each.error, LockHeld)
    ]
    return Report(
        data={
            "streams": [
                {
                    "connection": each.connection,
                    "stream": each.stream,
                    "rows": each.rows,
                    "changed": each.changed,
                    "deleted": each.deleted,
                    "bad": each.bad,
                    "backfill": backfill_data(each.backfill) if each.backfill is not None else None,
                    "error": str(each.error) if each.error else None,
                }
                for each in loaded
            ],
            "rows": sum(each.rows for each in loaded),
            "changed": sum(each.changed for each in loaded),
            "errors": [error_data(error) for error in (*errors, *stopped)],
        },
        shown=shown,
        exit_code=worst((*errors, *stopped)),
        errors=(*errors, *stopped),
    )


def backfill_table(going: Sequence[Backfill]) -> RenderableType:
    """First loads that go on."""
    rows = [
        (
            each.connection,
            each.stream,
            each.rows,
            each.left,
            f"{each.part:.0%}" if each.part is not None else "",
            duration(each.seconds_left) if each.seconds_left is not None else "",
            "calls of a day" if each.is_bound_by_day else "pace",
        )
        for each in going
    ]
    columns = ("connection", "stream", "read#", "left#", "part", "takes", "bound by")
    return table("First loads that go on, newest first", columns, rows)


def backfill_data(backfill: Backfill) -> dict[str, object]:
    """A first load that goes on, as `--json` shows it."""
    return {
        "connection": backfill.connection,
        "stream": backfill.stream,
        "rows": backfill.rows,
        "left": backfill.left,
        "part": round(backfill.part, 4) if backfill.part is not None else None,
        "seconds_left": round(backfill.seconds_left) if backfill.seconds_left is not None else None,
        "bound": "day" if backfill.is_bound_by_day else "pace",
    }


def error_data(error: TieoutError) -> dict[str, object]:
    """An error as `--json` shows it."""
    return {"error": type(error).__name__, "message": str(error), "cure": error.cure}
