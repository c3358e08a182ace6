"""The numbers of migrations, side by side."""

from collections.abc import Callable
from typing import Any, Final

from sdeiviz.views import markup, tables, words
from sdeiviz.views.migration import Run, Runs

TITLE: Final = "Migration"
NONE: Final = "-"


def _time(nanoseconds: int | None) -> str:
    return NONE if nanoseconds is None else words.duration(nanoseconds)


def _counted(side: str, name: str) -> Callable[[dict[str, Any]], str]:
    """Say what a side has counted, and nothing where it was not watched."""

    def count(report: dict[str, Any]) -> str:
        return f"{report[side][name]:,}" if report[side] else NONE

    return count


def _fault(say: Callable[[dict[str, Any]], str]) -> Callable[[dict[str, Any]], str]:
    """Say something of faults: only the destination sees them."""

    def seen(report: dict[str, Any]) -> str:
        return say(report["faults"]) if report["destination"] else NONE

    return seen


def _percentile(name: str) -> Callable[[dict[str, Any]], str]:
    return _fault(lambda faults: _time(faults["latency"][name]))


_ROWS: Final[dict[str, Callable[[dict[str, Any]], str]]] = {
    "pre-copy": lambda r: _time(r["times"]["precopy"]),
    "downtime": lambda r: _time(r["times"]["downtime"]),
    "post-copy": lambda r: _time(r["times"]["postcopy"]),
    "total": lambda r: _time(r["times"]["total"]),
    "blocktime": _fault(lambda f: _time(f["blocktime"])),
    "blocktime of each vCPU": _fault(lambda f: ", ".join(map(_time, f["vcpu_blocktime"]))),
    "pages asked for": _counted("destination", "requests"),
    "of them sent already": _counted("source", "skipped"),
    "pages sent with content": _counted("source", "normal"),
    "pages sent as zeros": _counted("source", "zero"),
    "bytes to the destination": lambda r: f"{sum(r['bytes']):,}",
    "of them urgent": lambda r: f"{sum(r['bytes'][1:]):,}",
    "faults of vCPUs": _fault(lambda f: f"{sum(v['count'] for v in f['vcpu_latency']):,}"),
    "faults of workers": _fault(lambda f: f"{f['worker_latency']['count']:,}"),
    "latency, mean": _percentile("mean"),
    "latency, p50": _percentile("p50"),
    "latency, p99": _percentile("p99"),
    "latency, longest": _percentile("longest"),
}
"""Each in the terms of QEMU's ``info migrate`` where it has one; latency is of all faults."""


def rows(runs: Runs) -> list[tuple[str, ...]]:
    """Return a row for each number, with a cell for each run."""
    told = [(name, *(say(dict(r.report)) for _, r in runs)) for name, say in _ROWS.items()]
    if any(record.clock != "virtual" for _, record in runs):
        told.append(("clock", *(record.clock for _, record in runs)))
    if any(record.side for _, record in runs):
        told.append(("seen from", *(record.side or "both sides" for _, record in runs)))
    forgotten = [sum(record.left_out.values()) for _, record in runs]
    if any(forgotten):
        told.append(("not recorded", *(words.count(n, "thing") for n in forgotten)))
    return told


def _columns(runs: Runs) -> tuple[str, ...]:
    return ("", *(words.printable(name) or "this run" for name, _ in runs))


def text(*runs: Run) -> str:
    """Return the table as text."""
    return tables.text(_columns(runs), rows(runs))


def html(*runs: Run) -> str:
    """Return the table."""
    return markup.table(TITLE, ("number", *_columns(runs)[1:]), rows(runs))
