"""Profiles: the named ways of implementing SDEI. A profile is a set of knobs, nothing else."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Final

from sdeiviz.abi.sdei import VENDOR_KVM
from sdeiviz.errors import Error


class ProfileError(Error):
    """A profile, a knob or a knob's value that does not exist."""


def _knob(default: Any, source: str, meaning: str) -> Any:
    return field(default=default, metadata={"source": source, "meaning": meaning})


@dataclass(frozen=True, slots=True)
class Profile:
    """How the dispatcher behaves where implementations differ.

    A switch that is true gives what the specification, or the series' own text, asks for; false
    gives what the code of v7 does. D1 to D11 number the differences found in reading that code.
    """

    name: str
    version: int = _knob(
        0x0001_0001, "v7 patch 16", "version reported: major in bits 31:16, minor in bits 15:0"
    )
    vendor: int = _knob(VENDOR_KVM, "v7 patch 16", "vendor word reported with the version")
    skip_disabled_events: bool = _knob(
        True,
        "D1, patch 12",
        "delivery looks past a pending event that is disabled; off: the search never ends",
    )
    request_after_complete: bool = _knob(
        True,
        "D2, patch 13",
        "completing a handler delivers what became pending meanwhile; off: it needs a new trigger",
    )
    unsigned_event_number: bool = _knob(
        True,
        "D3, patch 6",
        "event numbers from 0x80000000 are INVALID in ENABLE and DISABLE; off: they pass as"
        " negative and index out of bounds",
    )
    unregister_clears_pending: bool = _knob(
        True,
        "D4, patches 7 and 11",
        "UNREGISTER and PRIVATE_RESET drop a pending event; off: it fires after the next ENABLE",
    )
    signal_resolves_target: bool = _knob(
        True,
        "D7, patch 14",
        "EVENT_SIGNAL looks at the target PE in x2; off: it always signals the caller",
    )
    kick_on_raise: bool = _knob(
        True,
        "D8, patch 12",
        "injection makes the vCPU leave the guest and ends a WFI; off: noticed at its next exit",
    )
    keep_x4_to_x17: bool = _knob(
        True,
        "D9, patch 12",
        "x4-x17 stay as interrupted when the handler is entered; off: they are zero",
    )
    full_width_arguments: bool = _knob(
        True,
        "D10, patch 4",
        "event numbers and selectors use all 64 bits; off: bits 63:32 are ignored",
    )
    signaled_per_event: bool = _knob(
        True,
        "D10, patch 9",
        "EVENT_GET_INFO says that event 0 can be signalled (0); off: 1 for every event",
    )
    reset_clears_state: bool = _knob(
        True,
        "D11, patch 3",
        "a reset of the vCPU unregisters everything and masks the PE; off: nothing is touched",
    )

    def replace(self, **knobs: Any) -> "Profile":
        """Return a copy with some knobs set.

        Raises
        ------
        ProfileError
            No such knob, or a value of another type.
        """
        for name, value in knobs.items():
            if name not in KNOBS:
                raise ProfileError(f"no knob {name!r}: choose from {', '.join(KNOBS)}")
            if type(value) is not KNOBS[name].type:
                raise ProfileError(f"{name} wants {_kind(name)}, not {value!r}")
            # Bit 63 of what SDEI_VERSION returns is zero, else it would be an error.
            bits = 31 if name == "version" else 32
            if isinstance(value, int) and value >> bits:
                raise ProfileError(f"{name} is an unsigned {bits}-bit number; {value:#x} is not")
        return dataclasses.replace(self, **knobs)

    def set(self, assignment: str) -> "Profile":
        """Return a copy changed by ``KNOB=VALUE``, as the command line gives it.

        >>> profile("kvm-v7").set("kick_on_raise=off").kick_on_raise
        False
        """
        name, equals, text = assignment.partition("=")
        if not equals or name not in KNOBS:
            raise ProfileError(
                f"--set {assignment!r}: want KNOB=VALUE with a knob of: {', '.join(KNOBS)}"
            )
        return self.replace(**{name: _parse(name, text)})


KNOBS: Final = {f.name: f for f in dataclasses.fields(Profile) if f.name != "name"}
"""Every knob; ``metadata`` holds its ``source`` and ``meaning``."""

_WORDS: Final = {
    "on": True,
    "true": True,
    "1": True,
    "yes": True,
    "off": False,
    "false": False,
    "0": False,
    "no": False,
}


def _kind(name: str) -> str:
    return "on or off" if KNOBS[name].type is bool else "a number"


def _parse(name: str, text: str) -> bool | int:
    if _kind(name) == "on or off":
        if text.lower() in _WORDS:
            return _WORDS[text.lower()]
    else:
        try:
            return _parse_version(text) if name == "version" else int(text, 0)
        except ValueError:
            pass
    raise ProfileError(f"{name} wants {_kind(name)}, not {text!r}")


def _parse_version(text: str) -> int:
    """Read "1.1" as 0x0001_0001; a plain number stands for itself."""
    major, dot, minor = text.partition(".")
    if not dot:
        return int(text, 0)
    if int(minor) >> 16:
        raise ValueError(minor)
    return int(major) << 16 | int(minor)


_KEPT_BY_V7: Final = {
    "signal_resolves_target": False,
    "keep_x4_to_x17": False,
    "full_width_arguments": False,
    "signaled_per_event": False,
}

PROFILES: Final = {
    "kvm-v7": Profile("kvm-v7", **_KEPT_BY_V7),
    "kvm-v7-literal": Profile(
        "kvm-v7-literal", **{name: False for name, knob in KNOBS.items() if knob.type is bool}
    ),
}
"""The series with what hangs or loses events mended, and the series to the letter."""


def profile(name: str) -> Profile:
    """Return a profile by name.

    Raises
    ------
    ProfileError
        There is none of that name.
    """
    if name not in PROFILES:
        raise ProfileError(f"no profile {name!r}: choose from {', '.join(PROFILES)}")
    return PROFILES[name]
