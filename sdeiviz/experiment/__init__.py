"""What async page fault buys: the same guest in the same virtual time, with and without it.

Read in this order: `parameters` (the file that was fixed before the first run), `runs` (one case in
one mode, to a result), `table` (cases, ablations and sweeps to rows of CSV), `comparison` (beside
what others measured).
"""

from sdeiviz.experiment.comparison import Comparison, compare, report
from sdeiviz.experiment.parameters import (
    Case,
    Parameter,
    ParameterError,
    Parameters,
    Published,
    Sweep,
    load,
)
from sdeiviz.experiment.runs import (
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
    "Comparison",
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
    "compare",
    "complete",
    "gain",
    "jobs",
    "load",
    "measure",
    "report",
    "run",
    "sweep_jobs",
]
