"""What the modes of a case gain over its first one, beside what others measured."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from sdeiviz.experiment.parameters import Case, Parameters, Published
from sdeiviz.experiment.runs import ExperimentError
from sdeiviz.experiment.table import Row


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
    told: float
    """Share of faults of which the guest was told; a retry is the same fault once more."""


def compare(case: Case, rows: Iterable[Row]) -> list[Comparison]:
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


def _comparison(case: Case, mode: str, pairs: Sequence[tuple[Row, Row]]) -> Comparison:
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
            spread = ""
            if line.lowest is not None and line.lowest != line.highest:
                spread = f"{line.lowest:+.1%} .. {line.highest:+.1%}"
            lines.append(
                f"{case.name:<20} {line.mode:<10} {_percent(line.gain):>8}  {spread:<18}"
                f" {_percent(line.time):>9} {line.told:>5.0%}  "
                f"{expected if line.mode == 'arm64-v4' else ''}".rstrip()
            )
        lines += (_published(parameters.published[name]) for name in case.compare)
    return "\n".join(lines)


def _published(result: Published) -> str:
    return f"    published {result!s:<20} {result.measured} ({result.source})"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:+.1%}"
