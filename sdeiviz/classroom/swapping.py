"""The guest of the third notebook: two threads, on a host that takes pages away."""

from typing import Any, Final

from sdeiviz.experiment import load
from sdeiviz.machine import Paging
from sdeiviz.machine.costs import Costs
from sdeiviz.machine.latency import Constant

THREADS: Final = {"m": 1, "c": 1, "pages": 64, "touch": 1, "work": 10_000, "time": 20}
"""Options of the guest ``kernel``: 64 pages, 30 us of computing after each touch, for 20 ms."""
RESIDENT: Final = 32
"""Pages: half of them."""
LATENCY: Final = 250_000
"""Nanoseconds: what a page of a migrating guest took where it was measured (QEMU, June 2025,
233 to 268 us)."""


def swapping(
    mode: str, *, latency: int = LATENCY, costs: Costs | None = None, **options: int | str
) -> dict[str, Any]:
    """Return what `Session` takes besides the name of the guest ``kernel``.

    Parameters
    ----------
    mode
        How a missing page is treated: one of `sdeiviz.apf.MODES`.
    latency
        How long a page takes, in nanoseconds.
    costs
        What the host's work costs; by default as in the experiments.
    options
        Of the guest, in place of those of `THREADS`.

    Examples
    --------
    >>> swapping("sync", c=0)["bootargs"]
    'm=1 c=0 pages=64 touch=1 work=10000 time=20'
    """
    chosen = THREADS | options
    paging = Paging(mode, Constant(latency), resident=RESIDENT, costs=costs or load().costs)
    return {
        "bootargs": " ".join(f"{name}={value}" for name, value in chosen.items()),
        "paging": paging,
    }
