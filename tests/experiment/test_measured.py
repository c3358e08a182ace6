"""The committed results: every run that the parameters ask for, and no number that has gone stale.

Whoever changes the machine, or a parameter, finds out here that `assets/results` must be made anew.
"""

import pytest

from sdeiviz.experiment import Job, jobs, load_postcopy, measured, migrate, sweep_jobs
from sdeiviz.experiment.table import find, outputs

OURS = load_postcopy()
WORK = [job for case in OURS.migrations.values() for job in jobs(case, OURS)]
SWEPT = [job for name in OURS.sweeps for job in sweep_jobs(name, OURS)]
ROWS = measured()
AGAIN = {
    "told": jobs(OURS.migration("preempt_fast"), OURS, [3])[1],
    "waits": jobs(OURS.migration("m_alone"), OURS, [2])[0],
    "four": jobs(OURS.migration("four_to_one"), OURS, [1])[0],
    "bandwidth": sweep_jobs("bandwidth", OURS)[-1],
    "buffer": sweep_jobs("buffer", OURS)[-2],
}


def test_every_run_has_its_row_in_order():
    assert (len(WORK), len(SWEPT)) == (81, 84)
    inputs = [job.inputs() for job in WORK + SWEPT]
    assert [{name: row[name] for name in inputs[0]} for row in ROWS] == inputs


@pytest.mark.parametrize("job", AGAIN.values(), ids=AGAIN)
def test_a_run_made_again_has_the_same_digits(job: Job):
    kept = find(ROWS, job)
    assert kept
    now = outputs(migrate(job.case, job.mode, job.parameters, job.seed))
    for name, value in now.items():
        if name != "result.host_seconds":
            assert kept[name] == value, name


def test_memory_was_right_and_every_nanosecond_booked_in_all_of_them():
    for row in ROWS:
        assert row["result.errors"] == "0"
        spent = "run overhead blocked halted idle ready off".split()
        assert sum(int(row[f"result.{name}"]) for name in spent) == int(row["result.window"])


def test_a_sweep_crosses_its_case_where_nothing_is_varied():
    for name, parameter in (("delay", "link.delay"), ("work", "work.short"), ("faulting", "m")):
        unchanged = OURS.sweep(name).values.index(1 if parameter == "m" else OURS[parameter])
        swept = find(ROWS, sweep_jobs(name, OURS)[2 * unchanged + 1])
        case = find(ROWS, Job(OURS.migration("preempt"), "arm64-v4", OURS))
        assert swept
        assert case
        assert swept["result.computed"] == case["result.computed"]
