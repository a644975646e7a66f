"""What the documents say is there: commands, files and the generated reference."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from console import in_doubt
from console.cli import main
from console.frame import Listing
from console.reference import FILE, text
from tieout.errors import ExitCode
from tieout.events import Event
from tieout.settings import package_root

ROOT = package_root()
FLOORS = ("tieout", "loaders", "cdc", "console", "sandbox", "sql", "tests", "models")
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / name / "README.md" for name in FLOORS)]
TELLING = [
    *DOCUMENTS,
    ROOT / "recipes/README.md",
    ROOT / "bench/README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
"""Those that name commands."""
LONGEST_README = 60

_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)#\s]+)\)")
_FILE = re.compile(r"[\w./-]+\.(?:py|sql|yml|csv|toml|md|json)|[\w./-]+/")


def spans(document: Path) -> Iterator[str]:
    """What a document sets in code, one by one; code blocks line by line."""
    prose: list[str] = []
    blocks: list[str] = []
    for number, part in enumerate(document.read_text(encoding="utf-8").split("```")):
        (blocks if number % 2 else prose).append(part)
    yield from _CODE.findall("\n".join(prose))
    for block in blocks:
        yield from (line.partition("#")[0].strip() for line in block.splitlines())


def command_of(line: str) -> str | None:
    """The part of a command line that names no command; None when all does."""
    command: click.Command = main
    for word in shlex.split(line, comments=True)[1:]:
        if not isinstance(command, click.Group) or word.startswith("-") or not re.fullmatch(r"[a-z-]+", word):
            return None
        found = command.commands.get(word)
        if found is None:
            return word
        command = found
    return None


def unknown_options(line: str) -> set[str]:
    """Options on a command line that its command does not have; `&&` begins another command."""
    command: click.Command = main
    words = shlex.split(line.partition("&&")[0], comments=True)[1:]
    while words and isinstance(command, click.Group) and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    if isinstance(command, Listing):
        known |= {name for parameter in command.commands["list"].params for name in parameter.opts}
    asked = {word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)}
    return asked - known - {"--help", "--version"}


def named(document: Path) -> str:
    return str(document.relative_to(ROOT))


@pytest.mark.parametrize("document", TELLING, ids=named)
def test_every_command_that_is_named_exists(document: Path) -> None:
    lines = [span for span in spans(document) if re.match(r"tieout [a-z-]", span)]

    unknown = {line: word for line in lines if (word := command_of(line)) is not None}

    assert not unknown


@pytest.mark.parametrize("document", TELLING, ids=named)
def test_every_option_that_is_named_is_one_of_its_command(document: Path) -> None:
    lines = [span for span in spans(document) if re.match(r"tieout [a-z-]", span)]

    unknown = {line: options for line in lines if (options := unknown_options(line))}

    assert not unknown


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_file_that_is_named_exists(document: Path) -> None:
    names = {span for span in spans(document) if _FILE.fullmatch(span) and "NNNN" not in span}
    linked = set(_LINK.findall(document.read_text(encoding="utf-8")))

    missing = [
        name
        for name in sorted(names | {link for link in linked if "://" not in link})
        # A file of the document's own folder, or by its path from the root.
        if not (document.parent / name).exists() and not (ROOT / name).exists() and name != "tieout.toml"
    ]

    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS[2:], ids=named)
def test_a_folders_readme_fits_a_screen(document: Path) -> None:
    # The analyst's guide is a page to look things up in, and stands where analysts work.
    own = document.read_text(encoding="utf-8").partition("\n## The analyst's guide\n")[0]

    assert len(own.splitlines()) <= LONGEST_README


def test_every_module_of_a_floor_stands_in_its_readme() -> None:
    silent = []
    for floor in ("tieout", "loaders", "cdc", "console", "sandbox"):
        words = set(re.findall(r"[\w]+", (ROOT / floor / "README.md").read_text(encoding="utf-8")))
        systems = {"xero", "magento"}
        silent += [
            f"{floor}/{path.name}"
            for path in (ROOT / floor).glob("*.py")
            if not path.stem.startswith("__") and path.stem not in words | systems
        ]

    assert not silent, f"name each in the README of its folder, with what it owns: {silent}"


def test_the_reference_is_current() -> None:
    written = (ROOT / FILE).read_text(encoding="utf-8")

    assert written == text(), "run `python -m console.reference`"


def test_the_page_of_what_is_in_doubt_is_current() -> None:
    written = (ROOT / in_doubt.FILE).read_text(encoding="utf-8")

    assert written == in_doubt.text(), "run `python -m console.reference`"


def test_the_reference_names_every_exit_code_command_and_event() -> None:
    page = (ROOT / FILE).read_text(encoding="utf-8")

    assert all(f"\n| {code.value} | " in page for code in ExitCode)
    assert all(f"\n#### tieout {name}\n" in page for name in main.commands)
    assert all(f"\n| `{event.value}` | " in page for event in Event)
