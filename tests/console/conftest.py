"""Fixtures of the tests on the command line."""

from tests.console.fix_console import migrated, stand_ins, traded, traded_template, unreachable  # noqa: F401
