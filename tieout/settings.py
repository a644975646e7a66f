"""Settings: one TOML file for what is decided, environment variables for what is secret. Nothing else reads
either.

    environment = "dev"                 # dev, test or prod
    data_dir = "…"                      # default: the user's data folder
    [database]
    url = ""                            # empty: the embedded Postgres in data_dir
    [models]
    project_dir = ""                    # empty: the dbt project shipped with tieout; a folder of yours overlays it
    lookups_dir = ""                    # empty: models/lookups; a folder of yours overlays it by file name
    [limits]                            # what one diff of one model makes beyond this is held for approval
    creates = 500                       # entries; updates and removals likewise
    updates = 200
    removals = 20
    updates_share = 0.5                 # of the records that the model has in the target; 1: no limit (creates)
    removals_share = 0.1
    vanished_share = 0.1                # so many rows gone at once: the input shrank
    share_from = 20                     # fewer entries than this are no share
    amounts_share = 1                   # of the money that the model has in the target
    [limits.amounts]                    # money of one diff, by currency: a currency that is not named is held
    EUR = 50000
    [limits.largest]                    # the same of one document
    EUR = 10000
    [limits.models.out_xero__items]     # other limits for one model
    updates = 5000
    [alerts]
    urls = []                           # where alerts go: TIEOUT_ALERTS__URLS, separated by blanks, since they hold secrets
    [load]
    streams_at_once = 4                 # of one connection; never more than its vendor's limit on calls at once, less one
    connections_at_once = 4
    [drain]
    calls_at_once = 4                   # writes to one connection, where many are ready; never more than its limit, less one
    [retention]                         # `tieout retain` archives whole months to files; 0: they stay for ever
    history_months = 24                 # entries_months, runs_months, audit_months; folder: `archive` in data_dir
    [connections.books]
    system = "xero"
    writes = "off"
    …                                   # the options of that system

`TIEOUT_CONNECTIONS__BOOKS__CLIENT_SECRET` sets one option of a connection, `TIEOUT_DATABASE__URL` the
database; the environment wins over the file. Names do not depend on case. With `_FILE` at its end a variable
names a file that holds the value: what systemd's credentials and Kubernetes' mounted secrets are.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from tieout.errors import ConfigurationError
from tieout.limits import Limits, LimitsSection
from tieout.retention import Retention, RetentionSection
from tieout.sections import Alerts, AlertsSection, Draining, DrainSection, Loading, LoadSection, Section
from tieout.systems import find_system

DEFAULT_FILE = "tieout.toml"
_PREFIX = "TIEOUT_"
_IN_FILE = "_FILE"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One account at one system, as the settings describe it."""

    name: str
    system: str
    writes: Literal["off", "on"] = "off"
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """The system's own options as written; its client's `Options` model validates them and hides the secrets.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that a person decides. `load` reads it; tests and the demo construct it."""

    environment: Literal["dev", "test", "prod"] = "dev"
    data_dir: Path
    database_url: str | None = field(default=None, repr=False)
    """None: the embedded Postgres in `data_dir`."""
    database_direct_url: str | None = field(default=None, repr=False)
    """Past a pooler, for locks that belong to a session; None: the same as `database_url`."""
    limits: Limits = field(default_factory=Limits)
    alerts: Alerts = field(default_factory=Alerts)
    loading: Loading = field(default_factory=Loading)
    draining: Draining = field(default_factory=Draining)
    retention: Retention = field(default_factory=Retention)
    project_dir: Path
    lookups_dir: Path
    connections: dict[str, Connection] = field(default_factory=dict)
    vault_key: str | None = field(default=None, repr=False)
    """TIEOUT_VAULT_KEY; None: the file `vault.key` in `data_dir`."""
    vault_old_key: str | None = field(default=None, repr=False)
    """TIEOUT_VAULT_OLD_KEY: the key before it, as long as secrets may still be encrypted with that."""
    source: Path | None = None
    """The file that was read."""

    @staticmethod
    def load(path: Path | None = None, *, environment: bool = True) -> Settings:
        """Read a file (`path`, else TIEOUT_SETTINGS, else ./tieout.toml where present) and the environment.

        `environment=False`: the file alone, as the demo wants it, whose database must never be the user's own.
        Relative folders in the file are relative to the file. Raises ConfigurationError naming line, field
        and cure.
        """
        named = path or (Path(os.environ["TIEOUT_SETTINGS"]) if os.environ.get("TIEOUT_SETTINGS") else None)
        file = named or Path(DEFAULT_FILE)
        text = _read(file, required=named is not None)
        content = _parse(text or "", file)
        try:
            parsed = (_File if environment else _FileAlone).from_sources(content)
        except ValidationError as error:
            raise _explain(error, text, file) from error
        return _settings(parsed, file if text is not None else None)

    def connection(self, name: str) -> Connection:
        """The connection of that name, or the only one of a system of that name; ConfigurationError otherwise."""
        of_system = [each for each in self.connections.values() if each.system == name.lower()]
        found = self.connections.get(name.lower()) or (of_system[0] if len(of_system) == 1 else None)
        if found is None:
            known = ", ".join(sorted(self.connections)) or "none"
            raise ConfigurationError(
                f"The settings have no connection {name!r} (they have: {known}).",
                cure=f"Add a section [connections.{name}] or use one of the names above.",
            )
        return found


def package_root() -> Path:
    """The folder that holds `sql/`, `models/` and `dbt_project.yml`: the clone, or what the wheel carries."""
    above = Path(__file__).resolve().parent.parent
    return above if (above / "sql").is_dir() else above / "tieout_shipped"


class _Database(Section):
    url: str = ""
    direct_url: str = ""


class _Models(Section):
    project_dir: str = ""
    lookups_dir: str = ""


class _Connection(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)

    system: str
    writes: Literal["off", "on"] = "off"

    @field_validator("system")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            return find_system(name).name
        except ConfigurationError as error:
            raise ValueError(f"{error} {error.cure}") from error


class _File(BaseSettings):
    """The shape of the file, before defaults that depend on the machine."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    environment: Literal["dev", "test", "prod"] = "dev"
    data_dir: str = ""
    database: _Database = _Database()
    models: _Models = _Models()
    limits: LimitsSection = LimitsSection()
    alerts: AlertsSection = AlertsSection()
    load: LoadSection = LoadSection()
    drain: DrainSection = DrainSection()
    retention: RetentionSection = RetentionSection()
    connections: dict[str, _Connection] = {}

    @classmethod
    def from_sources(cls, content: dict[str, Any]) -> _File:
        return cls(**content)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (it decodes "0123" to a number)
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (_Environment(settings_cls), init_settings)

    @field_validator("connections")
    @classmethod
    def _names(cls, connections: dict[str, _Connection]) -> dict[str, _Connection]:
        for name in connections:
            if not _NAME.fullmatch(name):
                raise ValueError(f"the name {name!r} must be lower-case letters, digits and _, at most 40")
        return connections


class _FileAlone(_File):
    """The same, whatever the environment says."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


class _Environment(PydanticBaseSettingsSource):
    """TIEOUT_ENVIRONMENT, TIEOUT_DATA_DIR and TIEOUT_<SECTION>__<FIELD>; every value stays text."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        given = _given()
        for variable in sorted({name.removesuffix(_IN_FILE) for name in given}):
            path = variable.removeprefix(_PREFIX).lower().split("__")
            if not _is_setting(path) or (value := _from_environment(variable)) is None:
                continue
            node = found
            for part in path[:-1]:
                node = node.setdefault(part, {})
            node[path[-1]] = value
        return found


def _given() -> dict[str, str]:
    """Our variables, in capitals: on some systems their names do not depend on case."""
    return {name.upper(): value for name, value in os.environ.items() if name.upper().startswith(_PREFIX)}


def _from_environment(variable: str) -> str | None:
    """The value of a variable, or what is in the file that the one with `_FILE` at its end names; None: neither is set."""
    given = _given()
    value, file = given.get(variable), given.get(variable + _IN_FILE)
    if not file:
        return value
    if value:
        raise ConfigurationError(
            f"{variable} and {variable}{_IN_FILE} are both set.",
            cure="Unset one: which is meant is not clear.",
        )
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        unread = f"The file that {variable}{_IN_FILE} names cannot be read: {error}."
        raise ConfigurationError(unread, cure="It is UTF-8 text that this user may read.") from error


def _is_setting(path: list[str]) -> bool:
    # Single underscores name options of commands (TIEOUT_DRAIN_LIMIT): those are not ours.
    return len(path) > 1 or path[0] in ("environment", "data_dir")


def _read(file: Path, *, required: bool) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        if not required:
            return None
        raise ConfigurationError(
            f"There is no settings file {file}.", cure="Write one with `tieout init`, or correct --settings."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The settings file {file} cannot be read: {error}.",
            cure="It must be UTF-8 text that this user may read.",
        ) from error


def _parse(text: str, file: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        # "at end of document" has no line number: the last line is the one that was not finished.
        number = int(line.group(1)) if line else max(1, len(text.splitlines()))
        lines = text.splitlines() or [""]
        shown = lines[min(number, len(lines)) - 1].split("=")[0].strip()
        raise ConfigurationError(
            f"{file} line {number}: not valid TOML near {shown!r} ({error}).",
            cure=f'Finish line {number}: text stands in double quotes, as in name = "value".',
        ) from error
    connections = content.get("connections")
    if isinstance(connections, dict):
        content["connections"] = {str(name).lower(): options for name, options in connections.items()}
    return content


def _explain(error: ValidationError, text: str | None, file: Path) -> ConfigurationError:
    """The first thing that is wrong, with its line; all of them are named."""
    sentences = []
    for problem in error.errors(include_url=False, include_input=False):
        path = [str(part) for part in problem["loc"]]
        name = ".".join(path)
        line = _line_of(text or "", path)
        where = f"{file} line {line}: " if line else ""
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "missing":
            sentences.append(f"{where}{name} is missing")
        elif problem["type"] == "extra_forbidden":
            sentences.append(f"{where}there is no setting {name}")
        else:
            sentences.append(f"{where}{name}: {message}")
    first = ".".join(str(part) for part in error.errors()[0]["loc"])
    return ConfigurationError(
        "; ".join(sentences) + ".",
        cure=f"Correct {first} in the file, or in the environment variable "
        f"{_PREFIX}{first.upper().replace('.', '__')}; `tieout init` writes a commented example.",
    )


def _line_of(text: str, path: list[str]) -> int | None:
    """The line that sets a field, else the line of its section; None when neither stands in the text."""
    section, best = "", None
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line)
        if header:
            section = header.group(1).replace(" ", "").replace('"', "").lower()
            if section and ".".join(path).startswith(section):
                best = number
            continue
        key = re.match(r"\s*\"?([A-Za-z0-9_.-]+)\"?\s*=", line)
        if key and ".".join(part for part in (section, key.group(1).lower()) if part) == ".".join(path):
            return number
    return best


def _settings(parsed: _File, source: Path | None) -> Settings:
    base = source.resolve().parent if source else Path.cwd()
    root = package_root()
    project = base / Path(parsed.models.project_dir).expanduser() if parsed.models.project_dir else root
    lookups = parsed.models.lookups_dir
    return Settings(
        environment=parsed.environment,
        data_dir=base / Path(parsed.data_dir).expanduser() if parsed.data_dir else _default_data_dir(),
        database_url=parsed.database.url or None,
        database_direct_url=parsed.database.direct_url or None,
        limits=parsed.limits.value(),
        alerts=Alerts(**parsed.alerts.model_dump()),
        loading=Loading(**parsed.load.model_dump()),
        draining=Draining(**parsed.drain.model_dump()),
        retention=parsed.retention.value(base),
        project_dir=project,
        lookups_dir=base / Path(lookups).expanduser() if lookups else project / "models" / "lookups",
        connections={
            name: Connection(
                name=name,
                system=options.system,
                writes=options.writes,
                options=MappingProxyType(dict(options.model_extra or {})),
            )
            for name, options in parsed.connections.items()
        },
        vault_key=_from_environment("TIEOUT_VAULT_KEY") or None,
        vault_old_key=_from_environment("TIEOUT_VAULT_OLD_KEY") or None,
        source=source.resolve() if source else None,
    )


def _default_data_dir() -> Path:
    return Path(platformdirs.user_data_dir("tieout", appauthor=False))
