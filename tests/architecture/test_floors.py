"""The shape of the house (design, section 3): who may import whom, how long a module may be, what the
register promises.

A failure says which rule, in which file and line, and where to read about it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tieout.settings import package_root
from tieout.systems import SYSTEMS

ROOT = package_root()
FLOORS = ("tieout", "loaders", "cdc", "console")
OURS = (*FLOORS, "sandbox")
LONGEST_MODULE = 400
RULES = "see ../shared/design.md, section 3, and CONTRIBUTING.md"
READERS_OF_THE_ENVIRONMENT = {
    "tieout/settings.py": "it is the one",
    "cdc/dbt_runner.py": "dbt takes the database password from the environment alone",
}
# These folders' modules are named after systems.
SYSTEM_FOLDERS = ("tieout/clients", "loaders", "cdc/writers", "sandbox")


def modules(*packages: str) -> list[Path]:
    return [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything a module imports, also inside functions; relative names made
    absolute.
    """
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            source = ".".join(part for part in (base, node.module or "") if part)
            yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)


def floor(name: str) -> str:
    return name.partition(".")[0]


def system_of(name: str) -> str | None:
    """The system whose own module a dotted name is (tieout.clients.xero_login.x: xero), if it is one's."""
    path = name.replace(".", "/")
    for folder in SYSTEM_FOLDERS:
        if path.startswith(f"{folder}/"):
            module = path.removeprefix(f"{folder}/").split("/")[0]
            return next(
                (s.name for s in SYSTEMS if module == s.name or module.startswith(f"{s.name}_")), None
            )
    return None


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def test_each_floor_imports_only_floors_below_it():
    violations = [
        f"{where(path, line)} imports {name}: {own} stands below {floor(name)}"
        for position, own in enumerate(FLOORS)
        for path in modules(own)
        for line, name in imports(path)
        if floor(name) in FLOORS[position + 1 :]
    ]

    assert not violations, f"floors are console > cdc > loaders > tieout; {RULES}\n" + "\n".join(violations)


def test_the_stand_ins_import_nothing_of_ours():
    violations = [
        f"{where(path, line)} imports {name}"
        for path in modules("sandbox")
        for line, name in imports(path)
        if floor(name) in FLOORS
    ]

    assert not violations, f"a stand-in that shares our code shares our mistakes; {RULES}\n" + "\n".join(
        violations
    )


def test_only_the_console_starts_the_stand_ins():
    violations = [
        f"{where(path, line)} imports {name}"
        for path in modules("tieout", "loaders", "cdc")
        for line, name in imports(path)
        if floor(name) == "sandbox"
    ]

    assert not violations, f"sandbox is imported only by console and tests; {RULES}\n" + "\n".join(violations)


def test_modules_of_one_system_never_import_those_of_another():
    violations = [
        f"{where(path, line)} ({own}) imports {name} ({other})"
        for path in modules(*OURS)
        if (own := system_of(".".join(path.relative_to(ROOT).with_suffix("").parts)))
        for line, name in imports(path)
        if (other := system_of(name)) and other != own
    ]

    assert not violations, f"a system is known to its own modules only; {RULES}\n" + "\n".join(violations)


def test_nothing_outside_a_systems_modules_asks_which_system_it_is():
    names = "|".join(system.name for system in SYSTEMS)
    comparison = re.compile(rf"system\s*(==|!=|in)\s*[(\[]?\s*[\"']({names})[\"']")
    violations = [
        where(path, number)
        for path in modules("tieout", "loaders", "cdc")
        if system_of(".".join(path.relative_to(ROOT).with_suffix("").parts)) is None
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if comparison.search(line)
    ]

    assert not violations, (
        f"no `if system == …` outside that system's own modules (style rule 9): {violations}"
    )


def test_no_module_is_longer_than_400_lines():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules(*OURS)}
    long = [
        f"{path.relative_to(ROOT)}: {length}" for path, length in lengths.items() if length > LONGEST_MODULE
    ]

    assert not long, (
        f"modules have at most {LONGEST_MODULE} lines (style rule 4); split by what they hold:\n"
        + ("\n".join(long))
    )


def test_packages_hold_no_logic_in_their_init():
    allowed = (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign)  # docstring, names to offer, __all__
    busy = [
        str(path.relative_to(ROOT))
        for path in modules(*OURS)
        if path.name == "__init__.py"
        and any(not isinstance(node, allowed) for node in ast.parse(path.read_text(encoding="utf-8")).body)
    ]

    assert not busy, f"__init__.py files hold no logic (style rule 5): {busy}"


def test_only_settings_reads_the_environment():
    reading = re.compile(r"os\.(environ|getenv)|from os import .*environ")
    violations = [
        where(path, number)
        for path in modules("tieout", "loaders", "cdc")
        if str(path.relative_to(ROOT)) not in READERS_OF_THE_ENVIRONMENT
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if reading.search(line)
    ]

    assert not violations, f"tieout/settings.py is the only reader of the environment; {RULES}\n{violations}"


def test_statements_stand_in_sql_files():
    # A statement has its verb and its object; words in a docstring do not look like that.
    statement = re.compile(
        r"^\s*(select\s.+\sfrom\s|insert\s+into\s+\w|update\s+[\w.]+\s+set\s|delete\s+from\s+\w|create\s+(table|view|schema)\s)",
        re.IGNORECASE | re.DOTALL,
    )
    violations = []
    for path in modules("tieout", "loaders", "cdc", "console"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstrings = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        violations += [
            f"{where(path, node.lineno)}: {str(node.value)[:60]!r}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
            and statement.match(node.value)
        ]

    assert not violations, "SQL stands in sql/queries/*.sql (style rule 14):\n" + "\n".join(violations)


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_the_register_promises_only_what_is_there(system):
    promised = []
    if system.reads:
        promised += [
            f"tieout/clients/{system.name}.py",
            f"loaders/{system.name}.py",
            f"sql/staging/{system.name}.sql",
            f"models/staging/{system.name}",
        ]
    if system.writes:
        promised += [f"cdc/writers/{system.name}.py", f"models/outbound/{system.name}"]

    missing = [part for part in promised if not (ROOT / part).exists()]

    assert not missing, (
        f"tieout/systems.py promises {system.title}, but there is no {', '.join(missing)}; {RULES}"
    )
