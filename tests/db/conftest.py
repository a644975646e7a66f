"""Fixtures of the tests on a database, grouped by subject in `fix_*.py`."""

from tests.db.fix_build import built, built_template  # noqa: F401
