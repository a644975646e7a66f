"""The exception tree: every class promises an exit code, says what happened and what to do."""

from __future__ import annotations

import inspect
import re

import pytest

from tieout import errors
from tieout.errors import ExitCode, TieoutError

CLASSES = [
    value for _, value in inspect.getmembers(errors, inspect.isclass) if issubclass(value, TieoutError)
]
PROMISED = {
    "TieoutError": 1,
    "UsageError": 2,
    "ConfigurationError": 3,
    "CredentialsError": 3,
    "RecoveryNeeded": 3,
    "BuildError": 3,
    "ConnectionRefused": 3,
    "Rejected": 3,
    "NotFound": 3,
    "NotAsPlanned": 3,
    "SchemaDrift": 3,
    "RetryLater": 4,
    "BudgetExhausted": 4,
    "BudgetDenied": 4,
    "DatabaseDown": 4,
    "LockHeld": 0,
    "NotSent": 4,
    "UnknownOutcome": 4,
    "MigrationMismatch": 6,
}


def test_exit_codes_are_the_seven_that_schedulers_were_promised():
    assert {code.name: code.value for code in ExitCode} == {
        "DONE": 0,
        "BUG": 1,
        "USAGE": 2,
        "PERSON": 3,
        "LATER": 4,
        "NEWLY_DEAD": 5,
        "MIGRATION": 6,
    }


def test_every_error_has_a_promised_exit_code():
    assert {error.__name__: int(error.exit_code) for error in CLASSES} == PROMISED


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_an_error_without_words_speaks_by_its_docstring_and_has_a_cure(error):
    raised = error()

    assert str(raised).endswith(".")
    assert re.match(r"[A-Z`].*[.]$", raised.cure, re.DOTALL)


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_words_and_cure_of_the_raiser_come_first(error):
    raised = error("It broke.", cure="Mend it.")

    assert (str(raised), raised.cure) == ("It broke.", "Mend it.")


def test_the_tree_in_the_docstring_names_every_class():
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or "")) | {"TieoutError"}

    assert drawn == {error.__name__ for error in CLASSES}
