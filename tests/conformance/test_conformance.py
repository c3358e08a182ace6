"""Every requirement's guest passes, and fails when the package is changed where it looks."""

import pytest

from sdeiviz.guests.toolchain import available
from sdeiviz.sdei import profile
from tests.conformance.guests import REQUIREMENTS, run, verdict
from tests.conformance.mutation import made

if not available():
    pytest.skip(
        "no compiler for arm64 (Debian: apt install gcc-aarch64-linux-gnu)",
        allow_module_level=True,
    )

BOTH_CLOCKS = ["critical_preempts"]

WITHOUT_MUTATION: dict[str, str] = {}


def mutated() -> list[str]:
    return [n for n, r in REQUIREMENTS.items() if not r.mutation.startswith("none:")]


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_it_passes(name: str) -> None:
    outcome = run(REQUIREMENTS[name], profile("den0054c"))
    assert outcome.console == "PASS\n"
    assert verdict(outcome) == "PASS"


@pytest.mark.parametrize("name", BOTH_CLOCKS)
def test_it_passes_by_the_python_clock_too(name: str) -> None:
    assert verdict(run(REQUIREMENTS[name], profile("den0054c"), clock="python")) == "PASS"


@pytest.mark.parametrize("name", mutated())
def test_it_notices_its_mutation(name: str) -> None:
    requirement = REQUIREMENTS[name]
    with made(requirement.mutation, profile("den0054c")) as changed:
        outcome = run(requirement, changed)
    assert outcome.console.startswith("FAIL: ")
    assert verdict(outcome) == "FAIL"
