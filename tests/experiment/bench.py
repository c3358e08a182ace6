"""A machine that is nothing but arithmetic: M faults, C computes, each nanosecond is somebody's."""

from collections import Counter
from dataclasses import dataclass, field

from sdeiviz.experiment import Case, Faults, FaultTimes, Parameters, Result, Work, measure
from sdeiviz.trace import AT

NAMES = "run overhead blocked halted idle ready off".split()


@dataclass
class FakeBench:
    """Threads begin at `begin`; then C computes `share` of the time, a unit a microsecond, and a
    page a millisecond comes 700 us after its fault."""

    trace: FaultTimes
    share: float = 0.5
    begin: int = 12_000_000
    late: int = 0
    stops_at: int = 1 << 62
    errors: int = 0
    decision: tuple[str, str] = ("wait", "mode")
    time: int = 0
    spent: Counter[str] = field(default_factory=Counter)

    @property
    def instructions(self) -> int:
        return self.spent["run"]

    @property
    def _working(self) -> int:
        return max(self.time - self.begin, 0)

    def run_until(self, time: int) -> None:
        time = min(time + self.late, self.stops_at)
        for fault in range(-(-self.time // 1_000_000), -(-time // 1_000_000)):
            at = fault * 1_000_000
            self.trace.extend((AT, at, at, "PageFault", 0, fault, None, *self.decision))
            self.trace.extend((AT, at, at + 700_000, "FetchDone", 0, fault))
        passed = time - self.time
        self.spent["run"] += int(passed * self.share)
        self.spent["blocked"] += passed - int(passed * self.share)
        self.time = time

    def work(self) -> Work:
        pages = self._working // 1_000_000
        return Work(int(self._working * self.share) // 1000, pages, 0, self.errors)

    def accounts(self) -> list[dict[str, int]]:
        return [{name: self.spent[name] for name in NAMES}]

    def faults(self) -> Faults:
        return Counter({self.decision: self.time // 1_000_000})


def fake_run(case: Case, mode: str, parameters: Parameters, seed: int, **how: object) -> Result:
    """Run the fake as `sdeiviz.experiment.run` runs the real one."""
    times = FaultTimes()
    tells = mode == "arm64-v4"
    usual = {
        "share": 0.75 if tells else 0.5,
        "decision": ("notified", "") if tells else ("wait", "mode"),
    }
    bench = FakeBench(times, **usual | how)
    return measure(bench, times, case, mode, parameters, seed)
