"""The machine: RAM, devices and vCPUs put together, and the loop that runs them.

The machine is QEMU's `virt` as far as it goes: RAM at 0x4000_0000, a GIC at 0x0800_0000, a PL011 at
0x0900_0000, PSCI by HVC. A guest starts on vCPU 0 at EL1h with everything masked, MMU and caches
off, x0 the address of the device tree and all other registers zero.
"""

import re
import signal
import threading

# The wrapper in `signal` turns numbers into enumerations, which takes a fifth of a step's time.
from _signal import signal as set_signal_handler  # type: ignore[import-not-found]
from array import array
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Literal

from sdeiviz.abi import esr, pstate
from sdeiviz.abi.kvm import CAP_ARM_SDEI
from sdeiviz.abi.sdei import AFFINITY, is_ppi
from sdeiviz.abi.smccc import MASK64
from sdeiviz.apf import AsyncPageFault
from sdeiviz.cpu import CoreError, End
from sdeiviz.cpu.registers import HCR_TID3, HCR_TPU, HCR_TTLB
from sdeiviz.errors import Error
from sdeiviz.guests import Image, load
from sdeiviz.machine import apf
from sdeiviz.machine import state as vm_state
from sdeiviz.machine.accounts import Activity
from sdeiviz.machine.bus import Bus, connect
from sdeiviz.machine.devicetree import Platform, device_tree
from sdeiviz.machine.gicv2 import MOST_PES, Gic2
from sdeiviz.machine.gicv3 import Gic3
from sdeiviz.machine.interrupts import OwnedInterrupts
from sdeiviz.machine.memory import DEFAULT_SIZE, PAGE, PAGE_SHIFT, RAM_BASE, GuestMemory
from sdeiviz.machine.oneshot import OneShotTimer
from sdeiviz.machine.paging import Pager, Paging, pageable
from sdeiviz.machine.scheduler import DEFAULT_QUANTUM, FOREVER, SHORTEST_QUANTUM, Scheduler
from sdeiviz.machine.smccc import Hypercalls
from sdeiviz.machine.stage2 import TABLES_BASE, Stage2
from sdeiviz.machine.state import VmState
from sdeiviz.machine.stops import Stop, StopReason
from sdeiviz.machine.timer import NS_PER_TICK
from sdeiviz.machine.uart import Pl011
from sdeiviz.machine.vcpu import REGISTERS, Vcpu
from sdeiviz.sdei import Dispatcher, Profile
from sdeiviz.sdei import profile as find_profile
from sdeiviz.trace import (
    AT,
    Console,
    HostInput,
    HostInputResult,
    Stopped,
    SystemReset,
    Trace,
    TraceEvent,
    TraceSink,
)

_PSTATE: Final = pstate.NZCV | pstate.DAIF | pstate.MODE
_MODES: Final = (pstate.EL0T, pstate.EL1T, pstate.EL1H)
PROBE: Final = "probe_"
"""How the names of a guest's functions begin that are there to be watched."""
SLICE_SECONDS: Final = 0.03
_SHORT_RUN: Final = 20_000
"""Instructions that need no watchdog."""
_GICS: Final = {2: MOST_PES, 3: 32}
"""Versions of the interrupt controller, and how many vCPUs a machine with it may have."""
# Looking up a member of an enumeration takes longer than it looks.
_OVERHEAD: Final = Activity.OVERHEAD
_RUN: Final = Activity.RUN
_SEVERAL_VCPUS: Final = HCR_TTLB | HCR_TPU
"""What exits besides where there are several: what a vCPU tells all others."""
_GIC3: Final = HCR_TID3
"""What exits besides with a GICv3: the question which GIC there is."""


class VirtualMachine:
    """A guest and the machine it runs on.

    Parameters
    ----------
    image
        Name of a bundled guest, path of an ELF file or (with `load_address`) of a flat image, or a
        loaded image.
    profile
        Name of an SDEI profile, or a `Profile`.
    memory
        Bytes of RAM from 0x4000_0000.
    load_address, entry
        Where a flat image goes; where to start instead of the image's entry.
    vcpus
        How many; all but the first are switched off until PSCI CPU_ON.
    gic
        Version of the interrupt controller, 2 or 3.
    dtb
        Address of the device tree: by default the start of RAM, or nowhere if the image is there.
    bootargs
        The command line that the device tree has for a kernel.
    quantum
        Instructions of a vCPU's turn, where there are several.
    clock
        "native", "python" or None for the best there is.
    paging
        How the host treats the guest's memory, None: all of it is always there, and async page
        fault is not offered.
    trace
        Where events go; a new `Trace` by default.

    Raises
    ------
    sdeiviz.Error
        Bad image, profile or size, or not enough memory.

    Examples
    --------
    >>> vm = VirtualMachine("hello")
    >>> vm.run().reason.value
    'power-off'
    """

    def __init__(
        self,
        image: str | Path | Image,
        *,
        profile: str | Profile = "kvm-v7",
        memory: int = DEFAULT_SIZE,
        load_address: int | None = None,
        entry: int | None = None,
        vcpus: int = 1,
        gic: Literal[2, 3] = 2,
        dtb: int | None = None,
        bootargs: str | None = None,
        quantum: int = DEFAULT_QUANTUM,
        clock: str | None = None,
        paging: Paging | None = None,
        trace: TraceSink | None = None,
    ) -> None:
        if gic not in _GICS:
            raise Error(f"no GICv{gic}: choose 2 or 3")
        if not 1 <= vcpus <= _GICS[gic]:
            raise Error(f"a machine with a GICv{gic} has 1 to {_GICS[gic]} vCPUs, not {vcpus}")
        if quantum < SHORTEST_QUANTUM:
            raise Error(f"a turn of {quantum} instructions: want {SHORTEST_QUANTUM} or more")
        self.profile = find_profile(profile) if isinstance(profile, str) else profile
        self.memory = GuestMemory(memory)
        if not isinstance(image, Image):
            image = load(image, load=load_address, entry=entry, ram_base=RAM_BASE, ram_size=memory)
        self.image = image
        self.stage2 = Stage2(self.memory)
        self.uart = Pl011()
        affinities = tuple(n // 16 << 8 | n % 16 for n in range(vcpus))
        self.gic: Gic2 | Gic3 = Gic2(vcpus) if gic == 2 else Gic3(vcpus, affinities)
        self.one_shot = OneShotTimer()
        self.bus = Bus()
        self.skipped_word = array("Q", (0,))
        """Holds `skipped`."""
        self.paging = paging
        self.pager: Pager | None = None
        self.apf: AsyncPageFault | None = None
        self.alarm: int | None = None
        """Virtual time at which to stop once."""
        self.deadline: int | None = None
        """Virtual time at which a timer is due next."""
        self.traps = _SEVERAL_VCPUS * (vcpus > 1) | _GIC3 * (gic == 3)
        trace = Trace() if trace is None else trace
        self.vcpus: list[Vcpu] = []
        self.dispatcher = Dispatcher(
            self.profile, trace.extend, self.vcpus, OwnedInterrupts(self.gic)
        )
        self.hypercalls = Hypercalls(self.dispatcher)
        for number, affinity in enumerate(affinities):
            self.vcpus.append(Vcpu(self, number, affinity, clock))
            self.vcpus[-1].core.tell_time(self.skipped_word, NS_PER_TICK)
        self.index_word = self.vcpus[0].core.index_word
        """Holds the index: it is the word of the core that runs."""
        self.scheduler = Scheduler(self, quantum)
        connect(self)
        self.gic.on_irq_change = self._irq_changed
        self.gic.on_owned_pending = self._owned_pending
        self.one_shot.on_line = self.uart.on_line = self.gic.set_line
        self.device_tree = device_tree(
            Platform(affinities, ram_size=memory, gic=gic, bootargs=bootargs)
        )
        self.dtb = self._place_device_tree(dtb)
        """Address of the device tree, 0 where there is none."""
        self.trace = trace
        self.stopped: Stop | None = None
        """Set while the machine cannot go on by itself."""
        self.on_output: Callable[[int], None] | None = None
        """Told of every byte the guest writes to its console."""
        self.until: re.Pattern[str] | None = None
        """Stop where the console's current line matches this."""
        self._passing: tuple[StopReason, str] | None = None
        self._stop_requested = False
        self._slice_ended = False
        self._reset_requested = False
        if paging:
            self._start_paging(paging)
        self.memory.on_write = self._written_by_host
        self._load_image()
        self._watch_probes()
        self._start()

    def _start_paging(self, paging: Paging) -> None:
        used = [(s.address, s.memory_size) for s in self.image.segments]
        used.append((self.dtb, len(self.device_tree) if self.dtb else 0))
        self.apf = apf.connect(self, paging.mode, paging.event, paging.irq)
        self.pager = Pager(self, paging, pageable(self.memory, used), self.apf)
        self.dispatcher.on_withdrawn = lambda vcpu, event: self._withdrawn(vcpu.number, event)
        self.hypercalls.add(apf.hypercalls(self.apf))

    def _withdrawn(self, vcpu: int, event: int) -> None:
        if self.apf:
            self.apf.event_withdrawn(vcpu, event)

    def _watch_probes(self) -> None:
        """Record whenever the guest comes to one of its own functions that are there for it."""
        symbols = self.image.symbols
        probes = {symbols.address_of(s): s for s in symbols.names if s.startswith(PROBE)}
        for vcpu in self.vcpus:
            vcpu.core.probes = {
                a: n.removeprefix(PROBE) for a, n in probes.items() if a is not None
            }

    def _owned_pending(self, intid: int, pe: int) -> None:
        self.stamp()
        self.dispatcher.interrupt_pending(intid, pe if is_ppi(intid) else None)
        if self.current.sdei.requested:
            # A guest that sets its timer does not exit, but the event comes right after.
            self.current.core.stop_by(self.index)

    def _irq_changed(self, pe: int, level: bool) -> None:
        self.vcpus[pe].core.irq = level

    def _place_device_tree(self, address: int | None) -> int:
        """Return where the device tree goes: the start of RAM, as QEMU does, unless told."""
        start = self.memory.base if address is None else address
        end = start + len(self.device_tree)
        taken = next(
            (s for s in self.image.segments if s.address < end and start < s.address + len(s.data)),
            None,
        )
        if address is None:
            return 0 if taken or end > self.memory.base + self.memory.size else start
        if start % 8 or start < self.memory.base or end > self.memory.base + self.memory.size:
            raise Error(f"no device tree at {start:#x}: want a multiple of 8 in RAM")
        if taken:
            raise Error(f"no device tree at {start:#x}: the image has {taken.address:#x} there")
        return start

    # -- what it is

    @property
    def clock(self) -> str:
        """Which clock counts: "native" or "python"."""
        return self.vcpus[0].core.clock.kind

    @property
    def index(self) -> int:
        """Instructions executed since power-on, by all vCPUs together."""
        return self.index_word[0]

    @index.setter
    def index(self, value: int) -> None:
        self.index_word[0] = value

    @property
    def time(self) -> int:
        """Virtual time in nanoseconds: one for each instruction, and what was skipped."""
        return self.index_word[0] + self.skipped_word[0]

    @property
    def skipped(self) -> int:
        """Nanoseconds of virtual time without an instruction: all waited, or the host worked."""
        return self.skipped_word[0]

    @skipped.setter
    def skipped(self, nanoseconds: int) -> None:
        self.skipped_word[0] = nanoseconds

    @property
    def is_late(self) -> bool:
        """Whether something is due that has not been done: the guest must not go on before."""
        return self.deadline is not None and self.time >= self.deadline

    @property
    def current(self) -> Vcpu:
        """The vCPU whose turn it is."""
        return self.scheduler.current

    @property
    def console(self) -> str:
        """Everything the guest has written to its UART."""
        return self.uart.output.decode("utf-8", "replace")

    def physical_memory(self) -> list[tuple[int, Any]]:
        """Return (address, buffer) of RAM and of the hypervisor's own memory."""
        return [(self.memory.base, self.memory.buffer), (TABLES_BASE, self.stage2.tables)]

    @property
    def is_pausing(self) -> bool:
        """Whether the run ends here, and the guest can go on in another."""
        return self._passing is not None

    @property
    def leaving(self) -> bool:
        """Whether the guest will not be entered again, or not before a reset."""
        return self.stopped is not None or self._reset_requested

    def find_vcpu(self, mpidr: int) -> Vcpu | None:
        """Return the vCPU of an affinity value; the other bits of MPIDR_EL1 may be there too."""
        affinity = mpidr & AFFINITY
        return next((vcpu for vcpu in self.vcpus if vcpu.mpidr == affinity), None)

    @property
    def trace(self) -> TraceSink:
        """Where events go."""
        return self._trace

    @trace.setter
    def trace(self, trace: TraceSink) -> None:
        self._trace = trace
        self.dispatcher.emit = trace.extend
        for vcpu in self.vcpus:
            vcpu.emit = trace.extend

    def emit(self, vcpu: Vcpu, event: type[TraceEvent], *fields: Any) -> None:
        """Add an event to the trace."""
        self.note(event.__name__, vcpu.number, *fields)

    def note(self, event: str, vcpu: int, *fields: Any) -> None:
        """Add an event to the trace by its name."""
        index = self.index_word[0]
        self._trace.extend((AT, index, index + self.skipped_word[0], event, vcpu, *fields))

    def stamp(self) -> None:
        """Date what the dispatcher adds to the trace next."""
        index = self.index_word[0]
        self._trace.extend((AT, index, index + self.skipped_word[0]))

    # -- running

    def run(self, instructions: int | None = None) -> Stop:
        """Run until the guest stops, for ever if it does not.

        Ctrl-C and a kernel's interrupt end it between two instructions: KeyboardInterrupt is
        raised and the machine can go on.

        Parameters
        ----------
        instructions
            How many to execute at most.
        """
        with self.interruptible() as interrupted:
            self.current.core.standing_at = self.index
            stop = self.run_to(FOREVER if instructions is None else self.index + instructions)
        if interrupted:
            raise KeyboardInterrupt
        return stop

    def run_until(self, time: int) -> Stop:
        """Run until a virtual time in nanoseconds, or until something stops the machine before.

        It stops before the first instruction at or after that time: what the host does in one go
        may end later.
        """
        self.alarm = time
        self.timers_changed()
        try:
            return self.run()
        finally:
            self.alarm = None
            self.timers_changed()

    def run_to(self, index: int) -> Stop:
        """Run until exactly that index, or until something stops the machine before."""
        with self._watched(index):
            while (stop := self._run_turns(index)) is None:
                pass
        return stop

    def run_slice(self, index: int) -> Stop | None:
        """Run towards an index for some 30 ms of host time; None while there is more to do."""
        if self._slice_ended:
            self._slice_ended = False
            return None
        with self._watched(index):
            return self._run_turns(index)

    def _watched(self, index: int) -> AbstractContextManager[None]:
        """Let the core come back now and then on its way to an index."""
        return nullcontext() if index - self.index <= _SHORT_RUN else _watchdog(self._interrupt)

    def _run_turns(self, index: int) -> Stop | None:
        end = perf_counter() + SLICE_SECONDS
        while True:
            stop = self._run_turn(index)
            if stop or self.index >= index or perf_counter() >= end or self._slice_ended:
                self._slice_ended = False
                return stop

    def _run_turn(self, index: int) -> Stop | None:
        """Run the vCPU whose turn it is until something else is due."""
        if self.stopped:
            return self.stopped
        if self._stop_requested:
            self._stop_requested = False
            return Stop(StopReason.INTERRUPTED, "stopped from outside", self.index)
        if self.index >= index:
            return Stop(StopReason.BUDGET, f"{self.index} instructions executed", self.index)
        if not self.current.runnable:  # it was left while all waited: an alarm rang
            self.scheduler.settle()
            if self._passing:
                return self._pass()
            if self.stopped:
                return self.stopped
        core = self.current.core
        self.hypercalls.filter.has_run = True
        try:
            end = core.run(self.scheduler.limit(index))
        except CoreError as error:
            self._stop(self.current, StopReason.UNSUPPORTED, str(error))
            return self.stopped
        if self._reset_requested:
            self._reset()
        self.scheduler.settle()
        if self._passing:
            return self._pass()
        if end is End.BREAKPOINT:
            return Stop(StopReason.BREAKPOINT, f"breakpoint at {core.pc:#x}", self.index)
        return None

    def _pass(self) -> Stop:
        assert self._passing
        (reason, detail), self._passing = self._passing, None
        return Stop(reason, detail, self.index)

    def pause(self, reason: StopReason, detail: str) -> None:
        """Stop after the exit being handled, so that the machine can go on."""
        self._passing = (reason, detail)
        self.current.core.stop()

    def request_stop(self) -> None:
        """Make a running machine stop soon, between two instructions; from any thread."""
        self._stop_requested = True
        self._interrupt()

    def end_slice(self) -> None:
        """Let `run_slice` return soon, or the next one at once; from any thread."""
        self._slice_ended = True
        self._interrupt()

    def _interrupt(self) -> None:
        """Let whichever core runs come back soon."""
        for vcpu in self.vcpus:
            vcpu.core.interrupt()

    @contextmanager
    def interruptible(self) -> Iterator[list[bool]]:
        """Turn SIGINT into `request_stop`: a KeyboardInterrupt could hit half a hypercall."""
        interrupted: list[bool] = []
        if threading.current_thread() is not threading.main_thread():
            yield interrupted
            return

        def on_sigint(number: int, frame: Any) -> None:
            interrupted.append(True)
            self.request_stop()

        previous = set_signal_handler(signal.SIGINT, on_sigint)
        try:
            yield interrupted
        finally:
            set_signal_handler(signal.SIGINT, previous)
            self._stop_requested = False

    # -- stopping: called from exits

    def _stop(self, vcpu: Vcpu, reason: StopReason, detail: str) -> None:
        self.stopped = Stop(reason, detail, self.index)
        if partial := self.uart.current_line():
            self.emit(vcpu, Console, partial)
        self.emit(vcpu, Stopped, reason.value, detail)
        vcpu.core.stop()

    def power_off(self, vcpu: Vcpu) -> None:
        """PSCI SYSTEM_OFF; nobody gets an answer."""
        self.dispatcher.complete_all(vcpu, "SYSTEM_OFF")
        self._stop(vcpu, StopReason.POWER_OFF, "the guest switched the machine off")

    def halt(self) -> None:
        """Everybody waits or is off, and no timer is running that could end it."""
        if any(vcpu.stalled for vcpu in self.vcpus):
            self._stop(self.current, StopReason.PAGE, "every vCPU waits for a page")
            return
        detail = "WFI: no event is deliverable, and nothing but the host can raise one"
        if any(vcpu.on and vcpu.sdei.requested for vcpu in self.vcpus):
            detail = "WFI: an event is deliverable, but injection does not wake a halted vCPU (D8)"
        if not any(vcpu.on for vcpu in self.vcpus):
            detail = "every vCPU is switched off"
        self._stop(self.current, StopReason.WFI, detail)

    def stop_thrashing(self, vcpu: Vcpu) -> None:
        """No instruction completes any more."""
        self._stop(
            vcpu,
            StopReason.THRASHING,
            f"an instruction at {vcpu.pc:#x} never has all its pages: too few may be resident",
        )

    def stop_for_defect(self, vcpu: Vcpu, detail: str) -> None:
        """The dispatcher met a defect that would hang the host."""
        self._stop(vcpu, StopReason.DEFECT, detail)

    def stop_in_vector(self, vcpu: Vcpu, syndrome: int, vector: int) -> None:
        """A vector whose first instruction takes an exception to itself."""
        fetch = esr.exception_class(syndrome) in (
            esr.Class.INSTRUCTION_ABORT,
            esr.Class.INSTRUCTION_ABORT_LOWER,
        )
        if fetch:
            self._stop(
                vcpu,
                StopReason.VECTOR,
                f"the exception vector at {vector:#x} cannot be fetched (VBAR_EL1)",
            )
        else:
            what = esr.describe(syndrome)
            self._stop(
                vcpu,
                StopReason.EXCEPTION_LOOP,
                f"{what} at {vector:#x}, the vector that handles it",
            )

    def request_reset(self, vcpu: Vcpu) -> None:
        """PSCI SYSTEM_RESET: done once the core has stopped."""
        self.dispatcher.complete_all(vcpu, "SYSTEM_RESET")
        self._reset_requested = True
        vcpu.core.stop()

    def _reset(self) -> None:
        """Load the image again and restart. The clock and the console go on."""
        self._reset_requested = False
        vcpu = self.current
        if partial := self.uart.current_line():
            self.emit(vcpu, Console, partial)
            self.uart.end_line()
        self.emit(vcpu, SystemReset)
        self._clear_memory()
        self.gic.reset()
        if self.pager and self.apf:
            for vcpu in self.vcpus:
                self.apf.reset(vcpu.number)
            self.pager.reset()
            self.flush_tlbs()
        self._load_image()
        self.one_shot.reset()
        self.uart.reset()
        for vcpu in self.vcpus:
            vcpu.core.flush_code()
        self.dispatcher.reset_system()
        self._start()
        self.scheduler.reset()
        self.current.enter()

    def _start(self) -> None:
        """Let vCPU 0 begin at the image's entry, and all others be off."""
        for vcpu in self.vcpus:
            vcpu.on = vcpu.number == 0
            vcpu.wake()
            vcpu.reset(self.image.entry, self.dtb)

    # -- time

    def timer_changed(self, vcpu: Vcpu) -> None:
        """Let a vCPU's generic timer drive its interrupts and the next deadline."""
        self._drive_timer(vcpu)
        self.timers_changed()

    def _drive_timer(self, vcpu: Vcpu) -> None:
        time = self.time
        for intid, level in vcpu.timer.outputs(time).items():
            self.gic.set_line(intid, level, vcpu.number)
        vcpu.timer_due = vcpu.timer.deadline(time)

    def expire(self) -> None:
        """Raise the interrupts of the timers that are due."""
        time = self.time
        if self.alarm is not None and time >= self.alarm:
            self._passing = (StopReason.BUDGET, f"{time} ns of virtual time")
            self.alarm = None
        if self.pager:
            self.pager.expire(time)
            time = self.time  # mapping pages takes some
        self.one_shot.expire(time)
        for vcpu in self.vcpus:
            if vcpu.timer_due is not None and time >= vcpu.timer_due:
                self._drive_timer(vcpu)
        self.timers_changed()

    def timers_changed(self) -> None:
        """Find the next deadline, and let nobody run past it."""
        deadlines = [vcpu.timer_due for vcpu in self.vcpus]
        deadlines += self.one_shot.deadline, self.alarm, self.pager.deadline if self.pager else None
        self.deadline = None
        self.due_by(min([time for time in deadlines if time is not None], default=None))

    def due_by(self, time: int | None) -> None:
        """Take note of one more thing that is due."""
        if time is not None and (self.deadline is None or time < self.deadline):
            self.deadline = time
            self.current.core.stop_by(time - self.skipped)

    def spend(self, vcpu: Vcpu, nanoseconds: int) -> None:
        """Let the host work for a vCPU: the guest does not execute, and time goes on."""
        current = self.scheduler.current
        vcpu.account.charge(_OVERHEAD, nanoseconds)
        if current is not vcpu and current.account.activity is _RUN:
            current.account.charge(Activity.READY, nanoseconds)
        self.skipped_word[0] += nanoseconds
        if self.deadline is not None:
            current.core.stop_by(self.deadline - self.skipped_word[0])

    def _clear_memory(self) -> None:
        """Zero RAM, and let the log of written pages show which this changed."""
        if self.stage2.dirty is not None:
            self.stage2.mark_dirty(self.memory.used_pages())
        self.memory.clear()

    def _load_image(self) -> None:
        for segment in self.image.segments:
            start = segment.address
            self.memory[start : start + len(segment.data)] = segment.data
        if self.dtb:
            self.memory[self.dtb : self.dtb + len(self.device_tree)] = self.device_tree

    # -- the console

    def output_written(self, vcpu: Vcpu) -> None:
        """Pass on a character the guest wrote; stop if it ends what is waited for."""
        character = self.uart.output[-1]
        if character == 0x0A:
            self.emit(vcpu, Console, self.uart.last_line())
        if self.on_output:
            self.on_output(character)
        if self.until and self.until.search(self.uart.current_line()):
            self.pause(StopReason.MATCH, f"the console matches {self.until.pattern!r}")

    # -- the host's hand

    def inject_event(self, event: int, *, immediate: bool = False, vcpu: int = 0) -> int:
        """Raise an event from the host and kick the vCPU: it is delivered at this instruction.

        Returns 0, -ENOENT or -EBUSY, see `Dispatcher.inject_event`.
        """
        target = self._vcpu(vcpu)
        _check_event(event)
        self.emit(target, HostInput, "inject", str(event), int(immediate))
        result = self.dispatcher.inject_event(target, event, immediate=immediate)
        self.emit(target, HostInputResult, "inject", result)
        if self.profile.kick_on_raise and target.sdei.requested:
            self._kick(target)
        return result

    def cancel_event(self, event: int, *, vcpu: int = 0) -> int:
        """Withdraw a pending event; returns 0, -ENOENT or -EBUSY, see `Dispatcher.cancel_event`."""
        target = self._vcpu(vcpu)
        _check_event(event)
        self.emit(target, HostInput, "cancel", str(event), 0)
        result = self.dispatcher.cancel_event(target, event)
        if not result:
            self._withdrawn(vcpu, event)
        self.emit(target, HostInputResult, "cancel", result)
        return result

    def _vcpu(self, number: int) -> Vcpu:
        if not 0 <= number < len(self.vcpus):
            raise Error(f"no vCPU {number!r:.40}: they are numbered 0 to {len(self.vcpus) - 1}")
        return self.vcpus[number]

    def _kick(self, vcpu: Vcpu) -> None:
        """Make a vCPU leave the guest, or its WFI, and enter it again."""
        if vcpu is self.current and not vcpu.waiting:
            vcpu.enter()
        self.wake()

    def wake(self) -> None:
        """Let vCPUs that wait go on if there is something for them now."""
        if self.stopped and self.stopped.reason in (StopReason.WFI, StopReason.PAGE):
            if not any(vcpu.runnable for vcpu in self.vcpus):
                return
            self.stopped = None
        self.scheduler.settle()

    def write_register(self, name: str, value: int, *, vcpu: int = 0) -> None:
        """Set a register from the host; see `Vcpu.write_register`."""
        target = self._vcpu(vcpu)
        if name not in REGISTERS:
            raise Error(
                f"no register {name!r}: x0 to x30, sp, pc, pstate or an EL1 one such as vbar_el1"
            )
        _check_value(value)
        if name == "pstate" and (value & ~_PSTATE or value & pstate.MODE not in _MODES):
            raise Error(f"no PSTATE {value:#x} for a guest: want NZCV, DAIF and EL0t, EL1t or EL1h")
        self.emit(target, HostInput, "register", name, value & MASK64)
        target.write_register(name, value)

    def write_memory(self, ipa: int, data: bytes) -> None:
        """Write RAM from the host."""
        _check_bytes(data)
        self.memory[ipa : ipa + len(data)] = data
        self.emit(self.current, HostInput, "memory", hex(ipa), len(data))

    def evict_page(self, gfn: int) -> None:
        """Take a page away from the guest: its content goes to the store.

        Parameters
        ----------
        gfn
            Guest page number: an address divided by 4096.

        Raises
        ------
        Error
            The machine has no pager, there is no such page, or it is absent already.
        """
        if not self.pager:
            raise Error("this machine keeps all pages in memory: make it with paging=Paging(...)")
        page = self.pager.page(gfn)
        if not 0 <= page < self.memory.size >> PAGE_SHIFT:
            raise Error(f"no page {gfn:#x} in RAM")
        if self.pager.is_absent(page):
            raise Error(f"page {gfn:#x} is absent already")
        self.emit(self.current, HostInput, "evict", hex(gfn), 0)
        self.pager.evict(page)

    def place_page(self, page: int, data: bytes | None) -> bool:
        """Put the content of an absent page into memory, as whoever has it sends it.

        Parameters
        ----------
        page
            Its number in RAM.
        data
            4096 bytes, None for zeros.

        Returns
        -------
        bool
            False: it is there already, and nothing has been changed.
        """
        if not self.pager or not 0 <= page < self.memory.size >> PAGE_SHIFT:
            raise Error(f"no page {page!r:.40} can be placed here")
        if data is not None and len(data) != PAGE:
            raise Error(f"page {page:#x}: {len(data)} bytes are not a page")
        placed = self.pager.place(page, data)
        self.wake()
        return placed

    def place_pages(self, first: int, count: int, data: bytes | memoryview | None) -> int:
        """Put the content of neighbouring pages into memory, as far as they are absent.

        Parameters
        ----------
        first, count
            Number of the first one in RAM, and how many.
        data
            4096 bytes for each, None for zeros.

        Returns
        -------
        int
            How many were absent; the others have not been changed.
        """
        if not self.pager or first < 0 or not 0 < count <= (self.memory.size >> PAGE_SHIFT) - first:
            raise Error(f"no pages {first!r:.40} and on, {count!r:.40} in all, can be placed here")
        if data is not None and len(data) != count << PAGE_SHIFT:
            raise Error(f"{len(data)} bytes are not {count} pages")
        placed = self.pager.place_pages(first, count, data)
        self.wake()
        return placed

    def send_console(self, text: str) -> None:
        """Let the guest read characters from its UART."""
        try:
            data = text.encode()
        except UnicodeEncodeError:
            raise Error(f"{text!r:.40} cannot be sent: it is not Unicode text") from None
        self.emit(self.current, HostInput, "console", text, len(data))
        self.uart.receive(data)
        self.wake()

    def _written_by_host(self, offset: int, size: int) -> None:
        self.stage2.written_by_host(offset, size)
        if self.pager and size:
            self.pager.written_by_host(
                range(offset >> PAGE_SHIFT, (offset + size - 1 >> PAGE_SHIFT) + 1)
            )
        for vcpu in self.vcpus:
            vcpu.core.flush_code()  # it may have been code

    def flush_tlbs(self) -> None:
        """Let every core forget its translations: stage-2 entries lost rights."""
        for vcpu in self.vcpus:
            vcpu.core.flush_tlb()

    def check_extension(self, capability: int) -> int:
        """Tell whether the host has a capability (KVM_CHECK_EXTENSION): 1 for SDEI, 217."""
        return int(capability == CAP_ARM_SDEI)

    # -- state

    def save(self) -> VmState:
        """Return the whole state of the machine, with every page of RAM that is not zero."""
        return vm_state.save(self)

    def load(self, state: VmState) -> None:
        """Go to a state that `save` returned, of this machine or one like it.

        Raises
        ------
        Error
            It is a machine of another shape, and nothing has been changed.
        """
        if state.shape != vm_state.shape(self):
            ours, theirs = vm_state.shape(self), state.shape
            differs = ", ".join(
                f"{name}: {theirs.get(name)}, here {ours[name]}"
                for name in ours
                if theirs.get(name) != ours[name]
            )
            raise Error(f"a state of another machine ({differs})")
        self.memory.clear()
        if self.stage2.dirty is not None:
            self.stage2.dirty.update(range(self.memory.size >> PAGE_SHIFT))
        vm_state.load(self, state)


@contextmanager
def _watchdog(bark: Callable[[], None]) -> Iterator[None]:
    """Call `bark` when the slice is over, again and again: a core forgets it between two runs."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(SLICE_SECONDS):
            bark()

    threading.Thread(target=watch, name="watchdog", daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _check_event(event: object) -> None:
    if not isinstance(event, int) or not 0 <= event < 1 << 32:
        raise Error(f"no event number {event!r:.40}: want an unsigned 32-bit number")


def _check_value(value: object) -> None:
    if not isinstance(value, int):
        raise Error(f"{value!r:.40} is no register value: want a number")


def _check_bytes(data: object) -> None:
    if not isinstance(data, bytes):
        raise Error(f"memory is written with bytes, not with {data!r:.40}")
