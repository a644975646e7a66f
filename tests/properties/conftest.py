"""The built database, for properties of the models."""

from tests.acceptance.conftest import built  # noqa: F401
