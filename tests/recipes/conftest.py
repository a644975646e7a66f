"""The world that recipes run in is the one of the acceptance tests."""

from __future__ import annotations

from tests.acceptance.conftest import built, world

__all__ = ["built", "world"]
