"""What async page fault buys: the same guest in the same virtual time, with and without it.

Read in this order: `parameters` (the file that was fixed before the first run), `runs` (one case in
one mode, to a result), `table` (cases, ablations and sweeps to rows of CSV), `comparison` (beside
what others measured).
"""

from sdeiviz.experiment.comparison import Comparison, claim, compare, report, swept
from sdeiviz.experiment.migration import MigrationResult, migrate
from sdeiviz.experiment.parameters import (
    Case,
    Migration,
    Parameter,
    ParameterError,
    Parameters,
    Published,
    Sweep,
    load,
    load_postcopy,
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
from sdeiviz.experiment.table import Job, Table, complete, jobs, measured, sweep_jobs

__all__ = [
    "Case",
    "Comparison",
    "ExperimentError",
    "FaultTimes",
    "Faults",
    "Job",
    "Migration",
    "MigrationResult",
    "Parameter",
    "ParameterError",
    "Parameters",
    "Published",
    "Result",
    "Sweep",
    "Table",
    "Work",
    "bound",
    "claim",
    "compare",
    "complete",
    "gain",
    "jobs",
    "load",
    "load_postcopy",
    "measure",
    "measured",
    "migrate",
    "report",
    "run",
    "sweep_jobs",
    "swept",
]
