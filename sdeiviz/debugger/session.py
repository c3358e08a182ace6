"""A debugging session: the commands of a debugger over a recording."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from struct import unpack
from typing import Any, Final, Self

from sdeiviz.abi.apf import BLOCK_SHARED
from sdeiviz.abi.sdei import RoutingMode
from sdeiviz.apf import VcpuApf
from sdeiviz.debugger.listing import Listing
from sdeiviz.debugger.recording import DEFAULT_LIMIT, Recording
from sdeiviz.debugger.snapshot import (
    SYSTEM_REGISTERS,
    ApfView,
    ContextView,
    HandlerView,
    Line,
    PagesView,
    PeView,
    Registers,
    SlotView,
    Snapshot,
)
from sdeiviz.errors import Error
from sdeiviz.guests import Image
from sdeiviz.machine import GuestMemoryError, Stop, StopReason, VirtualMachine
from sdeiviz.machine.gic import Interrupt
from sdeiviz.machine.scheduler import FOREVER
from sdeiviz.machine.vcpu import Vcpu
from sdeiviz.sdei import Profile
from sdeiviz.sdei.events import EventHandler
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
        vm = VirtualMachine(image, profile=profile, **options)
        self._open(Recording(vm, memory_limit))

    @classmethod
    def over(cls, recording: Recording) -> Self:
        """Return a session over a recording that is there already, such as of a guest that came.

        See `sdeiviz.migration.live.serve`.
        """
        session = cls.__new__(cls)
        session._open(recording)
        return session

    def _open(self, recording: Recording) -> None:
        self._vm = recording.vm
        self._recording = recording
        self._listing = Listing(self._vm)
        self._breakpoints: set[int] = set()
        self._previous: tuple[Registers, ...] | None = None
        self._selected: int | None = None
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

    # -- which vCPU is looked at

    @property
    def vcpu(self) -> int:
        """Number of the vCPU shown: the one selected, else the one whose turn it is."""
        return self._vm.current.number if self._selected is None else self._selected

    def select(self, vcpu: int | None) -> None:
        """Look at one vCPU from now on; None: always at the one whose turn it is.

        Raises
        ------
        Error
            There is no such vCPU.
        """
        self._selected = None if vcpu is None else self._number(vcpu)

    def _number(self, vcpu: object) -> int:
        """Return a vCPU's number, by default that of the one shown."""
        if vcpu is None:
            return self.vcpu
        count = len(self._vm.vcpus)
        if not isinstance(vcpu, int) or not 0 <= vcpu < count:
            raise Error(f"no vCPU {vcpu!r:.40}: this machine has {count}, numbered from 0")
        return vcpu

    # -- moving

    def step(self, count: int = 1, *, vcpu: int | None = None) -> None:
        """Execute `count` instructions; an instruction that takes an exception counts as one.

        Parameters
        ----------
        count
            How many.
        vcpu
            Count those of this vCPU only, and step over the others' turns. By default, each
            instruction counts, whoever's turn it is.
        """
        if vcpu is None:
            target = self.index + _count(count)
            with self._command():
                while self.index < target and self._advance_once(target) is None:
                    pass
        else:
            for _ in range(_count(count)):
                if self.step_vcpu(vcpu) is not None:
                    break

    def step_vcpu(self, vcpu: int) -> Stop | None:
        """Go on until a vCPU has executed one instruction, over the turns of others.

        Returns what stopped the machine before, None where nothing did.

        Raises
        ------
        Error
            It is switched off, or there is no such vCPU.
        """
        vm, number = self._vm, self._number(vcpu)
        if not vm.vcpus[number].on:
            raise Error(f"vCPU {number} is switched off: it executes nothing")
        with self._command():
            while vm.current.number != number and vm.vcpus[number].on:
                stop = self._advance_once(vm.scheduler.limit(FOREVER))
                if stop is not None:
                    return stop
            target = self.index + 1
            while vm.current.number == number and self.index < target:
                stop = self._advance_once(target)
                if stop is not None:
                    return stop
        return None

    def _advance_once(self, target: int) -> Stop | None:
        """Advance for a slice of host time; None also where it reached the index."""
        stop = self._recording.advance(target)
        return None if stop and stop.reason is StopReason.BUDGET else stop

    def step_back(self, count: int = 1) -> None:
        """Go back by `count` instructions, to the start at most."""
        self.goto(max(self.index - _count(count), self._recording.start))

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
        self.goto(self._recording.start)

    def next_sdei(self) -> Stop | None:
        """Go to just after the next instruction at which something of SDEI happened.

        Runs on where nothing is recorded yet; returns what stopped the machine, None where the
        moment was reached.
        """
        with self._command():
            for event in self.trace[self._recording.happened :]:
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
        self.goto(
            next((event.index for event in reversed(past) if is_sdei(event)), self._recording.start)
        )

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
            recording.goto(recording.start)
        return False

    def _breakpoint_hits(self, start: int, end: int) -> list[int]:
        """Return the indices from start to end at which a breakpoint was about to run."""
        recording = self._recording
        recording.goto(start)
        hits = [start] if self._vm.current.pc in self._breakpoints else []
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
        if self.index == end and end not in hits and self._vm.current.pc in self._breakpoints:
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
        """Let a breakpoint here not stop what goes on from here, whoever's turn it is."""
        for vcpu in self._vm.vcpus:
            vcpu.core.standing_at = self.index

    def request_stop(self) -> None:
        """Make `run` come back soon; also from another thread."""
        self._vm.request_stop()

    def registers(self) -> tuple[Registers, ...]:
        """Return the registers of every vCPU."""
        return tuple(map(_registers, self._vm.vcpus))

    def _moving(self) -> None:
        """Remember the registers as shown now, to mark what differs at the next moment."""
        self._previous = self.registers()

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
        wanted = self.breakpoints if on else ()
        for vcpu in self._vm.vcpus:
            if vcpu.core.breakpoints != wanted:
                vcpu.core.breakpoints = wanted

    # -- the host's hand

    def inject_event(self, event: int, *, immediate: bool = False, vcpu: int | None = None) -> int:
        """Raise an event from the host, by default on the vCPU shown.

        Returns 0, -ENOENT, -EINVAL or -EBUSY, see `sdeiviz.sdei.Dispatcher.inject_event`.
        """
        number = self._number(vcpu)
        result: int = self._act("inject_event", event, immediate=immediate, vcpu=number)
        return result

    def cancel_event(self, event: int, *, vcpu: int | None = None) -> int:
        """Withdraw a pending event, by default of the vCPU shown; 0, -ENOENT or -EBUSY."""
        result: int = self._act("cancel_event", event, vcpu=self._number(vcpu))
        return result

    def write_register(self, name: str, value: int, *, vcpu: int | None = None) -> None:
        """Set a register, by default of the vCPU shown; in the past, another history begins."""
        self._act("write_register", name, value, vcpu=self._number(vcpu))

    def write_memory(self, ipa: int, data: bytes) -> None:
        """Write RAM. In the past, this begins another history."""
        self._act("write_memory", ipa, data)

    def evict_page(self, gfn: int) -> None:
        """Take a page away from the guest; see `VirtualMachine.evict_page`."""
        self._act("evict_page", gfn)

    def send_console(self, text: str) -> None:
        """Let the guest read characters from its UART."""
        self._recording.act("send_console", text)

    def _act(self, method: str, *arguments: Any, **options: Any) -> Any:
        self._moving()
        return self._recording.act(method, *arguments, **options)

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
        vcpu = vm.vcpus[self.vcpu]
        return Snapshot(
            image=vm.image.name,
            profile=vm.profile.name,
            index=self.index,
            total=self.total,
            time=vm.time,
            vcpu=vcpu.number,
            pinned=self._selected is not None,
            pes=tuple(map(self._pe, vm.vcpus)),
            slots=tuple(
                SlotView(event, shared, vm.dispatcher.vm.bindings.get(event))
                for event, shared in vm.dispatcher.vm.slots.items()
            ),
            interrupts=tuple(filter(_is_worth_showing, vm.gic.rows())),
            registers=_registers(vcpu),
            previous=self._previous[vcpu.number] if self._previous else None,
            trace=self.trace,
            now=self._recording.happened,
            listing=self._listing.around(vcpu),
            console=vm.console,
            stopped=vm.stopped.detail if vm.stopped else "",
            breakpoints=self.breakpoints,
            accounts=tuple(vcpu.account.at(vm.time) for vcpu in vm.vcpus),
            apf=tuple(_apf(vm, state) for state in vm.apf.vcpus) if vm.apf else (),
            apf_mode=vm.apf.mode.name if vm.apf else "",
            pages=_pages(vm),
            forked=self._recording.cuts > 0,
        )

    def _pe(self, vcpu: Vcpu) -> PeView:
        pc, pstate = vcpu.where()
        return PeView(
            number=vcpu.number,
            affinity=vcpu.mpidr,
            on=vcpu.on,
            waiting=vcpu.waiting,
            current=vcpu is self._vm.current,
            masked=vcpu.sdei.masked,
            handlers=tuple(map(_handler, vcpu.sdei.handlers.values())),
            contexts=tuple(ContextView(c.event, c.pc, c.pstate, c.x) for c in vcpu.sdei.contexts),
            pc=pc,
            pstate=pstate,
            symbol=self.image.symbols.name_at(pc) or "",
        )


def _handler(handler: EventHandler) -> HandlerView:
    return HandlerView(
        event=handler.event,
        state=handler.state,
        pending=handler.pending,
        entry=handler.entry,
        argument=handler.argument,
        relative=handler.relative,
        shared=handler.shared,
        critical=handler.critical,
        interrupt=handler.interrupt,
        routed_to=handler.affinity if handler.routing_mode == RoutingMode.RM_PE else None,
        running_on=handler.running_on,
    )


def _apf(vm: VirtualMachine, state: VcpuApf) -> ApfView:
    block: bytes | None = None
    if state.enabled:
        with suppress(GuestMemoryError):
            block = vm.memory[state.block : state.block + BLOCK_SHARED]
    reason, token = unpack("<2I", block) if block else (None, None)
    return ApfView(
        vcpu=state.number,
        enabled=state.enabled,
        control=state.control,
        block=state.block,
        reason=reason,
        token=token,
        not_present=state.not_present,
        page_ready=state.page_ready,
        halted=state.halted,
        pending=tuple((work.gfn, work.token) for work in state.pending),
        done=tuple((work.gfn, work.token) for work in state.done),
        faults=state.counters.faults,
        asynchronous=dict(state.counters.asynchronous),
        synchronous=dict(state.counters.synchronous),
    )


def _pages(vm: VirtualMachine) -> PagesView | None:
    pager = vm.pager
    if pager is None:
        return None
    pages = pager.pageable
    return PagesView(
        first=pager.gfn(pages.start),
        states=bytes(pager.states[pages.start : pages.stop]),
        resident=pager.resident,
        limit=pager.paging.resident,
    )


def _is_worth_showing(interrupt: Interrupt) -> bool:
    # SGIs are always enabled.
    enabled = interrupt.enabled and interrupt.intid >= 16
    return enabled or interrupt.pending or interrupt.active or interrupt.line or interrupt.owned


def _registers(vcpu: Vcpu) -> Registers:
    core = vcpu.core
    pc, pstate = core.where()
    return Registers(tuple(core.x), core.sp, pc, pstate, *core.system_registers(SYSTEM_REGISTERS))


def _integer(value: object) -> int:
    if not isinstance(value, int):
        raise Error(f"{value!r:.40} is no index: want a whole number")
    return value


def _count(value: object) -> int:
    """Refuse what is no number of instructions."""
    if not isinstance(value, int) or not 0 <= value < FOREVER >> 1:
        raise Error(f"{value!r:.40} is no number of instructions: want one from 0 on")
    return value
