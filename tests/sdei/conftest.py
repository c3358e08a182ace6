"""Guests to test with: one per profile."""

import pytest

from tests.sdei.vcpu import Guest


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


@pytest.fixture
def guest(rules: str) -> Guest:
    """A fresh vCPU under each profile."""
    return Guest(rules)
