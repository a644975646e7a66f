"""`tieout demo`: the main job, from nothing to a proof, on a sample trade.

The demo lives in a folder of its own: settings, database, stand-ins. It starts afresh each time and leaves everything
running, so that the next command can look at what it made.
"""

from __future__ import annotations

import csv
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import click
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from cdc import build, desk, diff, drain, marts, proof, report
from cdc.linking.approve import approve
from cdc.linking.decisions import Named
from cdc.linking.propose import propose
from cdc.proof_records import Proof
from cdc.standing import pin
from console import stands
from console.frame import App, command
from console.letters import dead_letter_groups
from console.loading import load_all
from console.proofs import shown_proof
from console.report import Report, table, verdict
from sandbox import trade
from sandbox.stand import Stand
from tieout import embedded
from tieout.errors import ExitCode, UsageError
from tieout.migrate import migrate
from tieout.queries import query
from tieout.settings import package_root
from tieout.systems import client_module

MARK = ".tieout-demo"
"""A file that says: this folder is the demo's and may be emptied."""

_MADE_BY = {
    "out_xero__contacts": "contacts",
    "out_xero__guest_contacts": "contacts",
    "out_xero__company_contacts": "contacts",
    "out_xero__store_contacts": "contacts",
    "out_xero__items": "items",
    "out_xero__invoices": "invoices",
    "out_xero__payments": "payments",
    "out_xero__credit_notes": "credit_notes",
    "out_xero__allocations": "allocations",
    "out_xero__refunds": "refunds",
    "out_magento__order_statuses": "status_updates",
}
"""What the demo counts, by the outbound model that makes it; other models by their own name."""

RAPID: Mapping[str, Mapping[str, object]] = {
    "xero": {"minute": None, "day": None},
    "magento": {"race_window_ms": 0},
}
"""Xero lifts its limits a minute and a day for a new connection's first 30 minutes ("Rapid Sync", vendor's pricing page);
the demo's shoppers come one after another, so the shop need not linger to let them race."""

FULL_ROUTES: Mapping[str, Mapping[str, str]] = {
    "default": {
        "contacts": "by_company",
        "deposits": "prepayment",
        "overpayments": "overpayment",
        "re_date": "next_open_day",
    },
    "eu": {"name_taken": "number"},
}
"""What the routes of the full trade choose otherwise than the shipped ones, by store: columns of `routes.csv`."""


@command("demo")
@click.option(
    "--orders",
    type=click.IntRange(min=15),
    default=200,
    show_default=True,
    help="How many orders are placed.",
)
@click.option(
    "--trade",
    "kind",
    type=click.Choice(["ordinary", "full"]),
    default="ordinary",
    show_default=True,
    help="full: every case of money, documents, taxes and contacts too, in a shop of Adobe Commerce.",
)
@click.option("--seed", type=int, default=2026, show_default=True, help="Another number, another trade.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="The demo's folder (default: `demo` in the data folder).",
)
@click.option("--stop", is_flag=True, help="Stop the stand-ins and the database of the last demo, and end.")
def demo(app: App, orders: int, kind: trade.Trade, seed: int, folder: Path | None, stop: bool) -> Report:
    """Run the main job on a sample trade: orders from Magento to Xero and back, and the proof.

    Example: tieout demo --trade full --json

    Real database, real dbt, real HTTP; only the vendors' APIs are stand-ins. The trade has every ordinary case and one
    record of each kind of bad input, which end as dead letters with their cures. The full trade goes on after the first
    sync: an accountant books receipts, merges contacts, closes a month; the shop captures, invoices, refunds.
    """
    place = (folder or _place_of(app)).resolve()
    if stop:
        _halt(place)
        return Report(data={"stopped": str(place)}, shown=[f"Stopped the demo in {place}."])
    steps = _Steps()
    with steps.doing("start the database and the stand-ins"):
        _prepare(place)
        standing = stands.start(place, options=_stand_ins(kind))
        settings_file = _write_settings(
            place, standing, _lookups(place, FULL_ROUTES if kind == "full" else {})
        )
        shown = App(settings_file=settings_file, is_alone=True)
        migrate(shown.unchecked_database)
    addresses = {each.system: each.address for each in standing}
    stand = Stand(magento=addresses["magento"], xero=addresses["xero"])
    with steps.counting(f"place {orders} orders in the shop", orders) as advance:
        played = trade.play(stand, orders, seed=seed, trade=kind, told=lambda _: advance())
    started = time.monotonic()
    with (
        shown.run("demo", {"orders": orders, "seed": seed, "trade": kind}) as run,
        # One session for all diffs: planning the models costs a session most of a second.
        shown.database.connect(direct=True, lease_seconds=None) as session,
    ):
        _first_run(shown, run, session, steps)
        while stand.later:
            with steps.doing("the trade goes on: what accountant and shop do next") as tell:
                played += trade.go_on(stand)
                _sync(shown, run, session, tell)
        proved = _proved(shown, run, steps)
    seconds = time.monotonic() - started
    return _report(shown, played, proved, seconds, steps)


def _first_run(app: App, run: UUID, session: diff.Session, steps: _Steps) -> None:
    """Load, build, diff, approve the first run, drain; then once more for the news that goes back."""
    with steps.doing("connect"), app.database.connect() as database:
        for chosen in app.connections():
            client = client_module(chosen.system).open_client(chosen, app.database, app.vault)
            try:
                pin(database, chosen, client.identity())
            finally:
                client.close()
    with steps.doing("load: mirror both systems") as tell:
        load_all(app, run, None, (), tell=tell)
    with steps.doing("build: the models") as tell:
        build.build(app.settings, app.database, progress=tell)
    with steps.doing("diff: what each target should say"):
        diff.diff(app.database, app.settings, run=run, session=session)
    with steps.doing("link: what the targets have already") as tell:
        # What a person does before the first write to a target that is not empty: look, then say yes.
        propose(app.database, run=run, by="demo", progress=tell)
        approve(app.database, Named(), by="demo", reason="first run of the demo")
    with steps.doing("approve the first run"), app.database.connect() as database:
        # What a person does after `tieout plan`: nothing of a new model is sent unseen.
        desk.approve(database, by="demo", reason="first run of the demo")
    with steps.doing("drain: write to Xero") as tell:
        drain.drain(app.database, app.settings, run=run, progress=tell)
    with steps.doing("load, diff and drain: news back to the shop") as tell:
        _sync(app, run, session, tell)


def _sync(app: App, run: UUID, session: diff.Session, tell: Callable[[str], None]) -> None:
    """Load, diff and drain once more; what is new of its kind is approved."""
    load_all(app, run, None, (), tell=tell)
    diff.diff(app.database, app.settings, run=run, session=session)
    with app.database.connect() as database:
        desk.approve(database, by="demo", reason="first run of the demo")
    drain.drain(app.database, app.settings, run=run, progress=tell)


def _proved(app: App, run: UUID, steps: _Steps) -> Proof:
    """Marts, then the proof."""
    with steps.doing("marts"):
        marts.refresh(app.database, run=run)
    with steps.doing("prove: read the target afresh"):
        return proof.prove(app.database, app.settings, run=run)


def _report(app: App, played: Sequence[trade.Played], proved: Proof, seconds: float, steps: _Steps) -> Report:
    with app.database.connect() as database:
        made: Counter[str] = Counter()
        for row in database.execute(query("runs", "made")):
            made[_made_by(row["model"])] += row["made"]
        groups = report.dead_letters(database)
        dead = report.dead_total(database)
        report.newly_dead(database)
    names = dict.fromkeys([*_MADE_BY.values(), *made])
    shown_totals = shown_proof(proved)
    data = {
        "orders": len(played),
        **{name: made[name] for name in names},
        "dead_letters": dead,
        "skipped": proved.skipped,
        "proved": shown_totals.data["proved"],
        "cases": dict(sorted(Counter(each.case for each in played).items())),
        "seconds": round(seconds, 1),
        "steps": steps.seconds,
        "settings": str(app.settings.source),
    }
    shown: list[RenderableType] = [
        table(
            "Made in the targets",
            ("what", "count#"),
            [(name.replace("_", " "), made[name]) for name in names],
        ),
        *shown_totals.shown,
        *dead_letter_groups(groups),
        verdict(
            bool(data["proved"]),
            f"{len(played)} orders in {seconds:.1f} s: "
            + (
                "both sides agree, or a named record explains the difference."
                if data["proved"]
                else "NOT proved: see above."
            ),
        ),
        *_how_to_go_on(app),
    ]
    return Report(data=data, shown=shown, exit_code=ExitCode.DONE if data["proved"] else ExitCode.BUG)


def _made_by(model: str) -> str:
    return _MADE_BY.get(model, model.partition("__")[2])


def _how_to_go_on(app: App) -> Iterator[RenderableType]:
    file = app.settings.source
    with app.database.connect() as database:
        example = database.execute(query("runs", "example")).fetchone()
    yield Text("Look further", style="bold")
    commands = {
        f"export TIEOUT_SETTINGS={file}": "",
        "tieout status": "is all well, and what waits for whom",
        "tieout dead-letters": "each with its cure",
        f"tieout why {example['number'] if example else 'RECORD'}": "why a document says what it says",
        "tieout sync": "again: nothing changed, so nothing is written",
        'tieout psql -c "table marts.receivables"': "what BI reads",
        "tieout demo --stop": "stop the stand-ins and the database",
    }
    yield table("", ("command", "what it shows"), commands.items())


def _place_of(app: App) -> Path:
    """The demo that the settings in use belong to, else the one in the data folder."""
    source = app.settings.source
    if source is not None and (source.parent / MARK).exists():
        return source.parent
    return app.settings.data_dir / "demo"


def _prepare(place: Path) -> None:
    """An empty folder that is surely the demo's."""
    if place.exists() and any(place.iterdir()):
        if not (place / MARK).exists():
            raise UsageError(
                f"{place} is not empty and not a demo's folder.", cure="Name an empty folder with --folder."
            )
        stands.stop(place)
        shutil.rmtree(place)
    place.mkdir(parents=True, exist_ok=True)
    # Started by root, the data lie outside this folder: they are the last demo's, whatever became of it.
    embedded.remove(place / "data")
    (place / MARK).touch()


def _halt(place: Path) -> None:
    stands.stop(place)
    if (place / "data").exists():
        embedded.stop(place / "data")


def _stand_ins(kind: trade.Trade) -> Mapping[str, Mapping[str, object]]:
    """Options of the stand-ins; only Adobe Commerce has gift cards, store credit and points."""
    if kind == "ordinary":
        return RAPID
    return {**RAPID, "magento": {**RAPID["magento"], "edition": "commerce"}}


def _write_settings(place: Path, standing: Sequence[stands.Standing], lookups: Path) -> Path:
    """The same settings file that a user writes, filled in with what the stand-ins told."""
    by_system = {each.system: each for each in standing}
    magento, xero = by_system["magento"], by_system["xero"]
    sections: Mapping[str, Mapping[str, str | int | Path]] = {
        "": {"environment": "dev", "data_dir": place / "data"},
        "models": {"lookups_dir": lookups},
        "connections.shop": {
            "system": "magento",
            "writes": "on",
            "base_url": magento.address,
            "auth": "oauth1",
            **{
                name: magento.credentials[name]
                for name in ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
            },
        },
        "connections.books": {
            "system": "xero",
            "writes": "on",
            "flow": "custom",
            "client_id": xero.credentials["custom_client_id"],
            "client_secret": xero.credentials["custom_client_secret"],
            "tenant_id": xero.credentials["tenant_id"],
            "api_url": f"{xero.address}/api.xro/2.0",
            "identity_url": f"{xero.address}/connect/token",
            "calls_a_minute": 100_000,
            "calls_a_day": 1_000_000,
        },
    }
    lines = ["# Written by `tieout demo`. The secrets are those of stand-ins that run on this machine."]
    for section, values in sections.items():
        lines += [f"\n[{section}]"] if section else []
        lines += [
            f"{name} = {value}" if isinstance(value, int) else f"{name} = '{value}'"
            for name, value in values.items()
        ]
    lines += [
        "\n[limits]",
        "# The first run is approved by the demo; later ones are small.",
        "creates = 5000",
        "updates = 1000",
    ]
    file = place / "tieout.toml"
    file.touch(mode=0o600)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def _lookups(place: Path, routes: Mapping[str, Mapping[str, str]]) -> Path:
    """A folder of lookups that overlays ours, as a user's does, with one mistake on purpose: an account that Xero lacks."""
    folder = place / "lookups"
    folder.mkdir()
    ours = package_root() / "models" / "lookups"
    text = (ours / "category_accounts.csv").read_text(encoding="utf-8")
    (folder / "category_accounts.csv").write_text(f"{text.rstrip()}\nshop,Gadgets,209,,\n", encoding="utf-8")
    if routes:
        with (ours / "routes.csv").open(encoding="utf-8", newline="") as shipped:
            rows = [{**row, **routes.get(row["store_code"], {})} for row in csv.DictReader(shipped)]
        with (folder / "routes.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return folder


@dataclass
class _Steps:
    """What is being done, on the terminal; and how long each step took (seconds)."""

    console: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def doing(self, what: str) -> Iterator[Callable[[str], None]]:
        started = time.monotonic()
        with self.console.status(what) as shown:
            yield lambda detail: shown.update(f"{what}: {detail}")
        self._done(what, started)

    @contextmanager
    def counting(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        started = time.monotonic()
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        ) as shown:
            task = shown.add_task(what, total=total)
            yield lambda: shown.advance(task)
        self._done(what, started)

    def _done(self, what: str, started: float) -> None:
        self.seconds[what.partition(":")[0]] = round(time.monotonic() - started, 1)
        self.console.print(f"[green]✓[/green] {what} ({time.monotonic() - started:.1f} s)")
