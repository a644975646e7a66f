"""What nothing uses is not kept: statements, macros, and what the modules offer."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tieout.queries import parse
from tieout.settings import package_root

ROOT = package_root()
PACKAGES = ("tieout", "loaders", "cdc", "console", "sandbox", "bench")
CALLED_BY_OTHERS = {"generate_schema_name"}
"""Macros that dbt calls."""


@cache
def modules() -> tuple[tuple[Path, str], ...]:
    paths = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    return tuple((path, path.read_text(encoding="utf-8")) for path in paths)


def words(texts: Iterator[str]) -> Counter[str]:
    return Counter(word for text in texts for word in re.findall(r"\w+", text))


def offered(tree: ast.Module) -> Iterator[str]:
    """Functions, classes and constants of a module, but those that a decorator takes: a command, a route, a fixture."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            if isinstance(node, ast.ClassDef) or not node.decorator_list:
                yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def test_every_statement_is_asked_for():
    named: set[str] = set()
    heads: set[str] = set()
    tails: set[str] = set()
    for _, text in modules():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                named.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                # `kept_{kind}`, `{what}_of_marts`: groups of statements that begin or end alike.
                first, last = node.values[0], node.values[-1]
                heads |= {str(first.value)} if isinstance(first, ast.Constant) else set()
                tails |= {str(last.value)} if isinstance(last, ast.Constant) else set()
    begins = tuple(text for text in heads if re.fullmatch(r"[a-z]+_", text))
    ends = tuple(text for text in tails if re.fullmatch(r"(_[a-z]+)+", text))
    statements = {
        f"{path.stem}.{name}"
        for folder in ("sql/queries", "bench")
        for path in (ROOT / folder).rglob("*.sql")
        for name in parse(path.read_text(encoding="utf-8"))
        if name not in named and not name.startswith(begins) and not name.endswith(ends)
    }

    assert statements == set()


def test_every_macro_is_called():
    files = [
        path for folder in ("models", "sql/macros", "tests/dbt") for path in (ROOT / folder).rglob("*.sql")
    ]
    texts = [path.read_text(encoding="utf-8") for path in files]
    made = {name for text in texts for name in re.findall(r"{%-?\s*macro\s+(\w+)", text)}
    # A macro that the guide offers to analysts is for them.
    counted = words(iter([*texts, (ROOT / "models/README.md").read_text(encoding="utf-8")]))

    assert {name for name in made if counted[name] < 2} - CALLED_BY_OTHERS == set()


def test_what_a_module_offers_is_used_by_more_than_tests():
    counted = words(text for _, text in modules())
    unused = [
        f"{path.relative_to(ROOT)}: {name}"
        for path, text in modules()
        for name in offered(ast.parse(text))
        if counted[name] < 2 and not name.startswith("__")
    ]

    assert unused == []
