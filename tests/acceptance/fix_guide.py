"""Reads the analyst's guide: the snippets of each recipe, what it promises to show, and the table of outbound models."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from tieout.settings import package_root

README = package_root() / "models" / "README.md"
GUIDE = "## The analyst's guide"
NEW = "new: "
_OWN = {"sql/macros": "macros", "models/lookups": "models/lookups", "models": "models"}
_SHOWS = re.compile(r"^Shows `(\w+)`, `(\w+)`: (nothing|`.+?`) → `(.+)`$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunk:
    """Lines of one file of ours that become others; `before` is empty for a new file or an added line."""

    recipe: str
    file: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What `plan --against` must show once the recipe is applied; `before` None is nothing."""

    recipe: str
    model: str
    field: str
    before: str | None
    after: str


def recipes() -> dict[str, str]:
    """The text of each recipe by its heading."""
    text = README.read_text(encoding="utf-8")
    parts = re.split(r"^### (.+)$", text[text.index(GUIDE) :], flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def hunks() -> Iterator[Hunk]:
    """Every snippet of the guide, cut after each run of added lines."""
    for recipe, text in recipes().items():
        for block in re.findall(r"^```diff\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            for part in re.split(r"^@@ ", block, flags=re.MULTILINE)[1:]:
                file, _, body = part.partition("\n")
                yield from _hunks(recipe, file, body.splitlines())


def _hunks(recipe: str, file: str, lines: list[str]) -> Iterator[Hunk]:
    groups: list[list[str]] = [[]]
    for line in lines:
        if groups[-1] and groups[-1][-1].startswith("+") and not line.startswith("+"):
            groups.append([])
        groups[-1].append(line)
    for group in groups:
        before, after = (
            "".join(f"{line[1:]}\n" for line in group if not line.startswith(mark)) for mark in ("+", "-")
        )
        yield Hunk(recipe=recipe, file=file, before=before, after=after)


def promises() -> list[Promise]:
    """What every recipe says that it shows."""
    return [
        Promise(
            recipe=recipe, model=model, field=field, before=None if before == "nothing" else before.strip("`"),
            after=after,
        )
        for recipe, text in recipes().items()
        for model, field, before, after in _SHOWS.findall(text)
    ]  # fmt: skip


def apply(folder: Path, hunk: Hunk, ours: Mapping[str, Path]) -> None:
    """Do in a user's folder what the snippet says. AssertionError says what to mend in the guide."""
    if hunk.file.startswith(NEW):
        own = folder / hunk.file.removeprefix(NEW)
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_text(hunk.after, encoding="utf-8")
        return
    assert hunk.file in ours, (
        f"models/README.md, '{hunk.recipe}': there is no {hunk.file} any more; name the file that took its place"
    )
    below = next(name for name in _OWN if hunk.file.startswith(f"{name}/"))
    own = folder / _OWN[below] / Path(hunk.file).name
    text = (own if own.is_file() else ours[hunk.file]).read_text(encoding="utf-8")
    if hunk.before:
        count = text.count(hunk.before)
        assert count == 1, (
            f"models/README.md, '{hunk.recipe}': {hunk.file} has these lines {count} times, not once. The model changed: write the "
            f"recipe's '-' lines as they stand there now, and see that its '+' lines still do what it promises:\n{hunk.before}"
        )
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(
        text.replace(hunk.before, hunk.after) if hunk.before else text + hunk.after, encoding="utf-8"
    )


def table() -> str:
    """The table of outbound models as the yml files say it."""
    rows = []
    for file in sorted((package_root() / "models" / "outbound").rglob("out_*.yml")):
        for model in yaml.safe_load(file.read_text(encoding="utf-8"))["models"]:
            meta = model["config"].get("meta", {}).get("tieout")
            if meta:
                lines = ", ".join(f"`{child}`" for child in meta.get("lines", {}).values())
                words = " ".join(model["description"].split())
                row = re.split(r"(?<=[^.])\. ", words, maxsplit=1)[0].rstrip(".").removeprefix("One row per ")
                rows.append(
                    f"| `{model['name']}` | {meta['system']} {meta['entity']} | {lines} | `{meta['driver']}` | {row} |"
                )
    head = ["| model | record of | lines | driven by | one row is |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([*head, *rows]) + "\n"
