"""How long the store takes to bring a page: models, in nanoseconds of virtual time.

A model is a pure function of the number of the fetch, so that a run repeats itself exactly and a
saved machine need remember nothing but that number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from statistics import NormalDist
from typing import Final, Protocol

from sdeiviz.errors import Error

_MASK: Final = (1 << 64) - 1
LONGEST: Final = 3_600_000_000_000
"""An hour."""


class Latency(Protocol):
    """How long fetches take."""

    def draw(self, number: int) -> int:
        """Return how long a fetch takes, by its number from 0 on, in nanoseconds."""


@dataclass(frozen=True, slots=True)
class Constant:
    """Always the same."""

    nanoseconds: int

    def __post_init__(self) -> None:
        _check(self.nanoseconds)

    def draw(self, number: int) -> int:
        """Return it."""
        return self.nanoseconds


@dataclass(frozen=True, slots=True)
class LogNormal:
    """Log-normal, the usual shape of storage and network: a few take much longer than most.

    Parameters
    ----------
    mean
        Arithmetic mean in nanoseconds.
    sigma
        Standard deviation of the logarithm; 0 is constant.
    shortest, longest
        What is drawn beyond is brought to these.
    seed
        Another seed draws other numbers.
    """

    mean: float
    sigma: float
    shortest: int = 0
    longest: int = LONGEST
    seed: int = 1

    def __post_init__(self) -> None:
        _check(self.mean)
        _check(self.shortest)
        _check(self.longest)
        if not 0 <= self.sigma <= 5 or self.shortest > self.longest:
            raise Error("a log-normal latency wants sigma from 0 to 5 and shortest <= longest")

    def draw(self, number: int) -> int:
        """Return the duration of one fetch."""
        normal = NormalDist().inv_cdf(uniform(self.seed, number))
        drawn = self.mean * exp(self.sigma * normal - self.sigma * self.sigma / 2)
        return min(max(round(drawn), self.shortest), self.longest)


@dataclass(frozen=True, slots=True)
class Recorded:
    """Durations that were recorded somewhere, in order; after the last comes the first again."""

    nanoseconds: Sequence[int]

    def __post_init__(self) -> None:
        if not self.nanoseconds:
            raise Error("a recorded latency wants at least one duration")
        for value in self.nanoseconds:
            _check(value)

    def draw(self, number: int) -> int:
        """Return the duration of one fetch."""
        return self.nanoseconds[number % len(self.nanoseconds)]


def uniform(seed: int, number: int) -> float:
    """Return a number between 0 and 1, both excluded (SplitMix64 of seed and number)."""
    z = (seed * 0xD1B5_4A32_D192_ED03 + (number + 1) * 0x9E37_79B9_7F4A_7C15) & _MASK
    z = (z ^ z >> 30) * 0xBF58_476D_1CE4_E5B9 & _MASK
    z = (z ^ z >> 27) * 0x94D0_49BB_1331_11EB & _MASK
    return ((z ^ z >> 31) >> 12 | 1) / (1 << 52)


def _check(nanoseconds: float) -> None:
    if not 0 <= nanoseconds <= LONGEST:
        raise Error(f"no latency of {nanoseconds!r:.40} ns: want 0 to an hour")
