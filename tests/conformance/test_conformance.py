"""Every requirement's guest passes, and fails when the package is changed where it looks."""

import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sdeiviz.cli import main as sdeiviz
from sdeiviz.guests.toolchain import available
from sdeiviz.sdei import profile
from sdeiviz.sdei.profiles import KNOBS
from sdeiviz.sdei.table import TABLE, Action, State
from tests.conformance import build, mutants
from tests.conformance.deviations import DEVIATIONS
from tests.conformance.guests import REQUIREMENTS, run, verdict
from tests.conformance.mutation import made

if not available():
    pytest.skip(
        "no compiler for arm64 (Debian: apt install gcc-aarch64-linux-gnu)",
        allow_module_level=True,
    )

WITHOUT_MUTATION = {
    "calls_keep_registers": "no line of the package writes them after a call",
    "el0_caller": "the core itself takes the exception to EL1; no call reaches the dispatcher",
}
"""Requirements that no change of a knob, an event, a rule or a number breaks, and why."""

MUTATED = [n for n, r in REQUIREMENTS.items() if not r.mutation.startswith("none:")]
SEVERAL_PES = [n for n, r in REQUIREMENTS.items() if r.vcpus > 1]


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_it_passes(name: str) -> None:
    outcome = run(REQUIREMENTS[name], profile("den0054c"))
    assert outcome.console == "PASS\n"
    assert verdict(outcome) == "PASS"


@pytest.mark.parametrize(
    "name", ["context_nested", "entry_pstate", "level_fires_again", "matrix_private", "suspend"]
)
def test_it_passes_by_the_python_clock_too(name: str) -> None:
    assert verdict(run(REQUIREMENTS[name], profile("den0054c"), clock="python")) == "PASS"


@pytest.mark.parametrize("name", SEVERAL_PES)
def test_it_passes_with_short_turns_too(name: str) -> None:
    assert verdict(run(REQUIREMENTS[name], profile("den0054c"), quantum=137)) == "PASS"


@pytest.mark.parametrize(
    "name", ["critical_preempts", "level_fires_again", "matrix_shared", "routing_any"]
)
def test_it_passes_on_a_gicv3_too(name: str) -> None:
    assert verdict(run(REQUIREMENTS[name], profile("den0054c"), gic=3)) == "PASS"


@pytest.mark.parametrize("name", MUTATED)
def test_it_notices_its_mutation(name: str) -> None:
    requirement = REQUIREMENTS[name]
    with made(requirement.mutation, profile("den0054c")) as changed:
        outcome = run(requirement, changed)
    assert "FAIL: " in outcome.console
    assert verdict(outcome) == "FAIL"


def test_requirements_without_a_mutation_say_why() -> None:
    reasons = {n: r.mutation for n, r in REQUIREMENTS.items() if n not in MUTATED}
    assert reasons == {name: f"none: {why}" for name, why in WITHOUT_MUTATION.items()}


SEEN = {
    "version=1.0": "version",
    "shared_events=off": "bind_slots",
    "private_bind_slots=0": "bind_slots",
    "shared_bind_slots=0": "bind_slots",
    "relative_mode=off": "relative_mode",
    "smc_conduit=off": "smc_conduit",
    "full_width_arguments=on": "event_numbers",
    "unsigned_event_number=off": "event_numbers",
    "aligned_entry=off": "register_arguments",
    "reserved_flags_error=SUCCESS": "register_arguments",
    "ignore_private_routing=off": "register_arguments",
    "unregister_clears_pending=off": "private_reset_running",
    "complete_answers_denied=off": "resume_errors",
    "bad_resume_addr_error=DENIED": "resume_errors",
    "signaled_per_event=off": "get_info",
    "mask_tells_change=off": "pe_mask",
    "signal_resolves_target=off": "signal_to_a_loop",
    "signal_unregistered=off": "signal_coalesces",
    "signal_strict=on": "signal_coalesces",
    "reset_denied_while_running=off": "private_reset_running",
    "bind_secure_intr_error=DENIED": "bind_refused",
    "bind_refuses_active=off": "bind_active",
    "status_of_released_event=SUCCESS": "release",
    "skip_disabled_events=off": "disable_in_handler",
    "kick_on_raise=off": "signal_to_wfi",
    "keep_x4_to_x17=off": "entry_registers",
    "mask_waits_for_completion=off": "mask_in_handler",
    "masked_signal_waits=off": "signal_outlives_mask",
    "cr_other_pstate=zero": "resume",
    "request_after_complete=off": "pending_in_handler",
    "power_off_completes=off": "cpu_off_in_handler",
}
"""A knob turned away from the specification, and a guest that notices."""

_OPEN = "the specification leaves it open"
_NOT_THE_GUESTS = "the host sees it, no guest does"
UNSEEN = {
    "vendor": _OPEN,
    "platform_events": _OPEN,
    "private_slot_base": _OPEN,
    "shared_slot_base": _OPEN,
    "preserve_x1_to_x3": "the calling convention lets a call change x0-x3",
    "allow_zero_entry": _OPEN,
    "strict_affinity_bits": "the bits must be zero; what happens otherwise is left open",
    "register_clears_pending": _OPEN,
    "context_index_first": "of two errors either may be told",
    "exception_pstate": "the bits of PSTATE that it is about are not those of this core",
    "reset_clears_state": "CPU_OFF masks a PE already, and memory does not outlive SYSTEM_RESET",
    "cpu_on_keeps_handlers": _OPEN,
    "migration_registers": _NOT_THE_GUESTS,
    "strict_register_values": _NOT_THE_GUESTS,
    "whole_context_register": _NOT_THE_GUESTS,
}
"""Knobs that no guest notices, and why none should."""


@pytest.mark.parametrize("knob", SEEN)
def test_a_guest_notices_the_knob(knob: str) -> None:
    outcome = run(REQUIREMENTS[SEEN[knob]], profile("den0054c").set(knob))
    # Two of them are defects that stop the machine.
    assert verdict(outcome) == ("" if outcome.stop == "defect" else "FAIL")


def test_every_knob_is_seen_or_has_a_reason_not_to_be() -> None:
    assert sorted([*(knob.partition("=")[0] for knob in SEEN), *UNSEEN]) == sorted(KNOBS)


@pytest.mark.parametrize("knob", [knob for knob in UNSEEN if KNOBS[knob].type is bool])
def test_no_guest_demands_what_is_left_open(knob: str) -> None:
    rules = profile("den0054c")
    changed = rules.replace(**{knob: not getattr(rules, knob)})
    assert all(verdict(run(r, changed)) == "PASS" for r in REQUIREMENTS.values())


def cells() -> Iterator[tuple[str, str, str]]:
    """Every cell of the table that a call can reach, changed: the answer, else the next state."""
    for action, row in TABLE.items():
        if action in (Action.CONTEXT, Action.DELIVER):
            continue  # no rule of a call with an event
        for state, (result, after) in row.items():
            running = bool(state & 4)
            if action is Action.COMPLETE and not running:
                continue  # there is no handler to complete
            if action is Action.RELEASE and running:
                continue  # an event cannot vanish under its handler
            # A bound event that is not unregistered cannot be released either: SHARED_RESET is
            # DENIED whatever the cell answers.
            answer = "DENIED" if result.name != "DENIED" else "SUCCESS"
            cell = f"{answer} {after.name}"
            if action is Action.COMPLETE or (action is Action.SHARED_RESET and running):
                wrong = "REGISTERED" if after is not State.REGISTERED else "ENABLED"
                cell = f"{result.name} {wrong}"
            yield action.name, state.name, f"table {action.name} {state.name} {cell}"


@pytest.mark.parametrize(("action", "state", "mutation"), list(cells()))
def test_the_matrix_notices_every_cell(action: str, state: str, mutation: str) -> None:
    shared = action in ("ROUTING_SET", "SHARED_RESET")
    requirement = REQUIREMENTS["matrix_shared" if shared else "matrix_private"]
    with made(mutation, profile("den0054c")) as changed:
        assert verdict(run(requirement, changed)) == "FAIL"


@pytest.mark.parametrize("name", REQUIREMENTS)
@pytest.mark.parametrize("other", DEVIATIONS)
def test_where_other_profiles_deviate(other: str, name: str) -> None:
    expected = "FAIL" if name in DEVIATIONS[other] else "PASS"
    assert verdict(run(REQUIREMENTS[name], profile(other))) == expected


def test_every_deviation_is_of_a_requirement_and_has_a_reason() -> None:
    for deviations in DEVIATIONS.values():
        assert deviations.keys() <= REQUIREMENTS.keys()
        assert all(deviations.values())


def test_a_guest_that_fails_says_what_and_where() -> None:
    outcome = run(REQUIREMENTS["version"], profile("den0054c").set("version=1.0"))
    first, *numbers, last = outcome.console.splitlines()
    assert first == "FAIL: VERSION: major and minor"
    assert numbers[:2] == ["  is = 0x10000", "  wanted = 0x10001"]
    assert numbers[2].startswith("  before = 0x4008")
    assert last == "FAIL"


def test_the_script_builds_what_the_command_line_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    few = {name: REQUIREMENTS[name] for name in ("version", "routing_any")}
    monkeypatch.setattr(build, "requirements", lambda: few)
    assert build.main([str(tmp_path / "out")]) == 0
    listing = capfdbinary.readouterr().out.decode().splitlines()
    assert [line.split()[0] for line in listing] == list(few)
    for name in few:
        elf = str(tmp_path / "out" / f"{name}.elf")
        assert sdeiviz(["run", elf, "--profile", "den0054c", "--vcpus", "4"]) == 0
        assert capfdbinary.readouterr().out == b"PASS\n"


def test_the_script_wants_a_directory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["build.py"])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(build.__file__, run_name="__main__")
    assert left.value.code == 2
    assert capsys.readouterr().err == "usage: build.py DIRECTORY\n"


def test_a_guest_without_header_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lost.S"
    path.write_text("// 5.1 Something\n")
    with pytest.raises(build.Error, match=r"^lost\.S: no header"):
        build.read(path)


def test_make_mutants_lists_the_killed_and_those_without(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = [REQUIREMENTS["version"], REQUIREMENTS["el0_caller"]]
    monkeypatch.setattr(mutants, "REQUIREMENTS", {r.name: r for r in chosen})
    assert mutants.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split(maxsplit=1) == ["version", "killed by its guest  (knob version=1.0)"]
    assert lines[1].split(maxsplit=1)[1].startswith("names no mutation  (the core itself")
    assert lines[2] == "1 of 1 killed, 1 without one"

    survivor = REQUIREMENTS["version"]._replace(mutation="knob relative_mode=off")
    monkeypatch.setattr(mutants, "REQUIREMENTS", {"version": survivor})
    assert mutants.main() == 1
    assert "SURVIVED" in capsys.readouterr().out
