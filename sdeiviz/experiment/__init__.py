"""What async page fault buys: the same guest in the same virtual time, with and without it.

Read in this order: `parameters` (the file that was fixed before the first run), `run` (one case in
one mode, to a result), `table` (cases, ablations and sweeps to rows of CSV).
"""

from sdeiviz.experiment.parameters import (
    Case,
    Parameter,
    ParameterError,
    Parameters,
    Published,
    Sweep,
    load,
)

__all__ = [
    "Case",
    "Parameter",
    "ParameterError",
    "Parameters",
    "Published",
    "Sweep",
    "load",
]
