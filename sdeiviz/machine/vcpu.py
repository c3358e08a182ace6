"""A vCPU: a core, its SDEI state, and what the hypervisor does when the guest exits to it."""

import errno
from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from sdeiviz.abi import esr, kvm, pstate
from sdeiviz.abi.smccc import MASK32, MASK64, NOT_SUPPORTED
from sdeiviz.cpu import Core, decode_access
from sdeiviz.cpu.loadstore import ZERO_REGISTER, MemoryAccess, extend
from sdeiviz.cpu.registers import (
    CP,
    EL1_REGISTERS,
    ID_AA64PFR0_EL1,
    ID_AA64PFR0_GIC,
    PMUSERENR_EL0,
    cp,
)
from sdeiviz.machine.accounts import Account, Activity
from sdeiviz.machine.bus import Region
from sdeiviz.machine.gicv3 import SGI_REGISTERS, Gic3
from sdeiviz.machine.memory import PAGE, PAGE_SHIFT
from sdeiviz.machine.timer import GenericTimer, Pmu
from sdeiviz.sdei import registers
from sdeiviz.sdei.delivery import HostHang
from sdeiviz.sdei.registers import RegisterError
from sdeiviz.trace import (
    AT,
    ExceptionTaken,
    ExternalAbort,
    Hypercall,
    HypercallResult,
    InterruptTaken,
    PowerChanged,
    ProbeHit,
    Record,
    VcpuBlocked,
    VcpuUnblocked,
    WaitForInterrupt,
)

if TYPE_CHECKING:
    from sdeiviz.machine.vm import VirtualMachine


_ZEROS: Final = memoryview(array("Q", bytes(3 * 8)))
# Looking up a member of an enumeration takes longer than it looks.
_BLOCKED: Final = Activity.BLOCKED
_RUN: Final = Activity.RUN


class Vcpu:
    """One virtual CPU: ``vcpu.x0`` to ``vcpu.x30``, ``vcpu.pc``, ``vcpu.vbar_el1`` and so on.

    Parameters
    ----------
    vm
        The machine it belongs to.
    number
        Its index.
    affinity
        Aff3 to Aff0, as in MPIDR_EL1.
    clock
        "native", "python" or None, see `sdeiviz.cpu.clock`.
    """

    emit: Callable[[Record], object]
    """Takes records for the trace; set with `VirtualMachine.trace`."""
    sctlr_el1: int
    vbar_el1: int

    def __init__(self, vm: "VirtualMachine", number: int, affinity: int, clock: str | None) -> None:
        self.vm = vm
        self.number = number
        self.mpidr = affinity
        self.sdei = vm.dispatcher.new_vcpu()
        self.features = pstate.PeFeatures()
        self.on = False
        """Whether PSCI has it switched on."""
        self.waiting = False
        """It executed WFI or CPU_SUSPEND, and nothing has ended that yet."""
        self.must_enter = False
        """Something waits for its next entry: `enter` is to be called before the guest goes on."""
        self._stall: Activity | None = None
        self.account = Account()
        self._resume: tuple[int, int] | None = None
        self.core = Core(
            vm.physical_memory(), vm.stage2.root, self.mpidr, self, clock, traps=vm.traps
        )
        self.where, self.go_to = self.core.where, self.core.go_to
        self.x = self.core.x
        self.x0_to_x17 = self.x[:18].cast("B")
        self.timer = GenericTimer()
        self.timer_due: int | None = None
        """When the next of the timer's outputs rises that has not been raised yet."""
        self.pmu = Pmu()
        self._last_exception = (0, -1)

    # -- registers

    @property
    def pc(self) -> int:
        """Where the guest goes on."""
        return self.core.pc

    @pc.setter
    def pc(self, value: int) -> None:
        self.core.pc = value

    @property
    def sp(self) -> int:
        """The stack pointer in use."""
        return self.core.sp

    @sp.setter
    def sp(self, value: int) -> None:
        self.core.sp = value

    @property
    def pstate(self) -> int:
        """PSTATE in SPSR layout."""
        return self.core.pstate

    @pstate.setter
    def pstate(self, value: int) -> None:
        self.go_to(self.pc, value)

    @property
    def elr_el1(self) -> int:
        """Exception link register."""
        return self.core["elr_el1"]

    @elr_el1.setter
    def elr_el1(self, value: int) -> None:
        self.core["elr_el1"] = value

    @property
    def spsr_el1(self) -> int:
        """Saved program status register."""
        return self.core["spsr_el1"]

    @spsr_el1.setter
    def spsr_el1(self, value: int) -> None:
        self.core["spsr_el1"] = value

    def write_register(self, name: str, value: int) -> None:
        """Set a register from outside the guest.

        Parameters
        ----------
        name
            "x0" to "x30", "sp", "pc", "pstate" or an EL1 system register in lower case.
        value
            Unsigned, 64 bits.

        Raises
        ------
        KeyError
            There is no such register.
        """
        if name not in REGISTERS:
            raise KeyError(name)
        if name in EL1_REGISTERS:
            self.core.write_system(name, value & MASK64)
        else:
            setattr(self, name, value & MASK64)

    # -- exits

    def hypercall_exit(self, core: Core) -> Callable[[], None]:
        """HVC: route it, write the answer, then deliver what it made deliverable.

        A function of its own with all it needs at hand: nothing else is called as often.
        """
        vm, sdei, number = self.vm, self.sdei, self.number
        x, call, paging = core.x, core.call_words, vm.paging
        w0 = x[:1].cast("B").cast("I")
        cost = paging.costs.exit if paging else 0
        others = x[1:1] if vm.profile.preserve_x1_to_x3 else x[1:4]
        self._other_results = others
        """x1 to x3, which an answer clears; none of them where the profile keeps them."""
        zeros, routes = _ZEROS[: len(others)], vm.hypercalls.routes

        def hypercall() -> None:
            try:
                if cost:
                    vm.spend(self, cost)
                    call[1] += cost  # it was dated before the exit was paid for
                emit = self.emit
                emit(("HVC", number, call.tobytes()))
                try:
                    handler = routes[w0[0]]
                except KeyError:
                    result: int | None = NOT_SUPPORTED
                else:
                    result = handler(self)
                if result is not None:
                    if result < 0:
                        result &= MASK64
                    x[0], others[:] = result, zeros
                    emit(("answer", result))
                if paging and self.on and not self.waiting:
                    self.enter()
                elif sdei.requested:
                    self._deliver()
            except HostHang as hang:
                vm.stop_for_defect(self, str(hang))
            except BaseException as error:
                core.fail(error)

        return hypercall

    def device_exit(self, core: Core) -> Callable[[int], bool]:
        """Answer a load or store of a device, as `stage2_abort` does: they are frequent."""
        vm, sdei, number = self.vm, self.sdei, self.number
        pc, irq, pages = core.pc_word, core.irq_word, vm.bus.pages
        syndrome_word, address, hpfar = core.syndrome_word, core.address_word, core.hpfar_word
        target_el = core.target_el_word

        def device(word: int) -> bool:
            page = hpfar[0] >> 4
            region = pages.get(page)
            if region is None or target_el[0] != 2:
                return False
            syndrome = syndrome_word[0]
            if syndrome & esr.S1PTW or pc[0] & 3:
                return False
            access = decode_access(syndrome, word)
            if access is None or access.size not in region.widths:
                return False
            try:
                offset = (page << PAGE_SHIFT | address[0] & PAGE - 1) - region.base
                self._perform(access, region, offset)
                apf = vm.apf
                # Else `enter` would find nothing.
                if (
                    irq[0]
                    or sdei.requested
                    or self.must_enter
                    or (apf and apf.vcpus[number].requested)
                ):
                    self.enter()
            except BaseException as error:
                core.fail(error)
            return True

        return device

    def enter(self) -> None:
        """Before the guest goes on: answer KVM_REQ_SDEI, as KVM does (patch 12), and take an IRQ.

        An event beats an interrupt (DEN0054C 4.3): its handler runs with IRQs masked. Before both,
        pages that have arrived are told: one may take its page-not-present back. An access to a
        device comes here only if one of these is wanted (`device_exit`).
        """
        self.must_enter = False
        if self.vm.apf:
            self.vm.apf.enter(self.number)
        if self.sdei.requested:
            self.emit((AT, self.core.index, self.vm.time))
            try:
                self._deliver()
            except HostHang as hang:
                self.vm.stop_for_defect(self, str(hang))
        if self.core.irq_is_due and not self.vm.leaving:
            self.interrupt()

    def _deliver(self) -> None:
        vm, sdei = self.vm, self.sdei
        while sdei.requested and not self.waiting and not vm.leaving:
            if vm.dispatcher.deliver_event(self) and vm.apf:
                vm.apf.event_delivered(self.number, sdei.contexts[-1].event)

    def interrupt(self) -> None:
        """Take an IRQ."""
        pc = self.pc
        vector, interrupted = self.core.take_irq()
        self.vm.emit(self, InterruptTaken, vector, pc, interrupted)

    def trap(self, syndrome: int) -> None:
        """WFI, SMC, or a system register that is ours."""
        kind = esr.exception_class(syndrome)
        if self.vm.paging and kind in (esr.Class.WFX, esr.Class.SMC):
            self.vm.spend(self, self.vm.paging.costs.exit)
        if kind == esr.Class.WFX:
            self.core.retire()
            self.vm.emit(self, WaitForInterrupt, self.core.pc - 4)
            self.wait()
        elif kind == esr.Class.SMC:
            self._secure_call()
        else:
            self._system_register(syndrome)
        self.enter()

    # -- waiting and power

    def wait(self, resume: tuple[int, int] | None = None) -> None:
        """Wait for an interrupt or an event; then go on, or at an (entry, x0) as after a reset."""
        self.waiting, self._resume = True, resume
        if self.runnable:
            self.wake()
        else:
            self.change_activity()
            self.core.stop()

    @property
    def runnable(self) -> bool:
        """Whether it is on and has something to do. A masked interrupt ends a wait too."""
        if not self.on or self._stall is _BLOCKED:
            return False
        if not self.waiting and not self._stall:
            return True
        interrupted = self.core.irq if self.waiting else self.core.irq_is_due
        requested = self.sdei.requested and self.vm.profile.kick_on_raise
        return interrupted or requested or self.must_enter

    def wake(self) -> None:
        """End a wait."""
        self.waiting = False
        if self._stall:
            self.unstall()
        self.change_activity()
        if self._resume:
            (entry, x0), self._resume = self._resume, None
            self.reset(entry, x0)
            self.vm.stamp()
            self.vm.dispatcher.set_mask(self, True)  # its events stay registered (DEN0054C 6.5)

    # -- waiting for a page

    @property
    def stalled(self) -> bool:
        """Whether the host lets it wait for a page."""
        return self._stall is not None

    def stall(self, how: Activity, gfn: int) -> None:
        """Wait for a page: BLOCKED until `unstall`, or HALTED, which an interrupt ends too."""
        self._stall = how
        self.vm.emit(self, VcpuBlocked, gfn, how is Activity.HALTED)
        self.change_activity()
        self.core.stop()

    def unstall(self) -> None:
        """Go on: the page is there, or there is something else to do."""
        self._stall, self.must_enter = None, True
        self.vm.emit(self, VcpuUnblocked)
        self.change_activity()

    def change_activity(self) -> None:
        """Book what comes under what the vCPU does now."""
        if not self.on:
            activity = Activity.OFF
        elif self._stall:
            activity = self._stall
        elif self.waiting:
            activity = Activity.IDLE
        else:
            activity = _RUN if self is self.vm.current else Activity.READY
        self.account.change(activity, self.vm.time)

    def power_on(self, entry: int, x0: int) -> None:
        """PSCI CPU_ON: start at an entry as after a reset."""
        self.on, self.waiting = True, False
        self.change_activity()
        self.vm.emit(self, PowerChanged, True, entry)
        self.reset(entry, x0)
        self.vm.dispatcher.reset_vcpu(self)
        if self.vm.apf:
            self.vm.apf.reset(self.number)

    def power_off(self) -> None:
        """PSCI CPU_OFF. Handlers that run are completed first (DEN0054C 6.5)."""
        self.vm.emit(self, PowerChanged, False, 0)
        self.vm.dispatcher.complete_all(self, "CPU_OFF")
        if self.vm.apf:
            self.vm.apf.reset(self.number)
        self.on = False
        self.change_activity()
        self.core.stop()

    def _secure_call(self) -> None:
        """SMC: for a client of SDEI the same as HVC, else nobody answers (DEN0054C 3.4)."""
        pc = self.core.pc
        self.core.retire()
        function = self.x[0] & MASK32
        self.vm.emit(self, Hypercall, "SMC", pc, function, tuple(self.x[1:6]))
        result: int | None = MASK64
        if self.vm.profile.smc_conduit:
            handler = self.vm.hypercalls.routes.get(function)
            result = handler(self) if handler else NOT_SUPPORTED
        if result is not None:
            result &= MASK64
            self.x[0] = result
            if self.vm.profile.smc_conduit:
                self._other_results[:] = _ZEROS[: len(self._other_results)]
            self.vm.emit(self, HypercallResult, function, result)

    def _system_register(self, syndrome: int) -> None:
        """MRS, MSR or SYS that traps: the PMU counts virtual cycles, debug registers are zero."""
        op0, op2, op1 = syndrome >> 20 & 3, syndrome >> 17 & 7, syndrome >> 14 & 7
        crn, register, crm = syndrome >> 10 & 15, syndrome >> 5 & 31, syndrome >> 1 & 15
        read = syndrome & 1
        encoding = cp(op0, op1, crn, crm, op2)
        value = 0
        if op0 == 1:
            self._maintain_caches(crn, crm)
        elif op0 == 3 and crn == 0:
            value = self.core.identification(encoding)
            if encoding == ID_AA64PFR0_EL1:
                value |= ID_AA64PFR0_GIC
        elif op0 == 3:
            written = None if read else self._register(register)
            value = self.pmu.access(crn, crm, op2, written, self.vm.time)
            if encoding == PMUSERENR_EL0 and written is not None:
                self.core.allow_el0_pmu(written)
        if read and register != ZERO_REGISTER:
            self.x[register] = value
        self.core.retire()

    def _maintain_caches(self, crn: int, crm: int) -> None:
        """TLBI, IC or DC with several vCPUs: what one tells the others, they do at their turns.

        This core keeps to what it wrote itself; only all of its code may be another's writing.
        """
        others = [vcpu.core for vcpu in self.vm.vcpus if vcpu is not self]
        if crn == 8:
            self.core.flush_tlb()
            if crm == 3:  # inner shareable
                for core in others:
                    core.stale_tlb = True
        elif crm in (1, 5):  # IC IALLUIS; IC IALLU and IC IVAU
            self.core.stale_code = True
            for core in others:
                core.stale_code = True

    def counter(self, register: CP, write: int | None) -> int | None:
        """Timer registers, which this core does not trap: answered here, from virtual time."""
        _, crm, _, _, op2 = register
        if crm > 3:
            return None
        if self.core.at_el0 and not self.timer.may_access(crm, op2, self.core["cntkctl_el1"]):
            return None
        if write is None:
            return self.timer.read(crm, op2, self.vm.time)
        if not self.timer.write(crm, op2, write, self.vm.time):
            return None
        self.vm.timer_changed(self)
        return 0

    def probe(self, name: str) -> None:
        """The guest came to one of its own functions that are there to be watched."""
        self.vm.emit(self, ProbeHit, name, tuple(self.x[:4]))

    def stage2_abort(self, syndrome: int, address: int, ipa: int) -> None:
        """An address that stage 2 does not map, or a page whose first write is being logged."""
        vm = self.vm
        # A write that is being logged is no exit of the guest's: it takes no time.
        if vm.memory.contains(ipa) and (
            (vm.pager and vm.pager.fault(self, ipa, syndrome)) or vm.stage2.written(ipa)
        ):
            return
        region = vm.bus.find(ipa)
        if syndrome & esr.S1PTW:
            reason = "no translation table can be there"
        elif region is None:
            reason = "nothing is there"
        else:
            reason = self._device(region, syndrome, ipa - region.base)
            if not reason:
                self.enter()
                return
        write = (
            bool(syndrome & esr.WNR) and esr.exception_class(syndrome) == esr.Class.DATA_ABORT_LOWER
        )
        self.core.count()
        vm.emit(self, ExternalAbort, self.core.pc, ipa, write, reason)
        self._external_abort(syndrome, address)
        self.enter()

    def _device(self, region: Region, syndrome: int, offset: int) -> str:
        """Access a device; return why not, "" where it worked."""
        if esr.exception_class(syndrome) != esr.Class.DATA_ABORT_LOWER:
            return "a device holds no instructions"
        access = decode_access(syndrome, self.core.read_word(self.core.pc) or 0)
        if access is None:
            return "a device takes single loads and stores only"
        if access.size not in region.widths:
            *bits, last = (str(8 * width) for width in region.widths)
            return f"the {region.name} takes accesses of {', '.join(bits)} and {last} bits"
        self._perform(access, region, offset)
        return ""

    def _perform(self, access: MemoryAccess, region: Region, offset: int) -> None:
        """Complete the load or store of a device."""
        if region.exits and self.vm.paging:
            self.vm.spend(self, self.vm.paging.costs.exit)
        self.core.retire()
        write, size, register, sign_extend, _, base, step = access
        mask = (1 << 8 * size) - 1
        if write:
            region.write(self, offset, size, self._register(register) & mask)
        else:
            value = region.read(self, offset, size) & mask
            if register != ZERO_REGISTER:
                self.x[register] = extend(access, value) if sign_extend else value
        if base is not None:
            self._write_back(base, step)

    def read_word(self, address: int) -> int | None:
        """Return the word at a virtual address, None where there is no memory or it is absent."""
        word = self.read_virtual(address, 4)
        return int.from_bytes(word, "little") if len(word) == 4 else None

    def read_virtual(self, address: int, size: int) -> bytes:
        """Read RAM as the guest's translation shows it now; short where that or the RAM ends."""
        data = b""
        while len(data) < size:
            at = address + len(data)
            count = min(size - len(data), PAGE - at % PAGE)
            ipa = self.core.translate(at & MASK64)
            memory = self.vm.memory
            if ipa is None or not memory.contains(ipa):
                break
            if memory.is_absent(ipa - memory.base >> PAGE_SHIFT):
                break
            data += self.vm.memory[ipa : ipa + count]
        return data

    def _write_back(self, base: int, step: int) -> None:
        if base == ZERO_REGISTER:
            self.core.sp = (self.core.sp + step) & MASK64
        else:
            self.x[base] = (self.x[base] + step) & MASK64

    def _register(self, number: int) -> int:
        return 0 if number == ZERO_REGISTER else self.x[number]

    def _external_abort(self, syndrome: int, address: int) -> None:
        """Give the guest a synchronous external abort (Arm ARM D17.2.37)."""
        data = esr.exception_class(syndrome) == esr.Class.DATA_ABORT_LOWER
        kind = esr.Class.DATA_ABORT_LOWER if data else esr.Class.INSTRUCTION_ABORT_LOWER
        if not self.core.at_el0:
            kind = esr.Class.DATA_ABORT if data else esr.Class.INSTRUCTION_ABORT
        status = (
            esr.EXTERNAL_ABORT_ON_WALK | syndrome & 3
            if syndrome & esr.S1PTW
            else esr.EXTERNAL_ABORT
        )
        kept = syndrome & (esr.IL | esr.WNR | esr.CM) if data else syndrome & esr.IL
        self.guest_exception(kind << 26 | kept | status, address, self.core.pc)

    def guest_exception(self, syndrome: int, address: int | None, pc: int) -> None:
        """Let EL1 take an exception; stop where that can never lead anywhere."""
        core = self.core
        if syndrome == esr.IL and self._gic_register(pc):
            return
        index = core.index
        vector, interrupted = core.take_exception(syndrome, address, pc)
        self.vm.emit(self, ExceptionTaken, vector, syndrome, address or 0, pc, interrupted)
        if pc - vector in (0, 4) and self._last_exception == (vector, index - 1):
            # The vector's own first instruction took this exception (an SVC has passed it), which
            # leads back to it.
            self.vm.stop_in_vector(self, syndrome, vector)
        self._last_exception = (vector, index)

    def _gic_register(self, pc: int) -> bool:
        """Emulate an MRS or MSR of GICv3's CPU interface, which this core does not have."""
        gic, word = self.vm.gic, self.core.read_word(pc) or 0
        if not isinstance(gic, Gic3) or self.core.at_el0 or word & 0xFFD0_0000 != 0xD510_0000:
            return False
        encoding = (
            2 + (word >> 19 & 1), word >> 16 & 7, word >> 12 & 15, word >> 8 & 15, word >> 5 & 7,
        )  # fmt: skip
        register = word & 31
        if word & 1 << 21:
            value = gic.read_system(self.number, encoding)
            if value is None:
                return False
            if register != ZERO_REGISTER:
                self.x[register] = value
        elif not gic.write_system(self.number, encoding, self._register(register)):
            return False
        elif self.vm.paging and encoding in SGI_REGISTERS:
            self.vm.spend(self, self.vm.paging.costs.exit)  # KVM sends it, not the hardware
        self.core.pc = pc + 4
        return True

    # -- migration registers (v7 patches 17 to 19)

    def reg_list(self) -> tuple[int, ...]:
        """Return the identifiers that `get_one_reg` knows, in KVM's order (KVM_GET_REG_LIST)."""
        sdei = registers.reg_list() if self.vm.profile.migration_registers else ()
        return (*sdei, kvm.STD_BMAP)

    def get_one_reg(self, register: int) -> bytes:
        """Read a pseudo firmware register (KVM_GET_ONE_REG); see `sdeiviz.sdei.registers`.

        Parameters
        ----------
        register
            One of `reg_list`.

        Returns
        -------
        bytes
            Its value, little-endian.

        Raises
        ------
        RegisterError
            There is none; its ``errno`` says what KVM answers.
        """
        if register == kvm.STD_BMAP:
            return self.vm.hypercalls.filter.std_bitmap.to_bytes(8, "little")
        return registers.get_one_reg(self.vm.dispatcher, self, register)

    def set_one_reg(self, register: int, data: bytes) -> None:
        """Set a pseudo firmware register (KVM_SET_ONE_REG), in any order."""
        self.vm.stamp()
        if register != kvm.STD_BMAP:
            registers.set_one_reg(self.vm.dispatcher, self, register, data)
            self.vm.wake()
        elif len(data) != 8:
            raise RegisterError(errno.EINVAL, f"STD_BMAP has 8 bytes, not {len(data)}")
        elif error := self.vm.hypercalls.filter.set_std_bitmap(int.from_bytes(data, "little")):
            raise RegisterError(-error, f"STD_BMAP cannot become {data.hex()}")

    # -- state

    def reset(self, entry: int, x0: int) -> None:
        """Start at an entry, EL1h, everything masked, x0 given and all else zero."""
        self.core.reset()
        self.core.pstate = pstate.DAIF | pstate.EL1H
        self.core.pc = entry
        self.x[0] = x0
        self.timer, self.pmu = GenericTimer(), Pmu()
        self.vm.timer_changed(self)
        self.core.allow_el0_pmu(0)
        self._last_exception = (0, -1)

    def save(self) -> dict[str, Any]:
        """Return the vCPU's whole state as plain values."""
        return {
            "core": self.core.save(),
            "sdei": self.sdei.save(),
            "timer": self.timer.save(),
            "timer_due": self.timer_due,
            "pmu": self.pmu.save(),
            "last_exception": self._last_exception,
            "power": (self.on, self.waiting, self._resume),
            "stall": self._stall.value if self._stall else None,
            "must_enter": self.must_enter,
            "account": self.account.save(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over a saved state."""
        self.core.load(state["core"])
        self.sdei.load(state["sdei"])
        self.timer.load(state["timer"])
        self.timer_due = state["timer_due"]
        self.pmu.load(state["pmu"])
        self.core.allow_el0_pmu(self.pmu.user_enable)
        self._last_exception = tuple(state["last_exception"])
        self.on, self.waiting, self._resume = state["power"]
        self._stall = Activity(state["stall"]) if state["stall"] else None
        self.must_enter = state["must_enter"]
        self.account.load(state["account"])


def _general(number: int) -> property:
    def get(vcpu: Vcpu) -> int:
        return vcpu.x[number]

    def put(vcpu: Vcpu, value: int) -> None:
        vcpu.x[number] = value

    return property(get, put, doc=f"General register {number}.")


def _system(name: str) -> property:
    def get(vcpu: Vcpu) -> int:
        return vcpu.core[name]

    def put(vcpu: Vcpu, value: int) -> None:
        vcpu.core[name] = value

    return property(get, put, doc=f"System register {name.upper()}.")


for _number in range(31):
    setattr(Vcpu, f"x{_number}", _general(_number))
for _name in EL1_REGISTERS.keys() - {"elr_el1", "spsr_el1"}:
    setattr(Vcpu, _name, _system(_name))

REGISTERS: Final = (*(f"x{n}" for n in range(31)), "sp", "pc", "pstate", *EL1_REGISTERS)
"""Names that `Vcpu.write_register` takes."""
