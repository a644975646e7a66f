"""Fixtures for the stand-ins' own tests."""

from __future__ import annotations

import pytest

from tests.sandbox.fix_xero import Books


@pytest.fixture
def books() -> Books:
    """A fresh Xero stand-in, logged in, without limits."""
    return Books()
