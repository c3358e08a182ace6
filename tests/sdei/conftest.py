"""Guests to test with: one per profile and per way a core may keep its registers."""

import pytest

from tests.sdei.vcpu import STORAGES, Guest


@pytest.fixture
def v7() -> Guest:
    """A fresh vCPU, the series with its hang and its lost events mended."""
    return Guest("kvm-v7")


@pytest.fixture
def literal() -> Guest:
    """A fresh vCPU, the series to the letter."""
    return Guest("kvm-v7-literal")


@pytest.fixture(params=["kvm-v7", "kvm-v7-literal"])
def rules(request: pytest.FixtureRequest) -> str:
    """Each profile: what both must do."""
    return request.param


@pytest.fixture(params=STORAGES)
def guest(rules: str, request: pytest.FixtureRequest) -> Guest:
    """A fresh vCPU under each profile, its registers a list and a memory view."""
    return Guest(rules, request.param)
