"""Every exception of tieout, cut by what the caller does next.

    TieoutError
    ├── UsageError                 the command was called wrongly                              exit 2
    ├── ConfigurationError         a person must change a setting                              exit 3
    │   ├── CredentialsError       a person must log in again
    │   ├── RecoveryNeeded         the database is not the one that wrote last: `tieout recover`
    │   └── BuildError             a person must change a model or lookup
    ├── ConnectionRefused          the vendor refuses the whole connection: stop it once       exit 3
    ├── Rejected                   the vendor refuses this record: dead letter                 exit 3
    │   └── NotFound               … because it is not there
    ├── NotAsPlanned               a saved plan is not what would be sent now: nothing was     exit 3
    ├── SchemaDrift                the API's answer has another shape: stop this stream        exit 3
    ├── RetryLater                 the same again, later                                       exit 4
    │   ├── BudgetExhausted        … when the vendor's limit allows
    │   │   └── BudgetDenied       … by our own count: nobody was asked
    │   ├── DatabaseDown           … when the database is back
    │   ├── LockHeld               … another run is at it                                      exit 0
    │   └── NotSent                a write that surely had no effect: ready again, later
    ├── UnknownOutcome             a write that may have happened: ask, never just repeat      exit 4
    └── MigrationMismatch          code and database are of different versions                 exit 6

The docstring of a class is its message when none is given. `cure` says what to do, in one sentence. No
message carries a credential or a whole payload.
"""

from __future__ import annotations

import inspect
from enum import IntEnum
from typing import ClassVar

from tieout.hush import hush


class ExitCode(IntEnum):
    """What a command promises to the scheduler that called it."""

    DONE = 0
    """Done, nothing to do, or another run holds the lock."""
    BUG = 1
    """A mistake of tieout's own."""
    USAGE = 2
    """The command was called wrongly."""
    PERSON = 3
    """A person must act: settings, credentials, recovery."""
    LATER = 4
    """The vendor or the database is unavailable, or a limit is reached: try again later."""
    NEWLY_DEAD = 5
    """Done, but some records newly need a person."""
    MIGRATION = 6
    """The database is not at the migration that this version needs."""


class TieoutError(Exception):
    """Something went wrong."""

    exit_code: ClassVar[ExitCode] = ExitCode.BUG
    default_cure: ClassVar[str] = "Report this with the lines above it."

    def __init__(self, message: str = "", *, cure: str = "") -> None:
        super().__init__(hush(message or inspect.cleandoc(type(self).__doc__ or "").partition("\n")[0]))
        self.cure: str = cure or self.default_cure
        """What a person does about it, in one sentence."""


class UsageError(TieoutError):
    """The command was called with arguments that do not fit together."""

    exit_code = ExitCode.USAGE
    default_cure = "See the command's --help."


class ConfigurationError(TieoutError):
    """A setting is missing or wrong."""

    exit_code = ExitCode.PERSON
    default_cure = "Correct the settings file; `tieout check` says what else is wrong."


class CredentialsError(ConfigurationError):
    """The system does not accept our credentials."""

    default_cure = "Log in again with `tieout connect`."

    def __init__(self, message: str = "", *, cure: str = "", expired: bool = False) -> None:
        super().__init__(message, cure=cure)
        self.expired: bool = expired
        """The token is only too old: the client may renew it and ask once more."""


class RecoveryNeeded(ConfigurationError):
    """This database is not the one that wrote last: it was restored, promoted or copied."""

    default_cure = "Nothing is written until `tieout recover` has compared it with the targets."


class BuildError(ConfigurationError):
    """A model or lookup cannot be built."""

    default_cure = "Correct the model or lookup named above and run `tieout build` again."


class ConnectionRefused(TieoutError):
    """The system refuses the whole connection."""

    exit_code = ExitCode.PERSON
    default_cure = "Cure the cause in the vendor's own settings, then `tieout resume` the connection."


class Rejected(TieoutError):
    """The system refused this record."""

    exit_code = ExitCode.PERSON
    default_cure = (
        "Correct the record at its source, or edit the entry; it is sent again by itself after a change."
    )

    def __init__(
        self,
        message: str = "",
        *,
        cure: str = "",
        status: int = 0,
        messages: tuple[str, ...] = (),
        body: bytes = b"",
    ) -> None:
        super().__init__(message or "; ".join(messages), cure=cure)
        self.status: int = status
        """The HTTP status, 0 when there was none."""
        self.messages: tuple[str, ...] = tuple(hush(words) for words in messages)
        """The vendor's own words."""
        self.body: bytes = body
        """The answer as it came, for writers that read results element by element."""


class NotFound(Rejected):
    """The system has no such record."""


class NotAsPlanned(TieoutError):
    """What would be sent now is not what was planned; nothing was sent."""

    exit_code = ExitCode.PERSON
    default_cure = "Save a new plan with `tieout plan --save`, look at it, and drain that one."

    def __init__(self, message: str = "", *, cure: str = "", moved: tuple[str, ...] = ()) -> None:
        super().__init__(message, cure=cure)
        self.moved: tuple[str, ...] = moved
        """All entries that are not as planned, each with what moved."""


class SchemaDrift(TieoutError):
    """The system's answers no longer have the shape that we know."""

    exit_code = ExitCode.PERSON
    default_cure = "This stream stops, the others go on; update tieout or report the field that changed."


class RetryLater(TieoutError):
    """Not possible at the moment."""

    exit_code = ExitCode.LATER
    default_cure = "Run the same command again later; nothing is lost."

    def __init__(self, message: str = "", *, cure: str = "", seconds: float | None = None) -> None:
        super().__init__(message, cure=cure)
        self.seconds: float | None = seconds
        """How long to wait at least, if that is known."""


class BudgetExhausted(RetryLater):
    """The vendor's limit on requests is reached."""

    default_cure = "The next run continues where this one stopped, once the limit allows."


class BudgetDenied(BudgetExhausted):
    """Our own count says that a limit would be passed: nobody was asked."""

    def __init__(
        self, message: str = "", *, cure: str = "", seconds: float | None = None, limit: str = ""
    ) -> None:
        super().__init__(message, cure=cure, seconds=seconds)
        self.limit: str = limit
        """minute, day, bytes, minute of the app, concurrency, pace, turn or blocked."""


class DatabaseDown(RetryLater):
    """The database does not answer."""

    default_cure = "Check that the database of the settings runs and is reachable from here."


class LockHeld(RetryLater):
    """Another run is doing this at the moment."""

    exit_code = ExitCode.DONE
    default_cure = "Nothing to do: the other run finishes the work."


class NotSent(RetryLater):
    """A write was surely not carried out: it never left, or was refused before it was looked at."""


class UnknownOutcome(TieoutError):
    """A write may or may not have been carried out."""

    exit_code = ExitCode.LATER
    default_cure = "The next drain asks the target before anything else is sent."


class MigrationMismatch(TieoutError):
    """The database is not at the migration that this version of tieout needs."""

    exit_code = ExitCode.MIGRATION
    default_cure = "Run `tieout migrate`."
