"""Events are an interface: each is described, and each call sends only described fields."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tieout.events import EVENTS, Event
from tieout.settings import package_root

ROOT = package_root()


def calls() -> Iterator[tuple[Path, ast.Call]]:
    for package in ("tieout", "loaders", "cdc", "console"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "emit":
                    yield path, node


def test_every_event_is_described_with_its_fields():
    assert set(EVENTS) == set(Event)
    assert all(fields and all(fields.values()) for fields in EVENTS.values())


def test_every_call_names_an_event_and_sends_described_fields():
    violations = []
    for path, call in calls():
        event = ast.unparse(call.args[0]) if call.args else ""
        name = event.removeprefix("events.").removeprefix("Event.")
        where = f"{path.relative_to(ROOT)}:{call.lineno}"
        if name not in Event.__members__:
            violations.append(f"{where} emits {event}")
            continue
        unknown = {keyword.arg for keyword in call.keywords if keyword.arg} - set(EVENTS[Event[name]])
        if unknown:
            violations.append(f"{where} sends {sorted(unknown)} with {name}")

    assert not violations, "tieout/events.py lists every event and its fields:\n" + "\n".join(violations)


def test_every_event_happens_somewhere():
    sent = {ast.unparse(call.args[0]).rpartition(".")[2] for _, call in calls() if call.args}

    assert set(Event.__members__) - sent == set()
