"""Profiles: the named ways of implementing SDEI. A profile is a set of knobs, nothing else."""

import dataclasses
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from sdeiviz.abi.sdei import SW_SIGNALED_EVENT, VENDOR_KVM, Result, is_ppi, is_spi
from sdeiviz.errors import Error
from sdeiviz.sdei.events import EventDefinition


class ProfileError(Error):
    """A profile, a knob or a knob's value that does not exist."""


class OtherBits(StrEnum):
    """What becomes of PSTATE bits of which the specification does not say it."""

    INTERRUPTED = "interrupted"
    ZERO = "zero"


def _knob(default: Any, source: str, meaning: str, choices: tuple[Any, ...] = ()) -> Any:
    metadata = {"source": source, "meaning": meaning, "choices": choices}
    return field(default=default, metadata=metadata)


_INVALID, _DENIED = Result.INVALID_PARAMETERS, Result.DENIED

MAX_SLOTS: Final = 256


@dataclass(frozen=True, slots=True)
class Profile:
    """How the dispatcher behaves where implementations differ.

    A switch that is true gives what the specification, or the series' own text, asks for; false
    gives what some code does instead. Four are named the other way round, after the behaviour that
    is out of the ordinary: `full_width_arguments`, `strict_affinity_bits`, `signal_strict` and
    `strict_register_values`.
    The defaults are those of ``den0054c``. D1 to D11 number the differences found in reading the
    code of v7.
    """

    name: str

    # -- what is offered

    version: int = _knob(
        0x0001_0001,
        "DEN0054C 5.1.1, v7 patch 16",
        "version reported: major in bits 31:16, minor in bits 15:0; relative mode came with 1.1",
    )
    vendor: int = _knob(0, "DEN0054C 5.1.1, v7 patch 16", "vendor word reported with the version")
    platform_events: tuple[EventDefinition, ...] = _knob(
        (
            EventDefinition(0x4040_0000),
            EventDefinition(0x4040_0001, critical=True),
            EventDefinition(0x4040_0016, interrupt=22),
            EventDefinition(0x4040_0017, critical=True, interrupt=23),
            EventDefinition(0x4040_0028, shared=True, interrupt=40),
            EventDefinition(0x4040_0029, shared=True, critical=True, interrupt=41),
        ),
        "DEN0054C 4.3, v7 patch 17",
        "the events there are besides event 0 and those that a client binds",
    )
    shared_events: bool = _knob(
        True,
        "DEN0054C 5.1, v7 patch 3",
        "EVENT_ROUTING_SET, INTERRUPT_BIND and INTERRUPT_RELEASE exist; off: NOT_SUPPORTED",
    )
    private_bind_slots: int = _knob(
        2, "DEN0054C 5.1.17", "how many private interrupts can be bound at a time; 2 is recommended"
    )
    shared_bind_slots: int = _knob(
        2, "DEN0054C 5.1.17", "how many shared interrupts can be bound at a time; 2 is recommended"
    )
    private_slot_base: int = _knob(
        0x4000_0000, "DEN0054C 4.3", "event number of the first private slot"
    )
    shared_slot_base: int = _knob(
        0x4000_1000, "DEN0054C 4.3", "event number of the first shared slot"
    )
    relative_mode: bool = _knob(
        True,
        "DEN0054C 5.1.2",
        "an entry may be an offset from VBAR_EL1, as that is when the handler is entered; off:"
        " the flag is INVALID",
    )
    smc_conduit: bool = _knob(
        True, "DEN0054C 3.4", "SMC is answered as HVC is; off: nobody answers an SMC"
    )

    # -- the calls

    full_width_arguments: bool = _knob(
        False,
        "D10, patch 4; DEN0054C 5.1",
        "event numbers and selectors use all 64 bits; off: bits 63:32 are ignored, as the"
        " specification's 32-bit types say",
    )
    unsigned_event_number: bool = _knob(
        True,
        "D3, patch 6",
        "event numbers from 0x80000000 are INVALID in ENABLE and DISABLE; off: they pass as"
        " negative and index out of bounds",
    )
    preserve_x1_to_x3: bool = _knob(
        True, "DEN0054C 5.1, v7 patch 3", "a call changes x0 only; off: x1-x3 become zero"
    )
    allow_zero_entry: bool = _knob(
        True, "DEN0054C 5.1.2, TF-A", "EVENT_REGISTER takes entry 0; off: INVALID"
    )
    aligned_entry: bool = _knob(
        True,
        "DEN0054C 5.1.2",
        "EVENT_REGISTER refuses an entry that is no multiple of 4 as INVALID; off: it faults when"
        " the handler is entered",
    )
    reserved_flags_error: Result = _knob(
        _INVALID,
        "DEN0054C 5.1.2",
        "answer to reserved flags of EVENT_REGISTER, which must be zero; SUCCESS: ignored",
        (_INVALID, _DENIED, Result.SUCCESS),
    )
    ignore_private_routing: bool = _knob(
        True,
        "DEN0054C 5.1.2, TF-A",
        "EVENT_REGISTER ignores the routing of a private event; off: it must make sense",
    )
    strict_affinity_bits: bool = _knob(
        False,
        "DEN0054C 5.1.2, TF-A",
        "bits 63:40 and 31:24 of an affinity must be zero, else INVALID; off: they are ignored, so"
        " that MPIDR_EL1 serves as it reads (bit 31 is set). The specification names no error",
    )
    register_clears_pending: bool = _knob(
        True,
        "DEN0054C 6.2, TF-A",
        "EVENT_REGISTER forgets that the event's interrupt became pending before; off: it fires"
        " after EVENT_ENABLE. A signal sent before stays either way",
    )
    unregister_clears_pending: bool = _knob(
        True,
        "D4, patches 7 and 11",
        "UNREGISTER and PRIVATE_RESET drop a pending event; off: it fires after the next ENABLE",
    )
    context_index_first: bool = _knob(
        True,
        "TF-A, v7 patch 6",
        "EVENT_CONTEXT outside a handler looks at the index first: INVALID from 18; off: DENIED",
    )
    complete_answers_denied: bool = _knob(
        True,
        "DEN0054C 5.1.6, v7 patch 13",
        "COMPLETE and COMPLETE_AND_RESUME outside a handler answer DENIED; off: they write nothing",
    )
    bad_resume_addr_error: Result = _knob(
        _INVALID,
        "DEN0054C 5.1.7, TF-A",
        "answer to a resume address that is no multiple of 4; SUCCESS: it faults there",
        (_INVALID, _DENIED, Result.SUCCESS),
    )
    signaled_per_event: bool = _knob(
        True,
        "D10, patch 9",
        "EVENT_GET_INFO says that event 0 can be signalled (0); off: 1 for every event",
    )
    mask_tells_change: bool = _knob(
        True,
        "DEN0054C 5.1.12, v7 patch 10",
        "PE_MASK answers 1 where it masked the PE, 0 where that was masked; off: always 0",
    )
    signal_resolves_target: bool = _knob(
        True,
        "D7, patch 14",
        "EVENT_SIGNAL looks at the target PE in x2; off: it always signals the caller",
    )
    signal_unregistered: bool = _knob(
        True,
        "DEN0054C 5.1.16, v7 patch 14",
        "EVENT_SIGNAL reaches a PE without a handler and stays pending there; off: INVALID",
    )
    signal_strict: bool = _knob(
        False,
        "TF-A",
        "EVENT_SIGNAL to a PE that is masked, or where event 0 is not enabled, is INVALID; off:"
        " the event becomes pending",
    )
    masked_signal_waits: bool = _knob(
        True,
        "DEN0054C 5.1.16, TF-A",
        "event 0, pending on a PE that a handler has masked, waits for PE_UNMASK; off: it is lost"
        " when the handler completes",
    )
    reset_denied_while_running: bool = _knob(
        True,
        "DEN0054C 5.1.18, v7 patch 11",
        "PRIVATE_RESET and SHARED_RESET answer DENIED where a handler is running; off: SUCCESS",
    )

    # -- bound interrupts

    bind_secure_intr_error: Result = _knob(
        _INVALID,
        "DEN0054C 5.1.14, TF-A",
        "answer to binding an interrupt that is not the client's",
        (_INVALID, _DENIED),
    )
    bind_refuses_active: bool = _knob(
        True,
        "DEN0054C 5.1.14, TF-A",
        "INTERRUPT_BIND refuses an interrupt that is active; off: EVENT_REGISTER and"
        " INTERRUPT_RELEASE do",
    )
    status_of_released_event: Result = _knob(
        _INVALID,
        "DEN0054C 5.1.15, TF-A",
        "what EVENT_STATUS says of a slot without interrupt; SUCCESS: 0, the event number stays"
        " known though it cannot be registered",
        (_INVALID, Result.SUCCESS),
    )

    # -- delivery and completion

    skip_disabled_events: bool = _knob(
        True,
        "D1, patch 12",
        "delivery looks past a pending event that is disabled; off: the search never ends",
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
    exception_pstate: bool = _knob(
        True,
        "DEN0054C table 5, v7 patch 12",
        "a handler starts with the PSTATE that an exception to EL1 would; off: with the interrupted"
        " one, but DAIF and EL1h set",
    )
    mask_waits_for_completion: bool = _knob(
        True,
        "DEN0054C 5.1.12, TF-A",
        "PE_MASK in a handler masks when the handler completes, critical events come until then;"
        " off: at once",
    )
    cr_other_pstate: OtherBits = _knob(
        OtherBits.INTERRUPTED,
        "DEN0054C 5.2.2, TF-A",
        "bits of PSTATE that COMPLETE_AND_RESUME is not told how to set",
        tuple(OtherBits),
    )
    request_after_complete: bool = _knob(
        True,
        "D2, patch 13",
        "completing a handler delivers what became pending meanwhile; off: it needs a new trigger",
    )

    # -- resets and migration

    reset_clears_state: bool = _knob(
        True,
        "D11, patch 3",
        "a reset masks the PE and unregisters its events; off: nothing is touched",
    )
    power_off_completes: bool = _knob(
        True,
        "DEN0054C 6.5",
        "PSCI SYSTEM_OFF, SYSTEM_RESET, CPU_OFF and CPU_FREEZE in a handler complete it first and"
        " mask the PE; off: nothing is touched",
    )
    cpu_on_keeps_handlers: bool = _knob(
        True,
        "DEN0054C 6.5, TF-A",
        "PSCI CPU_ON masks the PE and leaves private events registered; off: it unregisters them",
    )
    migration_registers: bool = _knob(
        False, "v7 patch 19", "the state can be read and set as KVM's pseudo firmware registers"
    )
    strict_register_values: bool = _knob(
        False,
        "D5, patch 19",
        "setting such a register to a value that means nothing is EINVAL; off: what is left of it"
        " is taken",
    )
    whole_context_register: bool = _knob(
        True,
        "D6, patch 19",
        "reading SDEI_EVENT_CONTEXT gives all its 256 bytes; off: the 160 that mean something",
    )

    def __post_init__(self) -> None:
        numbers = [SW_SIGNALED_EVENT, *self.private_slots(), *self.shared_slots()]
        numbers += [event.number for event in self.platform_events]
        if len(set(numbers)) < len(numbers) or max(numbers) >> 31:
            raise ProfileError(
                "event numbers, of slots too, are different 31-bit numbers, and 0 is taken; these"
                f" are {', '.join(map(hex, sorted(numbers)))}"
            )
        for event in self.platform_events:
            fits = is_spi if event.shared else is_ppi
            if event.interrupt is not None and not fits(event.interrupt):
                raise ProfileError(
                    f"event {event.number:#x}: {event.interrupt} is no interrupt for it; a private"
                    " event has a PPI, a shared one an SPI"
                )

    def private_slots(self) -> range:
        """Return the event numbers of the private slots."""
        return range(self.private_slot_base, self.private_slot_base + self.private_bind_slots)

    def shared_slots(self) -> range:
        """Return the event numbers of the shared slots."""
        return range(self.shared_slot_base, self.shared_slot_base + self.shared_bind_slots)

    def replace(self, **knobs: Any) -> "Profile":
        """Return a copy with some knobs set.

        Raises
        ------
        ProfileError
            No such knob, or a value that it cannot have.
        """
        for name, value in knobs.items():
            if name not in KNOBS:
                raise ProfileError(f"no knob {name!r}: choose from {', '.join(KNOBS)}")
            if not _fits(name, value):
                raise ProfileError(f"{name} wants {_kind(name)}, not {value!r}")
            # Bit 63 of what SDEI_VERSION returns is zero, else it would be an error.
            bits = 31 if name == "version" else 32
            if KNOBS[name].type is int and value >> bits:
                raise ProfileError(f"{name} is an unsigned {bits}-bit number; {value:#x} is not")
            if name.endswith("_bind_slots") and value > MAX_SLOTS:
                raise ProfileError(f"{name} is at most {MAX_SLOTS}, not {value}")
        return dataclasses.replace(self, **knobs)

    def set(self, assignment: str) -> "Profile":
        """Return a copy changed by ``KNOB=VALUE``, as the command line gives it.

        >>> profile("kvm-v7").set("kick_on_raise=off").kick_on_raise
        False
        >>> profile("den0054c").set("bad_resume_addr_error=DENIED").bad_resume_addr_error
        <Result.DENIED: -3>
        """
        name, equals, text = assignment.partition("=")
        if not equals or name not in KNOBS:
            raise ProfileError(
                f"--set {assignment!r}: want KNOB=VALUE with a knob of: {', '.join(KNOBS)}"
            )
        return self.replace(**{name: _parse(name, text)})


KNOBS: Final = {f.name: f for f in dataclasses.fields(Profile) if f.name != "name"}
"""Every knob; ``metadata`` holds its ``source``, ``meaning`` and, of a choice, its ``choices``."""

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


def word(value: Any) -> str:
    """Return a knob's value as `Profile.set` reads it, where it reads it.

    >>> [word(v) for v in (True, 0x10001, Result.INVALID_PARAMETERS, OtherBits.ZERO)]
    ['on', '0x10001', 'INVALID', 'zero']
    """
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Result):
        return value.name.removesuffix("_PARAMETERS")
    if isinstance(value, tuple):
        return f"{len(value)} event{'' if len(value) == 1 else 's'}"
    return str(value) if isinstance(value, str) or value < 10_000 else hex(value)


def _choices(name: str) -> tuple[Any, ...]:
    choices: tuple[Any, ...] = KNOBS[name].metadata["choices"]
    return choices


def _kind(name: str) -> str:
    if choices := [word(choice) for choice in _choices(name)]:
        return f"{', '.join(choices[:-1])} or {choices[-1]}"
    if name == "platform_events":
        return "a tuple of EventDefinition, in Python"
    return "on or off" if KNOBS[name].type is bool else "a number"


def _fits(name: str, value: Any) -> bool:
    if choices := _choices(name):
        return any(value is choice for choice in choices)
    if name == "platform_events":
        return type(value) is tuple and all(type(event) is EventDefinition for event in value)
    return type(value) is KNOBS[name].type


def _parse(name: str, text: str) -> Any:
    if choices := _choices(name):
        for choice in choices:
            names = {word(choice), choice.name} if isinstance(choice, Result) else {word(choice)}
            if text.lower() in {n.lower() for n in names}:
                return choice
    elif KNOBS[name].type is bool:
        if text.lower() in _WORDS:
            return _WORDS[text.lower()]
    elif KNOBS[name].type is int:
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


_DEN0054C: Final = Profile("den0054c")

_KVM_V7: Final = Profile(
    "kvm-v7",
    vendor=VENDOR_KVM,
    platform_events=(EventDefinition(1),),
    shared_events=False,
    private_bind_slots=0,
    shared_bind_slots=0,
    relative_mode=False,
    smc_conduit=False,
    preserve_x1_to_x3=False,
    aligned_entry=False,
    register_clears_pending=False,
    context_index_first=False,
    complete_answers_denied=False,
    bad_resume_addr_error=Result.SUCCESS,
    signaled_per_event=False,
    mask_tells_change=False,
    signal_resolves_target=False,
    signal_unregistered=False,
    reset_denied_while_running=False,
    keep_x4_to_x17=False,
    exception_pstate=False,
    mask_waits_for_completion=False,
    power_off_completes=False,
    cpu_on_keeps_handlers=False,
    migration_registers=True,
)

_KVM_V7_LITERAL: Final = dataclasses.replace(
    _KVM_V7,
    name="kvm-v7-literal",
    skip_disabled_events=False,
    request_after_complete=False,
    unsigned_event_number=False,
    unregister_clears_pending=False,
    kick_on_raise=False,
    whole_context_register=False,
    reset_clears_state=False,
)

_TF_A: Final = Profile(
    "tf-a",
    version=0x0001_0000,
    platform_events=(
        EventDefinition(804, critical=True, interrupt=22),
        EventDefinition(805, shared=True, critical=True, interrupt=40),
        *(EventDefinition(n, critical=n >= 5003) for n in range(5000, 5005)),
    ),
    private_bind_slots=3,
    shared_bind_slots=3,
    private_slot_base=1000,
    shared_slot_base=2000,
    relative_mode=False,
    allow_zero_entry=False,
    aligned_entry=False,
    ignore_private_routing=False,
    bad_resume_addr_error=_DENIED,
    signal_strict=True,
    masked_signal_waits=False,
    bind_secure_intr_error=_DENIED,
    bind_refuses_active=False,
    status_of_released_event=Result.SUCCESS,
    mask_waits_for_completion=False,
    cr_other_pstate=OtherBits.ZERO,
    cpu_on_keeps_handlers=False,
)

PROFILES: Final = {p.name: p for p in (_KVM_V7, _KVM_V7_LITERAL, _DEN0054C, _TF_A)}
"""The series with what hangs or loses events mended, the series to the letter, the whole
specification, and real firmware where it differs.

=============  ====================  ===================================================
``den0054c``   0x4040_0000, _0001    private, no interrupt: normal, critical
\\              0x4040_0016, _0017    private, PPI 22 and 23: normal, critical
\\              0x4040_0028, _0029    shared, SPI 40 and 41: normal, critical
\\              0x4000_0000, _0001    slots for private interrupts
\\              0x4000_1000, _1001    slots for shared interrupts
``tf-a``       804                   private, PPI 22: critical
\\              805                   shared, SPI 40: critical
\\              5000-5002             private, no interrupt: normal
\\              5003, 5004            private, no interrupt: critical
\\              1000-1002             slots for private interrupts
\\              2000-2002             slots for shared interrupts
``kvm-v7...``  1                     private, no interrupt: normal
=============  ====================  ===================================================
"""


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
