"""The register of systems."""

from __future__ import annotations

import pytest

from tieout.errors import ConfigurationError
from tieout.systems import SYSTEMS, client_module, find_system


def test_names_are_unique_and_fit_module_and_table_names():
    names = [system.name for system in SYSTEMS]

    assert len(set(names)) == len(names)
    assert all(name.isidentifier() and name == name.lower() for name in names)


def test_every_system_names_its_vendors_page():
    assert all(system.vendor_page.startswith("https://") for system in SYSTEMS)


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_a_client_module_offers_what_is_called(system):
    module = client_module(system.name)

    assert hasattr(module, "Options")
    assert callable(module.open_client)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ConfigurationError) as caught:
        find_system("xerro")

    assert caught.value.cure == 'Write system = "xero".'


def test_a_name_like_no_other_is_answered_with_all():
    with pytest.raises(ConfigurationError) as caught:
        find_system("abacus")

    assert "magento, xero" in caught.value.cure
