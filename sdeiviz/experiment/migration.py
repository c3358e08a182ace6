"""One post-copy migration in one mode, to a result: what the guest did while its pages came.

The window is the same in every mode: from the guest's start on the destination until its last page
is there. C's work and M's pages are counted over that window, so that neither a longer migration
nor a slower M can pass for a gain.
"""

import time
from dataclasses import dataclass
from typing import Any

from sdeiviz.experiment.parameters import Migration, Parameters
from sdeiviz.experiment.runs import (
    NEVER,
    TURN,
    ExperimentError,
    Result,
    accounts_of,
    bootargs,
    check,
    faults_of,
    work_of,
)
from sdeiviz.machine import Paging, VirtualMachine
from sdeiviz.migration.link import LinkSpeed
from sdeiviz.migration.metrics import Latencies
from sdeiviz.migration.simulation import Setup, Simulation
from sdeiviz.trace import Record

_STEP = 10_000_000
"""Nanoseconds for which the guest runs at a time; it stops by itself where the window ends."""


@dataclass(frozen=True, slots=True)
class MigrationResult(Result):
    """What came of one migration. What a `Result` has is over the window; times are nanoseconds."""

    requests: int
    """Pages that were asked for, each counted once."""
    sent: tuple[int, ...]
    """Bytes that went to the destination from beginning to end, by channel."""
    precopy: int
    downtime: int
    """Between the guest's last instruction here and its first one there."""
    total: int
    """From the beginning of the migration until the last page is there."""
    blocktime: int
    """In which every vCPU waited for a page."""
    vcpu_blocktime: tuple[int, ...]
    vcpu_latencies: tuple[int, ...]
    """Mean, median and 99th percentile of faults that a vCPU waited for."""
    worker_latencies: tuple[int, ...]
    """The same of those that a worker waited for."""
    vcpu_histogram: tuple[int, ...]
    """How many took how long (`sdeiviz.migration.metrics.BUCKETS`)."""
    worker_histogram: tuple[int, ...]

    def more(self) -> dict[str, object]:
        """Return what only migrations have, by its name in a table."""
        values: dict[str, object] = {
            name: getattr(self, name)
            for name in ("requests", "precopy", "downtime", "total", "blocktime")
        }
        for name in ("sent", "vcpu_blocktime", "vcpu_histogram", "worker_histogram"):
            values[name] = " ".join(map(str, getattr(self, name)))
        for who in ("vcpu", "worker"):
            latencies = getattr(self, f"{who}_latencies")
            for what, value in zip(("mean", "p50", "p99"), latencies, strict=True):
                values[f"{who}_latency_{what}"] = value
        return values


class _Nothing:
    """A trace that keeps nothing."""

    def extend(self, record: Record, /) -> None:
        """Forget it."""


def machine(case: Migration, mode: str, parameters: Parameters) -> VirtualMachine:
    """Return a machine with the guest of a case, before its first instruction."""
    return VirtualMachine(
        "kernel",
        memory=parameters.whole(case.memory) << 20,
        vcpus=case.vcpus,
        bootargs=bootargs(case, parameters, work=round(parameters[case.work] / TURN)),
        paging=Paging(mode, costs=parameters.costs),
        trace=_Nothing(),
    )


def setup(case: Migration, parameters: Parameters) -> Setup:
    """Return how a case is migrated."""
    return Setup(
        LinkSpeed(
            parameters.whole(case.bandwidth),
            parameters.whole(case.delay),
            parameters.whole(case.buffer),
        ),
        passes=case.passes,
        urgent=case.urgent,
        jump=case.jump,
        service=parameters.whole("host.service"),
        place=parameters.costs.place,
    )


def simulation(case: Migration, mode: str, parameters: Parameters, seed: int = 1) -> Simulation:
    """Return a case at the moment at which its migration may start.

    The guest's threads have been past their first pass over the pages for some time.

    Raises
    ------
    ExperimentError
        They never get there.
    """
    source = machine(case, mode, parameters)
    step = parameters.whole("start.step")
    while not any(work_of(source, source.memory.page)[:3]):
        if source.time > NEVER:
            raise ExperimentError(f"case {case.name}: the guest does not begin to work")
        check(source, source.run_until(source.time + step))
    later = parameters.whole("start.settle") + (seed - 1) * parameters.whole("start.shift")
    check(source, source.run_until(source.time + later))
    return Simulation(source, machine(case, mode, parameters), setup(case, parameters))


def migrate(case: Migration, mode: str, parameters: Parameters, seed: int = 1) -> MigrationResult:
    """Run a case in one mode.

    Parameters
    ----------
    case
        What to migrate, and how.
    mode
        How a missing page is treated: one of `sdeiviz.apf.MODES`.
    parameters
        What all numbers are.
    seed
        At which moment the migration starts (``start.shift``): nothing is drawn.

    Raises
    ------
    Error
        The guest never begins to work, or stops, or its RAM is not what it was.
    """
    began = time.process_time()
    run = simulation(case, mode, parameters, seed)
    run.switch()
    vm = run.vm
    start, instructions = vm.time, vm.index
    work, accounts, faults = work_of(vm, run.content), accounts_of(vm), faults_of(vm)
    while not run.complete:
        run.run_until(run.time + _STEP)
    end, executed = vm.time, vm.index - instructions
    computed, touched, served, _ = work_of(vm, run.content) - work
    spent, counted = accounts_of(vm), faults_of(vm) - faults
    report: dict[str, Any] = run.report()
    run.finish()
    workers = run.faults.worker_latencies
    vcpus = Latencies([value for each in run.faults.latencies for value in each.values])
    everyone = Latencies(vcpus.values + workers.values)
    return MigrationResult(
        case.name,
        mode,
        seed,
        end - start,
        computed,
        touched,
        served,
        work_of(vm, run.content).errors,
        tuple(
            {name: now[name] - then[name] for name in now}
            for now, then in zip(spent, accounts, strict=True)
        ),
        counted,
        _summary(everyone),
        executed,
        time.process_time() - began,
        report["destination"]["requests"],
        tuple(report["bytes"]),
        report["times"]["precopy"],
        report["times"]["downtime"],
        report["times"]["total"],
        report["faults"]["blocktime"],
        tuple(report["faults"]["vcpu_blocktime"]),
        _summary(vcpus),
        _summary(workers),
        tuple(vcpus.report()["histogram"]),
        tuple(workers.report()["histogram"]),
    )


def _summary(latencies: Latencies) -> tuple[int, ...]:
    found = latencies.report()
    return tuple(found[name] or 0 for name in ("mean", "p50", "p99"))
