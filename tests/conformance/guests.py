"""Builds the guests once and runs them."""

import atexit
import functools
import re
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from sdeiviz import VirtualMachine
from sdeiviz.guests.toolchain import find
from sdeiviz.sdei import Profile
from tests.conformance.build import Requirement, build, requirements

REQUIREMENTS = requirements()
BUDGET = 20_000_000
"""Instructions: no guest waits that long for anything."""
MEMORY = 1 << 20

_DIRECTORY = tempfile.TemporaryDirectory(prefix="sdeiviz-conformance-")
atexit.register(_DIRECTORY.cleanup)


class Outcome(NamedTuple):
    """How a guest ended."""

    last_line: str
    console: str
    stop: str


@functools.cache
def elf(name: str) -> Path:
    """Return a guest's program, built now if it was not before."""
    output = Path(_DIRECTORY.name) / f"{name}.elf"
    build(name, output, find())
    return output


def run(requirement: Requirement, profile: Profile, **options: Any) -> Outcome:
    """Run a guest with the vCPUs it wants; `options` are the machine's."""
    vm = VirtualMachine(
        elf(requirement.name),
        profile=profile,
        vcpus=requirement.vcpus,
        memory=MEMORY,
        **options,
    )
    stop = vm.run(BUDGET)
    lines = vm.console.splitlines() or [""]
    return Outcome(lines[-1], vm.console, str(stop.reason))


def verdict(outcome: Outcome) -> str:
    """PASS, FAIL, or "" where the guest did not come to an end of its own."""
    if outcome.stop != "power-off" or not re.fullmatch("PASS|FAIL", outcome.last_line):
        return ""
    return outcome.last_line
