"""Make every run of postcopy.toml that postcopy.csv does not have yet (``make results``).

Three seeds of each case, then one of each value of each sweep. Stopped and started again, it goes
on. A row is never made a second time: whoever changes the machine deletes the file first.
"""

import sys
from pathlib import Path

from sdeiviz.errors import Error
from sdeiviz.experiment import Table, complete, jobs, load_postcopy, migrate, sweep_jobs

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Make them, on every core, with a line for each."""
    try:
        parameters = load_postcopy()
        work = [job for case in parameters.migrations.values() for job in jobs(case, parameters)]
        work += [job for name in parameters.sweeps for job in sweep_jobs(name, parameters)]
        for row in complete(work, Table(HERE / "postcopy.csv"), runner=migrate, cores=True):
            print(*(row[name] for name in ("case.name", "mode", "seed", "varied", "result.rate")))
    except Error as error:
        print(error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
