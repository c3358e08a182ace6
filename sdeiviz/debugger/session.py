"""A debugging session: the commands of a debugger over a recording."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sdeiviz.debugger.listing import Listing
from sdeiviz.debugger.recording import DEFAULT_LIMIT, Recording
from sdeiviz.debugger.snapshot import (
    SYSTEM_REGISTERS,
    ContextView,
    HandlerView,
    Line,
    Registers,
    Snapshot,
)
from sdeiviz.errors import Error
from sdeiviz.guests import Image
from sdeiviz.machine import Stop, StopReason, VirtualMachine
from sdeiviz.machine.scheduler import FOREVER
from sdeiviz.sdei import Profile
from sdeiviz.trace import (
    Defect,
    EventCompleted,
    EventDelivered,
    EventRaised,
    HostInput,
    Hypercall,
    MaskChanged,
    Stopped,
    Trace,
    is_sdei,
)

_KINDS: Final[tuple[tuple[type, str], ...]] = (
    (Defect, "defect"),
    (Stopped, "stop"),
    (EventDelivered, "deliver"),
    (EventCompleted, "complete"),
    (HostInput, "input"),
    (EventRaised, "raise"),
    (MaskChanged, "mask"),
    (Hypercall, "call"),
)
"""Kinds of moments, the most telling first: it stands for all that happened at one index."""


class Session:
    """Steps a guest forward and back.

    Parameters
    ----------
    image
        Name of a bundled guest, or path of an image.
    profile
        Name of an SDEI profile, or a `Profile`.
    memory_limit
        Bytes of host memory for the recording.
    options
        Whatever else `VirtualMachine` takes.

    Examples
    --------
    >>> session = Session("hello")
    >>> session.step(3)
    >>> session.step_back()
    >>> session.index, session.total
    (2, 3)
    """

    def __init__(
        self,
        image: str | Path | Image,
        profile: str | Profile = "kvm-v7",
        *,
        memory_limit: int = DEFAULT_LIMIT,
        **options: Any,
    ) -> None:
        self._vm = VirtualMachine(image, profile=profile, **options)
        self._recording = Recording(self._vm, memory_limit)
        self._listing = Listing(self._vm)
        self._breakpoints: set[int] = set()
        self._previous: Registers | None = None
        self._moments: list[tuple[int, str]] = []
        self._moments_of = self._moments_cuts = 0
        self._stand()

    # -- where it is

    @property
    def index(self) -> int:
        """Instructions executed up to the moment shown."""
        return self._recording.index

    @property
    def total(self) -> int:
        """The furthest index recorded."""
        return self._recording.end

    @property
    def trace(self) -> Trace:
        """Every event recorded, also those after the moment shown."""
        return self._recording.trace

    @property
    def image(self) -> Image:
        """The guest."""
        return self._vm.image

    @property
    def profile(self) -> Profile:
        """The SDEI implementation."""
        return self._vm.profile

    # -- moving

    def step(self, count: int = 1) -> None:
        """Execute `count` instructions; an instruction that takes an exception counts as one."""
        target = self.index + _count(count)
        with self._command():
            while self.index < target and self._recording.advance(target) is None:
                pass

    def step_back(self, count: int = 1) -> None:
        """Go back by `count` instructions, to the start at most."""
        self.goto(max(self.index - _count(count), 0))

    def goto(self, index: int) -> None:
        """Go to a recorded index.

        Raises
        ------
        RecordingError
            Nothing is recorded there.
        """
        _integer(index)
        with self._command():
            self._recording.goto(index)

    def start(self) -> None:
        """Go to the first instruction."""
        self.goto(0)

    def next_sdei(self) -> Stop | None:
        """Go to just after the next instruction at which something of SDEI happened.

        Runs on where nothing is recorded yet; returns what stopped the machine, None where the
        moment was reached.
        """
        with self._command():
            for event in self.trace[self._recording.events_until(self.index) :]:
                if is_sdei(event):
                    self._recording.goto(event.index)
                    return None
            self._recording.goto(self.total)
            while (stop := self._recording.advance(FOREVER, until_sdei=True)) is None:
                pass
        return None if stop.reason is StopReason.MOMENT else stop

    def previous_sdei(self) -> None:
        """Go back to just after the SDEI moment before this one, or to the start."""
        past = self.trace[: self._recording.events_until(self.index - 1)]
        self.goto(next((event.index for event in reversed(past) if is_sdei(event)), 0))

    def run(self, instructions: int | None = None) -> Stop:
        """Go on to a breakpoint, the machine's end, `request_stop`, or so many instructions."""
        target = FOREVER if instructions is None else self.index + _count(instructions)
        with self._command():
            while (stop := self._advance(target)) is None:
                pass
        return stop

    def run_slice(self) -> Stop | None:
        """Go on as `run` does for some 30 ms of host time; None while there is more."""
        stop = self._advance(FOREVER)
        if stop is not None:
            self._stand()
        return stop

    def run_back(self) -> bool:
        """Go back to when a breakpoint was last reached; else to the start, and return False."""
        recording = self._recording
        limit = self.index - 1
        with self._command():
            for keyframe in reversed([k for k in recording.keyframes if k.index <= limit]):
                hits = self._breakpoint_hits(keyframe.index, limit)
                if hits:
                    recording.goto(hits[-1])
                    return True
                limit = keyframe.index - 1
            recording.goto(0)
        return False

    def _breakpoint_hits(self, start: int, end: int) -> list[int]:
        """Return the indices from start to end at which a breakpoint was about to run."""
        recording = self._recording
        recording.goto(start)
        hits = [start] if self._vm.vcpus[0].pc in self._breakpoints else []
        self._stand()
        self._arm(True)
        try:
            while self.index < end:
                stop = recording.advance(end)
                if stop is not None and stop.reason is StopReason.INTERRUPTED:
                    raise KeyboardInterrupt
                if stop is not None and stop.reason is StopReason.BREAKPOINT:
                    hits.append(self.index)
        finally:
            self._arm(False)
        if self.index == end and end not in hits and self._vm.vcpus[0].pc in self._breakpoints:
            hits.append(end)
        return hits

    def _advance(self, target: int) -> Stop | None:
        self._arm(True)
        try:
            return self._recording.advance(target)
        finally:
            self._arm(False)

    @contextmanager
    def _command(self) -> Iterator[None]:
        """Surround a move: what it changes is marked, and Ctrl-C ends it between instructions."""
        self._moving()
        try:
            with self._vm.interruptible() as interrupted:
                yield
        finally:
            self._stand()
        if interrupted:
            raise KeyboardInterrupt

    def _stand(self) -> None:
        """Let a breakpoint here not stop what goes on from here."""
        self._vm.vcpus[0].core.standing_at = self.index

    def request_stop(self) -> None:
        """Make `run` come back soon; also from another thread."""
        self._vm.request_stop()

    def moving(self) -> None:
        """Remember the registers as shown now, to mark what differs at the next moment."""
        self._moving()

    def _moving(self) -> None:
        self._previous = self._registers()

    # -- breakpoints

    @property
    def breakpoints(self) -> tuple[int, ...]:
        """Virtual addresses at which `run` and `run_back` stop."""
        return tuple(sorted(self._breakpoints))

    def toggle_breakpoint(self, address: int | str) -> bool:
        """Set or remove a breakpoint at an address or a symbol; returns whether it is set now."""
        if isinstance(address, str):
            found = self.image.symbols.address_of(address)
            if found is None:
                raise Error(f"no symbol {address!r} in {self.image.name}")
            address = found
        if address % 4 or not 0 <= address < 1 << 64:
            raise Error(f"no instruction can be at {address:#x}: want a multiple of 4")
        self._breakpoints ^= {address}
        return address in self._breakpoints

    def _arm(self, on: bool) -> None:
        core = self._vm.vcpus[0].core
        wanted = self.breakpoints if on else ()
        if core.breakpoints != wanted:
            core.breakpoints = wanted

    # -- the host's hand

    def inject_event(self, event: int, *, immediate: bool = False) -> int:
        """Raise an event from the host; 0, -ENOENT or -EBUSY."""
        self._moving()
        result: int = self._recording.act("inject_event", event, immediate=immediate)
        return result

    def cancel_event(self, event: int) -> int:
        """Withdraw a pending event; 0, -ENOENT or -EBUSY."""
        self._moving()
        result: int = self._recording.act("cancel_event", event)
        return result

    def write_register(self, name: str, value: int) -> None:
        """Set a register. In the past, this begins another history."""
        self._moving()
        self._recording.act("write_register", name, value)

    def write_memory(self, ipa: int, data: bytes) -> None:
        """Write RAM. In the past, this begins another history."""
        self._moving()
        self._recording.act("write_memory", ipa, data)

    def send_console(self, text: str) -> None:
        """Let the guest read characters from its UART."""
        self._recording.act("send_console", text)

    # -- looking

    def moments(self) -> list[tuple[int, str]]:
        """Return (index, kind) wherever SDEI, the host or a stop left something in the trace."""
        trace = self.trace
        if self._moments_cuts != self._recording.cuts:
            self._moments, self._moments_of = [], 0
            self._moments_cuts = self._recording.cuts
        for event in trace[self._moments_of :]:
            rank = next((n for n, (cls, _) in enumerate(_KINDS) if isinstance(event, cls)), None)
            if rank is None or (isinstance(event, Hypercall) and not is_sdei(event)):
                continue
            kind = _KINDS[rank][1]
            if self._moments and self._moments[-1][0] == event.index:
                kinds = [name for _, name in _KINDS]
                if rank < kinds.index(self._moments[-1][1]):
                    self._moments[-1] = (event.index, kind)
            else:
                self._moments.append((event.index, kind))
        self._moments_of = len(trace)
        return self._moments

    def listing(self) -> tuple[Line, ...] | None:
        """Return the whole program's listing where it is small, else None."""
        return self._listing.program()

    def read_memory(self, ipa: int, size: int) -> bytes:
        """Return bytes of RAM."""
        return self._vm.memory[ipa : ipa + size]

    def snapshot(self) -> Snapshot:
        """Return the moment shown, as plain values."""
        vm = self._vm
        vcpu = vm.vcpus[0]
        sdei = vcpu.sdei
        return Snapshot(
            image=vm.image.name,
            profile=vm.profile.name,
            index=self.index,
            total=self.total,
            time=vm.time,
            vcpu=vcpu.number,
            registers=self._registers(),
            previous=self._previous,
            masked=sdei.masked,
            handlers=tuple(
                HandlerView(h.event, h.state, h.pending, h.entry, h.argument)
                for h in sdei.handlers.values()
            ),
            contexts=tuple(ContextView(c.event, c.pc, c.pstate, tuple(c.x)) for c in sdei.contexts),
            trace=self.trace,
            now=self._recording.events_until(self.index),
            listing=self._listing.around(vcpu.pc),
            symbol=vm.image.symbols.name_at(vcpu.pc) or "",
            console=vm.console,
            stopped=vm.stopped.detail if vm.stopped else "",
            breakpoints=self.breakpoints,
            forked=self._recording.cuts > 0,
        )

    def _registers(self) -> Registers:
        core = self._vm.vcpus[0].core
        pc, pstate = core.where()
        return Registers(
            tuple(core.x), core.sp, pc, pstate, *core.system_registers(SYSTEM_REGISTERS)
        )


def _integer(value: object) -> int:
    if not isinstance(value, int):
        raise Error(f"{value!r:.40} is no index: want a whole number")
    return value


def _count(value: object) -> int:
    """Refuse what is no number of instructions."""
    if not isinstance(value, int) or not 0 <= value < FOREVER >> 1:
        raise Error(f"{value!r:.40} is no number of instructions: want one from 0 on")
    return value
