"""A guest that moves between two processes of this computer."""

import subprocess
import sys
from typing import Final

from sdeiviz.errors import Error

_MIGRATE: Final = (sys.executable, "-m", "sdeiviz", "migrate")


def two_processes(*guest: str, after: str = "20ms") -> tuple[str, str]:
    """Move a guest over TCP, from one process to another.

    Parameters
    ----------
    guest
        What ``sdeiviz migrate`` is told of it, on both sides.
    after
        How long it runs before it moves.

    Returns
    -------
    tuple
        What it printed in both, and the destination's report, in wall time.

    Raises
    ------
    Error
        One of the two has failed.
    """
    with subprocess.Popen(
        [*_MIGRATE, "serve", *guest], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as there:
        assert there.stderr
        *_, address = there.stderr.readline().split() or [""]
        to = [*_MIGRATE, "to", address, *guest, "--after", after]
        here = subprocess.run(to, capture_output=True, text=True, check=False)
        if here.returncode:
            there.kill()
        console, report = there.communicate()
    if here.returncode or there.returncode:
        raise Error(f"the guest has not moved: {(here.stderr or report).strip()}")
    return here.stdout + console, report
