"""Which files a set of models is built from: the dbt project, with a user's lookups, models, macros and tests
laid over it by file name.

Without an overlay dbt runs in the project folder itself. With one, a merged copy is kept in the data folder:
a user's file replaces ours of the same name in the same layer, everything else is ours, so an upgrade never
touches a user's file. A user's lookup that lacks a column of ours, because it is older, gets it empty in the copy.
The fingerprint covers every file that can change what dbt makes; it tells in
milliseconds that nothing is to be built.
"""

from __future__ import annotations

import csv
import hashlib
import io
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tieout.errors import BuildError
from tieout.settings import Settings, package_root

PROJECT_FILE = "dbt_project.yml"
LOOKUPS = Path("models/lookups")

_FOLDERS = (Path("models"), Path("sql/macros"), Path("tests/dbt"))
# A user's folder → where its files go in the project.
_OVERLAYS = {"models": Path("models"), "macros": Path("sql/macros"), "tests": Path("tests/dbt")}
_KINDS = frozenset({".sql", ".yml", ".yaml", ".csv", ".md"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A dbt project that is ready to run."""

    folder: Path
    """Where `dbt_project.yml` lies."""
    fingerprint: str
    """sha256 of all files that take part."""
    origins: Mapping[str, Path]
    """Path inside the project to the file that a person edits."""

    def origin(self, path: str) -> str:
        """The file to name to a person:

        the user's own where an overlay gave it, else the path in the project.
        """
        origin = self.origins.get(path)
        return path if origin is None or origin.is_relative_to(self.folder) else str(origin)


def assemble(settings: Settings, work_folder: Path) -> Project:
    """The project of the settings; an overlay is merged into `work_folder`.

    A `project_dir` with a `dbt_project.yml` is a whole project; one without is laid over what tieout ships.
    Raises BuildError when there is no project at all.
    """
    if not settings.project_dir.is_dir():
        raise BuildError(
            f"There is no folder {settings.project_dir}.",
            cure="Make it, or correct models.project_dir in the settings.",
        )
    is_whole = (settings.project_dir / PROJECT_FILE).is_file()
    base = settings.project_dir if is_whole else package_root()
    if not (base / PROJECT_FILE).is_file():
        raise BuildError(
            f"There is no {PROJECT_FILE} in {base}.",
            cure="Point models.project_dir of the settings at a folder with a dbt project, or leave it "
            "empty.",
        )
    shipped = {str(path.relative_to(base)): path for path in _files_of(base)}
    files = dict(shipped)
    if not is_whole:
        for own, below in _OVERLAYS.items():
            files |= _overlay(settings.project_dir / own, below, files)
    if settings.lookups_dir.resolve() != (base / LOOKUPS).resolve():
        files |= _overlay(settings.lookups_dir, LOOKUPS, files)
    ordered = dict(sorted(files.items()))
    has_overlay = any(not path.is_relative_to(base) for path in ordered.values())
    folder = _merge(ordered, shipped, work_folder) if has_overlay else base
    return Project(folder=folder, fingerprint=_fingerprint(ordered), origins=ordered)


def refuse_repeated_keys(project: Project) -> None:
    """Raise BuildError for a key that stands twice in one mapping of a yml file of the project.

    dbt takes the last of them and goes on, so a rule of `dirty` or a whole list of columns would be lost without a word.
    A file that cannot be read is left to dbt, which says why.
    """
    # With dbt: who does not build does not pay for it.
    import yaml  # type: ignore[import-untyped]

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for name, path in project.origins.items():
        if path.suffix not in {".yml", ".yaml"}:
            continue
        try:
            root = yaml.compose(path.read_text(encoding="utf-8"), Loader=loader)
        except (yaml.YAMLError, UnicodeDecodeError):
            continue
        for key, line in _repeated(root):
            raise BuildError(
                f"{project.origin(name)}, line {line}: the key {key} stands twice there, and only the last would count.",
                cure="Make one of the two, or remove the one that is wrong.",
            )


def _repeated(node: Any) -> Iterator[tuple[str, int]]:
    """Keys that their mapping has already, with the line (from 1) of their second place, in a node of YAML and below it."""
    if node is None or node.id == "scalar":
        return
    seen: set[str] = set()
    for each in node.value:
        key, child = each if node.id == "mapping" else (None, each)
        if key is not None and key.id == "scalar":
            if key.value in seen:
                yield key.value, key.start_mark.line + 1
            seen.add(key.value)
        yield from _repeated(child)


def _files_of(base: Path) -> Iterator[Path]:
    yield base / PROJECT_FILE
    for folder in _FOLDERS:
        yield from _files_below(base / folder)


def _files_below(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix in _KINDS and not path.name.startswith("."):
                yield path


def _overlay(folder: Path, below: Path, files: Mapping[str, Path]) -> dict[str, Path]:
    """A user's files by the path that they take in the project.

    A file of a name that we have takes that file's place wherever it lies below `below`: model names are
    unique in dbt.
    """
    by_name = {Path(name).name: name for name in files if Path(name).is_relative_to(below)}
    return {
        by_name.get(path.name, str(below / path.relative_to(folder))): path for path in _files_below(folder)
    }


def _fingerprint(files: Mapping[str, Path]) -> str:
    digest = hashlib.sha256()
    for name, path in files.items():
        digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _widened(lookup: bytes, shipped: bytes) -> bytes:
    """A user's CSV with the columns that only the shipped one has, empty, at its end."""
    rows = [row for row in csv.reader(io.StringIO(lookup.decode("utf-8-sig"))) if row]
    wanted = next(csv.reader(io.StringIO(shipped.decode("utf-8-sig"))), [])
    known = {cell.strip() for cell in rows[0]} if rows else set()
    missing = [column for column in wanted if column not in known]
    if not rows or not missing:
        return lookup
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(rows[0] + missing)
    writer.writerows(row + [""] * (len(rows[0]) - len(row) + len(missing)) for row in rows[1:])
    return written.getvalue().encode()


def _merge(files: Mapping[str, Path], shipped: Mapping[str, Path], folder: Path) -> Path:
    """Copy what differs and remove what is no longer there: dbt parses again only the files that changed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in files.items():
        copy = folder / name
        content = path.read_bytes()
        ours = shipped.get(name, path)
        if path.suffix == ".csv" and ours != path:
            content = _widened(content, ours.read_bytes())
        if not copy.is_file() or copy.read_bytes() != content:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(content)
    for copy in [*_files_of(folder)]:
        if str(copy.relative_to(folder)) not in files:
            copy.unlink()
    for empty in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        if not any(empty.iterdir()):
            shutil.rmtree(empty)
    return folder
