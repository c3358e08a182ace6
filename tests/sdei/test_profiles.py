"""Profiles by name, changed knob by knob; nonsense is one line that names what would be right."""

import dataclasses

import pytest

from sdeiviz.errors import Error
from sdeiviz.sdei import Profile, ProfileError, profile
from sdeiviz.sdei.profiles import KNOBS

SWITCHES = [
    "shared_events",
    "relative_mode",
    "smc_conduit",
    "full_width_arguments",
    "unsigned_event_number",
    "preserve_x1_to_x3",
    "allow_zero_entry",
    "aligned_entry",
    "ignore_private_routing",
    "strict_affinity_bits",
    "register_clears_pending",
    "unregister_clears_pending",
    "context_index_first",
    "complete_answers_denied",
    "signaled_per_event",
    "mask_tells_change",
    "signal_resolves_target",
    "signal_unregistered",
    "signal_strict",
    "masked_signal_waits",
    "reset_denied_while_running",
    "bind_refuses_active",
    "skip_disabled_events",
    "kick_on_raise",
    "keep_x4_to_x17",
    "exception_pstate",
    "mask_waits_for_completion",
    "request_after_complete",
    "reset_clears_state",
    "power_off_completes",
    "cpu_on_keeps_handlers",
    "migration_registers",
    "strict_register_values",
    "whole_context_register",
]


def test_by_name() -> None:
    assert profile("kvm-v7").name == "kvm-v7"
    assert profile("kvm-v7-literal").name == "kvm-v7-literal"


def test_it_cannot_be_changed_in_place() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        profile("kvm-v7").kick_on_raise = False  # type: ignore[misc]


def test_knobs_are_explained() -> None:
    assert [name for name, knob in KNOBS.items() if knob.type is bool] == SWITCHES
    for knob in KNOBS.values():
        assert knob.metadata["source"]
        assert knob.metadata["meaning"]


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("base", ["kvm-v7", "kvm-v7-literal"])
def test_each_switch_alone(base: str, name: str) -> None:
    before = dataclasses.asdict(profile(base))
    for word, value in (("on", True), ("off", False)):
        changed = profile(base).set(f"{name}={word}")
        assert dataclasses.asdict(changed) == before | {name: value}
        assert changed == profile(base).replace(**{name: value})
    assert dataclasses.asdict(profile(base)) == before


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("on", True),
        ("ON", True),
        ("true", True),
        ("True", True),
        ("1", True),
        ("yes", True),
        ("off", False),
        ("false", False),
        ("0", False),
        ("no", False),
    ],
)
def test_words_for_a_switch(word: str, value: bool) -> None:
    assert profile("kvm-v7").set(f"kick_on_raise={word}").kick_on_raise is value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.1", 0x0001_0001),
        ("1.0", 0x0001_0000),
        ("32767.65535", 0x7FFF_FFFF),
        ("0x10000", 0x0001_0000),
        ("65537", 0x0001_0001),
        ("0", 0),
    ],
)
def test_version(text: str, value: int) -> None:
    assert profile("kvm-v7").set(f"version={text}").version == value


def test_vendor() -> None:
    assert profile("kvm-v7").set("vendor=0xffffffff").vendor == 0xFFFF_FFFF
    assert profile("kvm-v7").set("vendor=0").vendor == 0


def one_line(error: pytest.ExceptionInfo[ProfileError]) -> str:
    text = str(error.value)
    assert text
    assert "\n" not in text
    assert isinstance(error.value, Error)
    return text


@pytest.mark.parametrize("name", ["", "kvm", "KVM-V7", "kvm-v7 ", "kvm\nv7"])
def test_no_such_profile(name: str) -> None:
    with pytest.raises(ProfileError) as error:
        profile(name)
    assert "kvm-v7, kvm-v7-literal" in one_line(error)


@pytest.mark.parametrize(
    "assignment",
    [
        "",
        "=",
        "=on",
        "kick_on_raise",
        "kick=on",
        "name=x",
        "kick_on_raise on",
        "kick\non=1",
        "set=1",
    ],
)
def test_no_such_assignment(assignment: str) -> None:
    with pytest.raises(ProfileError) as error:
        profile("kvm-v7").set(assignment)
    text = one_line(error)
    assert "KNOB=VALUE" in text
    assert "kick_on_raise" in text


@pytest.mark.parametrize(
    "value", ["", "2", "-1", "maybe", "on off", "None", "=on", "on\n", "\n", "1.0", " on"]
)
def test_not_on_or_off(value: str) -> None:
    with pytest.raises(ProfileError) as error:
        profile("kvm-v7").set(f"kick_on_raise={value}")
    text = one_line(error)
    assert "kick_on_raise wants on or off" in text
    assert repr(value) in text


@pytest.mark.parametrize("name", ["version", "vendor"])
@pytest.mark.parametrize(
    "value",
    ["", "on", "one", "1.1.1", "1.", ".1", "-1", "0x1_0000_0000_0", "1e3", "\n", "010", "9" * 5000],
)
def test_not_a_number(name: str, value: str) -> None:
    with pytest.raises(ProfileError) as error:
        profile("kvm-v7").set(f"{name}={value}")
    assert name in one_line(error)


@pytest.mark.parametrize("value", ["1.65536", "1.-1", "-1.5", "32768.0", "0x80000000"])
def test_version_outside_its_fields(value: str) -> None:
    """15 bits of major and 16 of minor; bit 63 of the answer says that it is an error."""
    with pytest.raises(ProfileError) as error:
        profile("kvm-v7").set(f"version={value}")
    assert "version" in one_line(error)


@pytest.mark.parametrize("value", ["1.1", "0x100000000"])
def test_vendor_is_32_bits(value: str) -> None:
    with pytest.raises(ProfileError) as error:
        profile("kvm-v7").set(f"vendor={value}")
    assert "vendor" in one_line(error)


@pytest.mark.parametrize(
    "knobs",
    [
        {"kick": True},
        {"name": "x"},
        {"kick_on_raise": 1},
        {"kick_on_raise": None},
        {"kick_on_raise": "on"},
        {"version": True},
        {"version": "1.1"},
        {"version": 1.0},
        {"version": -1},
        {"version": 1 << 31},
        {"vendor": -1},
        {"vendor": 1 << 32},
        {"kick_on_raise": False, "vendor": None},
    ],
)
def test_replace_refuses(knobs: dict[str, object]) -> None:
    with pytest.raises(ProfileError) as error:
        profile("kvm-v7").replace(**knobs)
    one_line(error)


def test_replace_nothing_and_several() -> None:
    assert profile("kvm-v7").replace() == profile("kvm-v7")
    changed = profile("kvm-v7").replace(kick_on_raise=False, vendor=5)
    assert isinstance(changed, Profile)
    assert (changed.kick_on_raise, changed.vendor) == (False, 5)
