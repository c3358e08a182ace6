"""What the modes of a case gain over its first one, beside what others measured."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from sdeiviz.experiment.parameters import Case, Migration, Parameters, Published
from sdeiviz.experiment.runs import ExperimentError
from sdeiviz.experiment.table import Row, find, sweep_jobs

CLAIM: Final = "forum_2021"
"""The published result that post-copy is compared with."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One mode of a case against its first, as the mean over seeds; ratios minus 1."""

    case: str
    mode: str
    gain: float | None
    """Of C's rate, or that of the servers where there are any; None where neither runs."""
    lowest: float | None
    highest: float | None
    """Of the seeds."""
    time: float | None
    """Of M for a page; None where M touched none."""
    pages: float | None
    """Of the pages that M touched in a time; None where it touched none."""
    fewest: float | None
    most: float | None
    """The same, of the seeds."""
    told: float
    """Share of faults of which the guest was told; a retry is the same fault once more."""


def compare(case: Case | Migration, rows: Iterable[Row]) -> list[Comparison]:
    """Compare the modes of a case with its first.

    Parameters
    ----------
    case
        The case.
    rows
        Of a table; those of other cases and of sweeps are left out.

    Raises
    ------
    ExperimentError
        A mode has no row for a seed that another has.
    """
    found = {
        (row["mode"], row["seed"]): row
        for row in rows
        if row["case.name"] == case.name and not row["varied"]
    }
    seeds = sorted({seed for _, seed in found})
    if not seeds:
        raise ExperimentError(f"case {case.name}: no rows")
    for mode in case.modes:
        if missing := [seed for seed in seeds if (mode, seed) not in found]:
            raise ExperimentError(f"case {case.name}: no row of {mode} with seed {missing[0]}")
    base = case.modes[0]
    return [
        _comparison(case, mode, [(found[mode, s], found[base, s]) for s in seeds])
        for mode in case.modes[1:]
    ]


def swept(name: str, parameters: Parameters, rows: Iterable[Row]) -> list[tuple[float, Comparison]]:
    """Compare the modes of a sweep with its first; returns each value with each other mode.

    Parameters
    ----------
    name
        Of the sweep.
    parameters
        What it was run with.
    rows
        Of a table; the sweep's own are looked up.

    Raises
    ------
    ExperimentError
        A run of the sweep has no row.
    """
    rows, sweep = list(rows), parameters.sweep(name)
    work = iter(sweep_jobs(name, parameters))
    found: list[tuple[float, Comparison]] = []
    for value in sweep.values:
        made: list[Row] = []
        for mode in sweep.modes:
            job = next(work)
            row = find(rows, job)
            if row is None:
                raise ExperimentError(f"sweep {name}: no row of {mode} at {value:g}")
            made.append(row)
            if len(made) > 1:
                found.append((value, _comparison(job.case, mode, [(row, made[0])])))
    return found


def _comparison(case: Case | Migration, mode: str, pairs: Sequence[tuple[Row, Row]]) -> Comparison:
    what = "result.computed" if case.c else "result.served"
    gains = [_ratio(new, old, what) for new, old in pairs]
    known = [gain - 1 for gain in gains if gain is not None]
    pages = [ratio for new, old in pairs if (ratio := _ratio(new, old, "result.touched"))]
    told = [
        int(new["result.notified"]) / (int(new["result.faults"]) - int(new["result.retry"]) or 1)
        for new, _ in pairs
    ]
    return Comparison(
        case.name,
        mode,
        fmean(known) if known else None,
        min(known, default=None),
        max(known, default=None),
        fmean(1 / ratio for ratio in pages) - 1 if pages else None,
        fmean(pages) - 1 if pages else None,
        min(pages) - 1 if pages else None,
        max(pages) - 1 if pages else None,
        fmean(told),
    )


def _ratio(new: Row, old: Row, what: str) -> float | None:
    """Return the ratio of two rates, each over its own window; None for nothing to compare."""
    before = float(old[what]) / float(old["result.window"])
    return float(new[what]) / float(new["result.window"]) / before if before else None


def report(parameters: Parameters, rows: Sequence[Row]) -> str:
    """Return a table of all cases that have rows, each above what was published of its like."""
    lines = [
        f"{'case':<20} {'mode':<10} {'C gains':>8}  {'of seeds':<18} {'M a page':>9}"
        f" {'told':>5}  expected of arm64-v4"
    ]
    present = {row["case.name"] for row in rows if not row["varied"]}
    for case in parameters.cases.values():
        if case.name not in present:
            continue
        expected = f"{case.expect[0]:+.1%} .. {case.expect[1]:+.1%}"
        for line in compare(case, rows):
            lines.append(
                f"{case.name:<20} {line.mode:<10} {_percent(line.gain):>8}  {_spread(line):<18}"
                f" {_percent(line.time):>9} {line.told:>5.0%}  "
                f"{expected if line.mode == 'arm64-v4' else ''}".rstrip()
            )
        lines += (_published(parameters.published[name]) for name in case.compare)
    return "\n".join(lines)


def claim(parameters: Parameters, rows: Sequence[Row]) -> str:
    """Return a table of all migrations that have rows, and where each falls beside the claim.

    Means over seeds, in a case's first mode and in the compared one: from a fault until its page
    is there, and the share of the window in which all vCPUs waited. A gain of ``arm64-v4`` that
    lies outside of the claim has its reason below it.
    """
    claimed = parameters.published[CLAIM]
    lines = [
        f"{'post-copy':<15} {'mode':<10} {'C gains':>8}  {'of seeds':<20} {'M pages':>8}"
        f" {'told':>5} {'fault, us':>14} {'blocked':>11}  {'claim':<6} expected of arm64-v4"
    ]
    present = {row["case.name"] for row in rows if not row["varied"]}
    for case in parameters.migrations.values():
        if case.name not in present:
            continue
        own = [row for row in rows if row["case.name"] == case.name and not row["varied"]]
        expected = f"{case.expect[0]:+.1%} .. {case.expect[1]:+.1%}"
        for line in compare(case, rows):
            ours = line.mode == "arm64-v4"
            modes = [[r for r in own if r["mode"] == mode] for mode in (case.modes[0], line.mode)]
            latency = [fmean(int(r["result.latency_mean"]) for r in of) / 1e3 for of in modes]
            blocked = [
                fmean(int(r["result.blocktime"]) / int(r["result.window"]) for r in of)
                for of in modes
            ]
            lines.append(
                f"{case.name:<15} {line.mode:<10} {_percent(line.gain):>8}  {_spread(line):<20}"
                f" {_percent(line.pages):>8} {line.told:>5.0%}"
                f" {latency[0]:>6.0f} {latency[1]:>7.0f} {blocked[0]:>5.0%} {blocked[1]:>5.1%}"
                f"  {_beside(line.gain, claimed):<6} {expected if ours else ''}".rstrip()
            )
            if ours and case.outside and _beside(line.gain, claimed) != "within":
                lines.append(f"    {case.outside}")
        lines += (_published(parameters.published[name]) for name in case.compare if name != CLAIM)
    lines.append(f"claim: {_published(claimed).strip()}")
    return "\n".join(lines)


def _beside(gain: float | None, published: Published) -> str:
    """Return where a gain lies beside a published one: below, within or above; "" for no gain."""
    if gain is None:
        return ""
    if gain < published.low:
        return "below"
    return "above" if gain > published.high else "within"


def _spread(line: Comparison) -> str:
    if line.lowest is None or line.lowest == line.highest:
        return ""
    return f"{line.lowest:+.1%} .. {line.highest:+.1%}"


def _published(result: Published) -> str:
    return f"    published {result!s:<20} {result.measured} ({result.source})"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:+.1%}"
