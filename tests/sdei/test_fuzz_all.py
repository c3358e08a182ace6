"""A slice of `fuzz.py`: every profile, several PEs, every register at random."""

import pytest

from sdeiviz.sdei import profile
from tests.sdei.fuzz import PROFILES, Fuzz, main

CALLS = 20_000


@pytest.mark.parametrize("name", PROFILES)
def test_nothing_but_listed_answers_and_legal_states(name: str) -> None:
    fuzz = Fuzz(profile(name), seed=2)
    fuzz.run(CALLS)
    fuzz.check()
    # It did get everywhere: a fuzz that is refused at the door finds nothing.
    assert {call for call, _ in fuzz.answers} == {-1, *range(0x13)}
    assert fuzz.delivered > 100
    assert fuzz.completed > 100
    assert (fuzz.hung > 0) == (name == "kvm-v7-literal")


def test_the_same_seed_makes_the_same_calls() -> None:
    first, second, other = (Fuzz(profile("den0054c"), seed) for seed in (1, 1, 2))
    for fuzz in (first, second, other):
        fuzz.run(2_000)
    assert first.answers == second.answers
    assert first.answers != other.answers


def test_as_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(400, 3) == 0
    assert capsys.readouterr().out.count("100 calls") == 4


def test_it_fails_on_what_it_finds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from sdeiviz.sdei import Dispatcher

    monkeypatch.setattr(Dispatcher, "pe_unmask", lambda self, vcpu: -4)
    assert main(4_000, 1) == 1
    assert "AssertionError at call" in capsys.readouterr().out
