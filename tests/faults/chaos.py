"""`make chaos`: faults of every kind at every point, for as long as it is told, and a table of what came of them.

    python -m tests.faults.chaos --minutes 10 --seed 1

One shop, its books and an embedded server of its own. Each round places an order (some are taken back), strikes at one
point, lets ordinary runs go on, and looks. First all points are recorded; then each is tried in an order of chance, and
again from the start when all were, until the time is over. Exit code 1 unless nothing was doubled, lost or stuck.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.faults.fix_faults import Faults, Found, NotMet, new_faults_on_own_server
from tests.faults.fix_victims import Victim

COMMANDS = ("load", "diff", "drain", "marts", "sync")
"""Of a point that one of them passes often, the first, the middle and the last time are tried."""
CROWDS = (2, 4, 8)


@dataclass(kw_only=True)
class Kind:
    """What came of one kind of fault."""

    injected: int = 0
    struck: int = 0
    documents: int = 0
    duplicates: int = 0
    losses: int = 0
    stuck: int = 0
    windows: int = 0
    runs: int = 0
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One fault to inject."""

    kind: str
    name: str
    strike: Callable[[Faults], bool]


def main() -> int:
    """Strike until the time is over; print the table."""
    parser = argparse.ArgumentParser(prog="chaos", description="Kill, stop and cut tieout at every point.")
    parser.add_argument("--minutes", type=float, default=10, help="how long (default: 10)")
    parser.add_argument("--seed", type=int, default=1, help="another order of the points")
    parser.add_argument("--only", default="", help="only cases whose kind or name has this text")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 150)
    found: dict[str, Kind] = {}
    complaints: list[str] = []
    with world(console) as faults:
        chosen = [each for each in cases(faults) if options.only in f"{each.kind} {each.name}"]
        chosen = in_turn(chosen, options.seed)
        pace = [measured(faults)]
        until = time.monotonic() + options.minutes * 60
        tried = 0
        with Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"), TimeElapsedColumn(),
            console=console, transient=True,
        ) as progress:  # fmt: skip
            task = progress.add_task("chaos", total=options.minutes * 60, told="")
            while chosen and time.monotonic() < until:
                case = chosen[tried % len(chosen)]
                tried += 1
                left = until - time.monotonic()
                progress.update(
                    task,
                    completed=options.minutes * 60 - left,
                    description=f"{case.kind}: {case.name}",
                    told=f"{tried} of {len(chosen)} points, {len(complaints)} complaints",
                )
                complaints += attempt(faults, case, found.setdefault(case.kind, Kind()))
        pace.append(measured(faults))
    show(console, found, complaints, pace, tried, len(chosen))
    return 1 if any(each.duplicates or each.losses or each.stuck for each in found.values()) else 0


def in_turn(chosen: list[Case], seed: int) -> list[Case]:
    """In an order of chance, one of each kind before the second of any: a short run has met all kinds."""
    random.Random(seed).shuffle(chosen)
    met = Counter[str]()
    turns: list[tuple[int, Case]] = []
    for each in chosen:
        turns.append((met[each.kind], each))
        met[each.kind] += 1
    return [each for _, each in sorted(turns, key=lambda turn: turn[0])]


def attempt(faults: Faults, case: Case, kind: Kind) -> list[str]:
    """One fault, and all that follows; complaints in words."""
    before = documents(faults)
    number = faults.order()
    if len(faults.orders) % 5 == 0:
        faults.settle_down()  # an order that the shop closed before it was told is not told any more
        faults.refund(number)
        faults.order()
    kind.injected += 1
    try:
        kind.struck += case.strike(faults)
        started = time.monotonic()
        kind.runs = max(kind.runs, len(faults.settle_down()))
        kind.seconds.append(time.monotonic() - started)
        found = faults.found()
    except AssertionError as error:
        found = Found(stuck=[str(error)[:500]])
    kind.duplicates += len(found.duplicates)
    kind.losses += len(found.losses)
    kind.stuck += len(found.stuck)
    kind.windows += len(set(found.windows) - faults.known)
    faults.known |= set(found.windows)
    kind.documents += documents(faults) - before
    words = [*found.duplicates, *found.losses, *found.stuck]
    return [f"{case.kind}, {case.name}: {each}" for each in words]


def cases(faults: Faults) -> list[Case]:
    """Every point of every command as a kill, those that matter to a sleeper or a cut once more, and crowds."""
    made: list[Case] = []
    for command in COMMANDS:
        faults.order()
        if command in ("diff", "drain"):
            faults.world.run("load")
        if command == "drain":
            faults.world.run("diff", codes=(0, 5))
        for point, times in faults.recorded(command).items():
            made += [_kill(command, point, nth) for nth in sorted({1, (times + 1) // 2, times})]
            if command == "sync" and not point.startswith("write"):
                made += [_sleep(point), _cut(point), _server(point)]
    made += [_crowd(count) for count in CROWDS for _ in range(4)]
    faults.settle_down()
    return made


def _kill(command: str, point: str, nth: int) -> Case:
    def strike(faults: Faults) -> bool:
        prepared(faults, command)
        return faults.struck(command, point=point, nth=nth)

    return Case(kind=f"killed in {command}", name=f"{point} ({nth})", strike=strike)


def _sleep(point: str) -> Case:
    def strike(faults: Faults) -> bool:
        sleeper = faults.sleeping("sync", point=point)
        try:
            faults.settle_down()
        finally:
            ended(sleeper)
        return True

    return Case(kind="asleep past every deadline", name=point, strike=_met(strike))


def _cut(point: str) -> Case:
    def strike(faults: Faults) -> bool:
        victim = faults.paused("sync", point=point)
        faults.cut()
        ended(victim)
        return True

    return Case(kind="sessions cut", name=point, strike=_met(strike))


def _server(point: str) -> Case:
    def strike(faults: Faults) -> bool:
        victim = faults.paused("sync", point=point)
        faults.kill_server()
        ended(victim)
        faults.world.run("status")
        return True

    return Case(kind="Postgres killed", name=point, strike=_met(strike))


def _crowd(count: int) -> Case:
    def strike(faults: Faults) -> bool:
        for _ in range(count):
            faults.order()
        prepared(faults, "drain")
        crowd = [faults.start("drain") for _ in range(count)]
        crowd[0].kill()
        for each in crowd[1:]:
            each.wait()
        return True

    return Case(kind=f"{count} drains at once, one killed", name="from outside", strike=strike)


def ended(victim: Victim) -> None:
    """Wake it; however it was struck, it ends as commands promise to."""
    code = victim.wake().get("exit")
    if code not in (0, 4, 5):
        raise AssertionError(f"It ended with {code}: {victim.said[-1000:]}")


def _met(strike: Callable[[Faults], bool]) -> Callable[[Faults], bool]:
    """A point that this round's work does not come to is no fault that was injected."""

    def strike_if_met(faults: Faults) -> bool:
        try:
            return strike(faults)
        except NotMet:
            return False

    return strike_if_met


def prepared(faults: Faults, command: str) -> None:
    """What must have run before a command has something to do."""
    if command in ("diff", "drain", "marts"):
        faults.world.run("load", codes=(0, 4))
    if command in ("drain", "marts"):
        faults.world.run("diff", codes=(0, 4, 5))
    if command == "marts":
        faults.world.run("drain", codes=(0, 4, 5))


def documents(faults: Faults) -> int:
    """What stands in the books."""
    return sum(len(faults.books(entity)) for entity in ("Contacts", "Invoices", "CreditNotes", "Payments"))


def measured(faults: Faults) -> float:
    """Documents a second, the median of three times: ten orders, from the shop to the end.

    Three, because the first after a fault or a start finds caches cold.
    """
    paces: list[float] = []
    for _ in range(3):
        for _ in range(10):
            faults.order()
        before, started = documents(faults), time.monotonic()
        faults.settle_down()
        paces.append((documents(faults) - before) / (time.monotonic() - started))
    return statistics.median(paces)


def first_refund(faults: Faults) -> None:
    """What the first day did not have, so that no first run of a model holds it later: a person says yes to it here."""
    number = faults.order()
    faults.settle_down()
    faults.refund(number)
    faults.world.sync(codes=(0, 4, 5))
    faults.world.run("holds", "approve", "--reason", "first refund")
    faults.check()


def show(
    console: Console,
    found: dict[str, Kind],
    complaints: list[str],
    pace: list[float],
    tried: int,
    points: int,
) -> None:
    """The table."""
    table = Table(title="Faults injected, and what came of them")
    for name in ("kind", "injected", "struck", "documents", "duplicates", "losses", "stuck", "window"):
        table.add_column(name, justify="left" if name == "kind" else "right")
    table.add_column("runs to recover", justify="right")
    table.add_column("recovery, s (worst)", justify="right")
    total = Counter[str]()
    for name, kind in sorted(found.items()):
        numbers = {
            each: int(getattr(kind, each))
            for each in ("injected", "struck", "documents", "duplicates", "losses", "stuck", "windows")
        }
        total.update(numbers)
        seconds = sorted(kind.seconds) or [0.0]
        table.add_row(
            name,
            *(str(number) for number in numbers.values()),
            str(kind.runs),
            f"{seconds[len(seconds) // 2]:.1f} ({seconds[-1]:.1f})",
        )
    table.add_section()
    table.add_row("all", *(str(number) for number in total.values()), "", "")
    console.print(table)
    console.print(f"{min(tried, points)} of {points} points tried, {tried} faults in all.")
    console.print(f"Documents a second before {pace[0]:.1f}, afterwards {pace[-1]:.1f}.")
    console.print("'window': made twice in a gap that the target leaves open; found, and shown to a person.")
    console.print("Recovery is without the deadline of the call, which is moved, at most two minutes.")
    for complaint in complaints:
        console.print(complaint, style="red", highlight=False, soft_wrap=True)


@contextmanager
def world(console: Console) -> Iterator[Faults]:
    """A world of its own, on a server of its own."""
    folder = Path(tempfile.mkdtemp(prefix="tieout-chaos-"))
    folder.chmod(0o711)  # as root the server runs as another user, who must pass through
    try:
        with ExitStack() as stack:
            with console.status("Building the models, then a trade and the first day"):
                faults = stack.enter_context(new_faults_on_own_server(folder))
                first_refund(faults)
            yield faults
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for name in [name for name in os.environ if name.startswith("TIEOUT_")]:
        del os.environ[name]
    sys.exit(main())
