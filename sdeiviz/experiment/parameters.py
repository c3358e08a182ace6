"""The parameters of an experiment: one file, each value with its source or its uncertainty.

The file is written, and committed, before the experiment first runs. Here it is read and checked,
so that a value without a source, or a guess without a range to sweep it over, cannot get into a
result.
"""

import dataclasses
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from sdeiviz.apf import MODES
from sdeiviz.errors import Error
from sdeiviz.machine.costs import Costs
from sdeiviz.machine.latency import Constant, Latency, LogNormal
from sdeiviz.resources import resource

_T = TypeVar("_T")

ASSUMED: Final = "assumed"
"""The source of a value for which nothing citable was found."""

_ORDERS: Final = ("sequential", "random")
_DISTRIBUTIONS: Final = ("constant", "lognormal")


class ParameterError(Error):
    """A parameter file that cannot be used, or a parameter that does not exist."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number of the experiment."""

    name: str
    """Such as ``"costs.exit"``."""
    value: float
    unit: str
    source: str
    """Where it is published, or "assumed"."""
    range: tuple[float, float] | None = None
    """From where to where it may be swept; every assumption has it."""
    why: str = ""
    """How an assumption came about."""

    def __post_init__(self) -> None:
        if not self.source or not self.unit:
            raise ParameterError(f"parameter {self.name}: want a source and a unit")
        if self.source == ASSUMED and (self.range is None or not self.why):
            raise ParameterError(f"parameter {self.name} is assumed: want a range, and why")
        if self.range is not None and not self.range[0] <= self.value <= self.range[1]:
            low, high = self.range
            raise ParameterError(f"parameter {self.name}: {self.value} is not in {low} to {high}")


@dataclass(frozen=True, slots=True)
class Published:
    """What somebody measured: a ratio minus 1, or from where to where several came out."""

    name: str
    low: float
    high: float
    measured: str
    """What exactly it is of, and on what."""
    source: str

    def __str__(self) -> str:
        if self.low == self.high:
            return f"{self.low:+.1%}"
        return f"{self.low:+.1%} .. {self.high:+.1%}"


@dataclass(frozen=True, slots=True)
class Case:
    """A set-up: what runs on what, in which modes. Names of parameters are dotted."""

    name: str
    what: str
    m: int
    """Threads on each vCPU that write pages."""
    c: int
    """Threads on each vCPU that compute."""
    order: str
    """In which they are written: "sequential" or "random"."""
    resident: str
    """Names the share of M's pages that the host lets the guest have."""
    work: str
    """Names how long M computes between two faults."""
    latency: str
    """Names the mean time of a fetch."""
    distribution: str
    """Of fetches: "constant" or "lognormal"."""
    window: str
    """Names how long it is measured."""
    modes: tuple[str, ...]
    """The first is what the others are compared with."""
    expect: tuple[float, float]
    """Between what the gain of the mode ``arm64-v4`` was expected before the first run."""
    why: str
    """Why that was expected."""
    compare: tuple[str, ...] = ()
    """Names of the published results it resembles."""
    pages: str = "workload.pages"
    vcpus: int = 1
    kernel: int = 0
    """Per cent of M's touches that the guest's kernel makes."""
    lock: bool = False
    """M touches its pages under a lock that C takes too."""
    serve: int = 0
    """Threads on each vCPU that answer requests."""
    apf: bool = True
    """The guest uses async page fault where it is offered."""

    def __post_init__(self) -> None:
        _check_modes(self)
        if self.order not in _ORDERS or self.distribution not in _DISTRIBUTIONS:
            raise ParameterError(
                f"case {self.name}: order is {' or '.join(_ORDERS)},"
                f" distribution {' or '.join(_DISTRIBUTIONS)}"
            )
        if min(self.m, self.c, self.serve) < 0 or not 0 <= self.kernel <= 100 or self.vcpus < 1:
            raise ParameterError(
                f"case {self.name}: negative threads, kernel beyond 100 or no vCPU"
            )


@dataclass(frozen=True, slots=True)
class Migration:
    """A set-up of a post-copy migration: what runs on what, over which link, in which modes."""

    name: str
    what: str
    m: int
    """Threads on each vCPU that write pages."""
    c: int
    """Threads on each vCPU that compute."""
    order: str
    """In which they are written: "sequential" or "random"."""
    pages: str
    """Names how many pages M writes."""
    memory: str
    """Names how many MiB of RAM there are."""
    work: str
    """Names how long M computes for a page."""
    bandwidth: str
    """Names the link's bits a second."""
    delay: str
    """Names how long a byte is on the way."""
    buffer: str
    """Names the bytes of a channel's socket buffer."""
    modes: tuple[str, ...]
    """The first is what the others are compared with."""
    expect: tuple[float, float]
    """Between what the gain of the mode ``arm64-v4`` was expected before the first run."""
    why: str
    """Why that was expected."""
    compare: tuple[str, ...] = ()
    """Names of the published results it resembles."""
    outside: str = ""
    """Why its gain lies outside of the claim; written after the first run, if it does."""
    model: float | None = None
    """What an event model of ours, without guest code, predicted for it before the first run."""
    urgent: bool = False
    """Pages that were asked for have a channel of their own (QEMU: postcopy-preempt)."""
    jump: bool = True
    """After a page that was asked for, the background goes on with its neighbours."""
    passes: int = 0
    """Passes of pre-copy before."""
    vcpus: int = 1
    apf: bool = True
    """The guest uses async page fault where it is offered."""

    def __post_init__(self) -> None:
        _check_modes(self)
        if self.order not in _ORDERS:
            raise ParameterError(f"case {self.name}: order is {' or '.join(_ORDERS)}")
        if min(self.m, self.c, self.passes) < 0 or self.vcpus < 1:
            raise ParameterError(f"case {self.name}: negative threads or passes, or no vCPU")


_AnyCase = TypeVar("_AnyCase", bound=Case | Migration)


def _check_modes(case: Case | Migration) -> None:
    for name in case.modes:
        if name not in MODES:
            raise ParameterError(f"case {case.name}: no mode {name!r}")
    if not case.modes:
        raise ParameterError(f"case {case.name}: want at least one mode")


@dataclass(frozen=True, slots=True)
class Sweep:
    """A case, over and over, with one thing of it varied."""

    name: str
    case: str
    parameter: str
    """A dotted parameter, or a field of the case such as "m"."""
    values: tuple[float, ...]
    modes: tuple[str, ...]
    rises: bool | None = None
    """Whether theory says that the gain of C rises with it, or falls; None if neither."""


@dataclass(frozen=True)
class Parameters:
    """All that a file says."""

    values: Mapping[str, Parameter]
    published: Mapping[str, Published] = field(default_factory=dict)
    cases: Mapping[str, Case] = field(default_factory=dict)
    sweeps: Mapping[str, Sweep] = field(default_factory=dict)
    migrations: Mapping[str, Migration] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        """Return a parameter's value.

        Raises
        ------
        ParameterError
            There is none of that name.
        """
        return self.find(name).value

    def whole(self, name: str) -> int:
        """Return a value that counts something, nanoseconds for example."""
        return round(self[name])

    def find(self, name: str) -> Parameter:
        """Return a parameter with all that is known about it."""
        if name not in self.values:
            raise ParameterError(f"no parameter {name!r:.60}: choose from {', '.join(self.values)}")
        return self.values[name]

    def case(self, name: str) -> Case:
        """Return a case by its name."""
        if name not in self.cases:
            raise ParameterError(f"no case {name!r:.60}: choose from {', '.join(self.cases)}")
        return self.cases[name]

    def migration(self, name: str) -> Migration:
        """Return a case of a migration by its name."""
        if name not in self.migrations:
            raise ParameterError(
                f"no migration {name!r:.60}: choose from {', '.join(self.migrations)}"
            )
        return self.migrations[name]

    def sweep(self, name: str) -> Sweep:
        """Return a sweep by its name."""
        if name not in self.sweeps:
            raise ParameterError(f"no sweep {name!r:.60}: choose from {', '.join(self.sweeps)}")
        return self.sweeps[name]

    def set(self, name: str, value: float) -> "Parameters":
        """Return the same with another value of one parameter, within its range."""
        changed = dataclasses.replace(self.find(name), value=value)
        return dataclasses.replace(self, values={**self.values, name: changed})

    @property
    def costs(self) -> Costs:
        """What the host's work costs."""
        return Costs(**{f.name: self.whole(f"costs.{f.name}") for f in dataclasses.fields(Costs)})

    def latency(self, case: Case, seed: int) -> Latency:
        """Return how long fetches take in a case."""
        mean = self[case.latency]
        if case.distribution == "constant":
            return Constant(round(mean))
        return LogNormal(
            mean,
            self["latency.sigma"],
            self.whole("latency.rfcv2_shortest"),
            self.whole("latency.rfcv2_longest"),
            seed,
        )


def load(path: Path | None = None) -> Parameters:
    """Read a parameter file.

    Parameters
    ----------
    path
        By default ``assets/parameters/async_page_fault.toml``. What it includes lies beside it.

    Raises
    ------
    ParameterError
        It cannot be read, or a value is without a source, assumed without a range or outside of it,
        or a case or sweep names what does not exist.

    Examples
    --------
    >>> load()["guest.slots"]
    64
    """
    path = path or resource("assets", "parameters", "async_page_fault.toml")
    tables = _read(path)
    try:
        for file, names in _dict(tables.pop("include", {})).items():
            _include(tables, _read(path.parent / file), names)
        return _parameters(tables)
    except ParameterError as error:
        raise ParameterError(f"{path}: {error}") from None


def load_postcopy() -> Parameters:
    """Read ``assets/parameters/postcopy.toml``, the parameters of the experiment on migration.

    Examples
    --------
    >>> load_postcopy()["costs.exit"] == load()["costs.exit"]
    True
    """
    return load(resource("assets", "parameters", "postcopy.toml"))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ParameterError(f"{path}: {error}") from None


def _include(tables: dict[str, Any], others: dict[str, Any], names: Any) -> None:
    """Take tables over from another file: whole groups such as "costs", or one such as "a.b"."""
    for name in _checked("include", tuple[str, ...], names):
        group, _, one = name.partition(".")
        found = others.get(group, {})
        if one and isinstance(found, dict):
            found = {key: table for key, table in found.items() if key == one}
        if not found:
            raise ParameterError(f"include: there is no {name} to take over")
        group_tables = tables.setdefault(group, {})
        for key, table in _tables(found):
            if key in group_tables:
                raise ParameterError(f"include: {group}.{key} is here already")
            group_tables[key] = table


def _parameters(tables: dict[str, Any]) -> Parameters:
    published = {
        name: _published(name, table) for name, table in _tables(tables.pop("published", {}))
    }
    cases = {name: _make(Case, name, t) for name, t in _tables(tables.pop("case", {}))}
    sweeps = {name: _make(Sweep, name, t) for name, t in _tables(tables.pop("sweep", {}))}
    migrations = {
        name: _make(Migration, name, t) for name, t in _tables(tables.pop("migration", {}))
    }
    values = {
        f"{group}.{name}": _make(Parameter, f"{group}.{name}", table)
        for group, parameters in _tables(tables)
        for name, table in _tables(parameters)
    }
    loaded = Parameters(values, published, cases, sweeps, migrations)
    for case in cases.values():
        for named in (case.pages, case.resident, case.work, case.latency, case.window):
            loaded.find(named)
    for migration in migrations.values():
        for named in (migration.pages, migration.memory, migration.work):
            loaded.find(named)
        for named in (migration.bandwidth, migration.delay, migration.buffer):
            loaded.find(named)
    each: list[Case | Migration] = [*cases.values(), *migrations.values()]
    for either in each:
        if unknown := [name for name in either.compare if name not in published]:
            raise ParameterError(f"case {either.name}: no published result {unknown[0]!r}")
    for sweep in sweeps.values():
        of = migrations.get(sweep.case) or loaded.case(sweep.case)
        for value in sweep.values:
            varied(loaded, of, sweep.parameter, value)
        dataclasses.replace(of, modes=sweep.modes)
    return loaded


def varied(
    parameters: Parameters, case: _AnyCase, name: str, value: float
) -> tuple[Parameters, _AnyCase]:
    """Return parameters and case with one thing changed: a parameter, or a field of the case.

    An order is 0, sequential, or 1, random.
    """
    if "." in name:
        return parameters.set(name, value), case
    kinds = {f.name: f.type for f in dataclasses.fields(case)}
    if kinds.get(name) not in (int, bool) and name != "order":
        raise ParameterError(f"{name!r:.60} is no parameter, and no field of a case to vary")
    if name == "order" and value not in (0, 1):
        raise ParameterError(f"{value} is no order: 0 is {_ORDERS[0]}, 1 is {_ORDERS[1]}")
    kind: Any = _ORDERS.__getitem__ if name == "order" else kinds[name]
    change: dict[str, Any] = {name: kind(int(value))}
    return parameters, dataclasses.replace(case, **change)


def _dict(table: Any) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise ParameterError("want tables of tables such as [costs.exit]")
    return table


def _tables(table: Any) -> list[tuple[str, dict[str, Any]]]:
    return [(name, _dict(inner)) for name, inner in _dict(table).items()]


def _published(name: str, table: dict[str, Any]) -> Published:
    value = table.get("value")
    low, high = value if isinstance(value, list) and len(value) == 2 else (value, value)
    others = {key: v for key, v in table.items() if key != "value"}
    return _make(Published, name, {"low": low, "high": high, **others})


def _make(cls: type[_T], name: str, table: dict[str, Any]) -> _T:
    """Build a dataclass from a table: every key known, every type right."""
    kinds = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    what = f"{cls.__name__.lower()} {name}"
    if unknown := [key for key in table if key not in kinds or key == "name"]:
        raise ParameterError(f"{what}: no such key {unknown[0]!r}")
    for key, kind in kinds.items():
        required = kind.default is dataclasses.MISSING and key != "name"
        if required and key not in table:
            raise ParameterError(f"{what}: want {key}")
    checked = {key: _checked(f"{what}: {key}", kinds[key].type, v) for key, v in table.items()}
    make: Any = cls
    made: _T = make(name=name, **checked)
    return made


def _checked(what: str, kind: Any, value: Any) -> Any:
    """Return a value of the file as the type of a field wants it."""
    if kind == tuple[float, float] | None:
        kind = tuple[float, float]
    if kind == tuple[float, float]:
        if not isinstance(value, list) or len(value) != 2:
            raise ParameterError(f"{what}: want two numbers, [low, high]")
        low, high = (_checked(what, float, v) for v in value)
        if low > high:
            raise ParameterError(f"{what}: {low} is more than {high}")
        return low, high
    if kind in (tuple[float, ...], tuple[str, ...]):
        if not isinstance(value, list):
            raise ParameterError(f"{what}: want a list")
        item = float if kind == tuple[float, ...] else str
        return tuple(_checked(what, item, v) for v in value)
    if kind is str and isinstance(value, str) and value:
        return value
    if kind in (bool, bool | None) and isinstance(value, bool):
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind in (float, float | None) and number and math.isfinite(value):
        return value
    if kind is int and number and isinstance(value, int):
        return value
    raise ParameterError(f"{what}: {value!r:.60} is not what is wanted there")
