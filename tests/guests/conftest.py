"""What the tests of guests need: a compiler."""

import pytest

from sdeiviz.guests.toolchain import Toolchain, available


@pytest.fixture(scope="session")
def toolchain() -> Toolchain:
    """The first compiler for arm64 guests that this machine has."""
    found = available()
    if not found:
        pytest.skip("no compiler for arm64 (Debian: apt install gcc-aarch64-linux-gnu)")
    return found[0]
