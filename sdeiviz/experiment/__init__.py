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
from sdeiviz.experiment.run import (
    ExperimentError,
    Faults,
    FaultTimes,
    Result,
    Work,
    bound,
    gain,
    measure,
    run,
)
from sdeiviz.experiment.table import Job, Table, complete, jobs, sweep_jobs

__all__ = [
    "Case",
    "ExperimentError",
    "FaultTimes",
    "Faults",
    "Job",
    "Parameter",
    "ParameterError",
    "Parameters",
    "Published",
    "Result",
    "Sweep",
    "Table",
    "Work",
    "bound",
    "complete",
    "gain",
    "jobs",
    "load",
    "measure",
    "run",
    "sweep_jobs",
]
