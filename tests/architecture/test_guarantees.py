"""docs/guarantees.md names tests that exist, for every guarantee."""

from __future__ import annotations

import ast
import re

from tieout.settings import package_root

PAGE = package_root() / "docs" / "guarantees.md"
NAMED = re.compile(r"`(tests/[a-z_/]+\.py)::(test_\w+)`")
GUARANTEES = 16


def test_each_guarantee_has_tests_and_every_test_that_is_named_exists() -> None:
    sections = re.split(r"^## (?=\d+\. )", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]

    named = {int(section.partition(".")[0]): NAMED.findall(section) for section in sections}

    assert sorted(named) == list(range(1, GUARANTEES + 1))
    assert [number for number, tests in named.items() if not tests] == []
    missing = [
        f"{file}::{test}" for tests in named.values() for file, test in tests if test not in _tests(file)
    ]
    assert missing == []


def _tests(file: str) -> set[str]:
    path = package_root() / file
    if not path.is_file():
        return set()
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
