"""Mistakes around the core: devices, exits, delivery at them, time, resets, stops, saving."""

from tests.mutants.mutation import Mutation

VCPU = "sdeiviz/machine/vcpu.py"
BUS = "sdeiviz/machine/bus.py"
VM = "sdeiviz/machine/vm.py"
UART = "sdeiviz/machine/uart.py"
TIMER = "sdeiviz/machine/timer.py"
SMCCC = "sdeiviz/machine/smccc.py"
PSCI = "sdeiviz/machine/psci.py"
SCHEDULER = "sdeiviz/machine/scheduler.py"
STAGE2 = "sdeiviz/machine/stage2.py"
STATE = "sdeiviz/machine/state.py"
MEMORY = "sdeiviz/machine/memory.py"
SCHEDULER = "sdeiviz/machine/scheduler.py"

MUTATIONS = [
    # -- MMIO and external aborts
    Mutation(
        VCPU,
        "self._register(register) & mask",
        "self._register(register)",
        "a byte store is as wide as its register",
    ),
    Mutation(
        VCPU,
        "            self.core.sp = (self.core.sp + step) & MASK64\n",
        "            pass\n",
        "SP as base is not written back",
    ),
    Mutation(
        VCPU,
        "        return 0 if number == ZERO_REGISTER else self.x[number]\n",
        "        return self.x[number & 15]\n",
        "the zero register is not zero",
    ),
    Mutation(
        BUS,
        "uart.SIZE, (1, 2, 4), read",
        "uart.SIZE, (1, 2, 4, 8), read",
        "64-bit accesses of the UART pass",
    ),
    Mutation(
        VCPU,
        "        if not self.core.at_el0:\n            kind = esr.Class.DATA_ABORT if data",
        "        if self.core.at_el0:\n            kind = esr.Class.DATA_ABORT if data",
        "external aborts name the wrong level",
    ),
    Mutation(
        VCPU,
        "syndrome & (esr.IL | esr.WNR | esr.CM)",
        "syndrome & (esr.IL | esr.CM)",
        "an external abort on a write says read",
    ),
    Mutation(
        VCPU,
        "        self.core.retire()\n        write, size, ",
        "        write, size, ",
        "an UART access is repeated for ever",
    ),
    Mutation(
        UART,
        "_TX_EMPTY | (0 if self.input else _RX_EMPTY)",
        "_TX_EMPTY | _RX_EMPTY",
        "input never arrives",
    ),
    Mutation(
        UART,
        "self._control[offset] = value & _CONTROL[offset]",
        "self._control[offset] = value",
        "bits that do not exist are kept",
    ),
    Mutation(
        UART,
        'self.output.rfind(b"\\n") + 1, self._line_start, len',
        'self.output.rfind(b"\\n") + 1, len',
        "a line goes on over a reset",
    ),
    # -- hypercalls, traps, delivery
    Mutation(
        VCPU,
        "call[1] += cost",
        "pass",
        "the time of a hypercall is before its exit",
    ),
    Mutation(
        VCPU,
        "                    irq[0]\n                    or sdei.requested\n",
        "                    sdei.requested\n",
        "an interrupt that a device access raises waits for the end of a run",
        survives="the clock ends the run in front of the next block, only slower",
    ),
    Mutation(
        VCPU,
        "                    or sdei.requested\n",
        "",
        "an event that a device access raises waits for the next exit",
    ),
    Mutation(
        VCPU,
        "                    or (apf and apf.vcpus[number].requested)\n",
        "",
        "a page that waits for the mailbox is told of at another exit than a device's",
    ),
    Mutation(VCPU, "            self.x[0] = result\n", "            pass\n", "SMC: no answer"),
    Mutation(
        VCPU,
        "while sdei.requested and not self.waiting and not vm.leaving:",
        "while sdei.requested and not self.waiting:",
        "events are delivered to a machine that has stopped",
    ),
    Mutation(
        VCPU,
        "requested = self.sdei.requested and self.vm.profile.kick_on_raise",
        "requested = self.sdei.requested",
        "to the letter, a request ends a WFI",
    ),
    Mutation(
        VCPU,
        "if pc - vector in (0, 4) and self._last_exception == (vector, index - 1):",
        "if pc - vector in (0, 4) and self._last_exception[0] == vector:",
        "a vector that is entered again is taken for a loop",
    ),
    Mutation(
        VCPU,
        "if pc - vector in (0, 4) and",
        "if pc == vector and",
        "an SVC in its own vector runs for ever",
    ),
    Mutation(
        SMCCC,
        "        if value & ~STD_ALL:\n            return -errno.EINVAL\n",
        "",
        "unknown bits of the bitmap are kept",
    ),
    Mutation(
        SMCCC,
        "if self.has_run and value != self.std_bitmap:",
        "if self.has_run:",
        "the same bitmap again is busy",
    ),
    Mutation(
        SMCCC,
        "return bool(self.std_bitmap & STD_SDEI)",
        "return bool(self.std_bitmap)",
        "SDEI is shown with another service's bit",
    ),
    Mutation(
        SMCCC,
        "        self._std_bitmap = value\n        self._changed()\n",
        "        self._std_bitmap = value\n",
        "the bitmap is kept and not obeyed",
    ),
    Mutation(
        SMCCC, "        self.routes.clear()\n", "", "a service that was shown is shown for ever"
    ),
    Mutation(
        SMCCC,
        "bool(self.std_bitmap & STD_TRNG)",
        "bool(self.std_bitmap & STD_SDEI)",
        "TRNG passes with SDEI's bit",
    ),
    Mutation(
        PSCI,
        "known = (*Function, smccc.VERSION)",
        "known = (*Function,)",
        "PSCI does not know SMCCC",
    ),
    Mutation(
        PSCI,
        "Result.SUCCESS if _argument(vcpu, 1) in known",
        "Result.SUCCESS if vcpu.x[1] in known",
        "PSCI_FEATURES looks at all of x1",
    ),
    Mutation(
        VM,
        "affinity = mpidr & AFFINITY",
        "affinity = mpidr",
        "MPIDR_EL1 as the guest reads it names nobody",
    ),
    Mutation(
        PSCI,
        "target.power_on(_argument(vcpu, 2), _argument(vcpu, 3))",
        "target.power_on(_argument(vcpu, 2), 0)",
        "CPU_ON forgets the context",
    ),
    Mutation(
        PSCI,
        "        return Result.INVALID_ADDRESS\n    vcpu.wait",
        "        pass\n    vcpu.wait",
        "CPU_SUSPEND takes any entry",
    ),
    Mutation(
        PSCI, "if any(core.on for", "if all(core.on for", "a cluster is off where one core is"
    ),
    Mutation(
        PSCI,
        "wanted = _argument(vcpu, 1) >> shift",
        "wanted = _argument(vcpu, 1)",
        "AFFINITY_INFO: a cluster is a core",
    ),
    Mutation(
        VCPU,
        "if self.core.irq_is_due and not self.vm.leaving:",
        "if self.core.irq_is_due:",
        "a machine that has stopped takes an interrupt",
    ),
    Mutation(
        VCPU,
        "            self.vm.dispatcher.set_mask(self, True)  # its",
        "            pass  # its",
        "a PE wakes from power-down unmasked",
    ),
    Mutation(
        VCPU,
        '        self.vm.dispatcher.complete_all(self, "CPU_OFF")\n',
        "",
        "CPU_OFF leaves its handler running",
    ),
    Mutation(
        VCPU, "        self.vm.dispatcher.reset_vcpu(self)\n", "", "CPU_ON leaves a PE unmasked"
    ),
    Mutation(
        VCPU,
        "self.on, self.waiting, self._resume),",
        "self.on, self.waiting, None),",
        "where a powered-down PE wakes, forgotten by save",
    ),
    Mutation(
        VCPU,
        "            if crm == 3:  # inner",
        "            if crm == 7:  # inner",
        "TLBI for all reaches nobody else",
    ),
    Mutation(VCPU, "elif crm in (1, 5):", "elif crm == 5:", "IC IALLUIS reaches nobody"),
    Mutation(
        VCPU,
        "            self.core.stale_code = True\n            for",
        "            for",
        "IC leaves the caller's own code for ever",
    ),
    Mutation(VCPU, " or self.core.at_el0 or word", " or word", "EL0 has GICv3's registers"),
    Mutation(VCPU, "value |= ID_AA64PFR0_GIC", "value |= 0", "GICv3's registers are not announced"),
    Mutation(
        VCPU,
        "        self.timer, self.pmu = GenericTimer(), Pmu()\n        self.vm",
        "        self.vm",
        "a timer outlasts a reset",
    ),
    # -- time
    Mutation(
        TIMER,
        "ticks >= self._compare[crm]",
        "ticks > self._compare[crm]",
        "a timer fires a tick late",
    ),
    Mutation(
        TIMER,
        "(value & MASK32) - ((value & 0x8000_0000) << 1)",
        "value & MASK32",
        "TVAL is not signed",
    ),
    Mutation(
        TIMER,
        "CNTPCT: 0b01, CNTVCT: 0b10",
        "CNTPCT: 0b10, CNTVCT: 0b01",
        "EL0's rights are those of the other counter",
    ),
    Mutation(
        TIMER, "            counts[_PMCCNTR] = 0\n", "            pass\n", "PMCR.C resets nothing"
    ),
    Mutation(
        TIMER,
        "self._registers[counter] = count - (time if self._running(counter) else 0)",
        "self._registers[counter] = count",
        "a counter that starts has counted since power-on",
    ),
    Mutation(
        TIMER,
        "self._control[crm] = value & (_ENABLE | _IMASK)",
        "self._control[crm] = value",
        "a guest can say that its timer has fired",
    ),
    Mutation(
        TIMER,
        "(time // NS_PER_TICK + signed) & MASK64",
        "time // NS_PER_TICK + signed",
        "a timer set to before power-on has fired",
    ),
    Mutation(
        TIMER,
        "number = self._registers.get(_PMSELR, 0) & 31\n",
        "number = 0\n",
        "PMSELR selects nothing",
    ),
    Mutation(
        VCPU,
        "        self.core.allow_el0_pmu(self.pmu.user_enable)\n",
        "",
        "EL0's use of the PMU goes to the wrong level after a load",
    ),
    # -- turns and deadlines
    Mutation(
        SCHEDULER,
        "min(target, vm.deadline - vm.skipped)",
        "min(target, vm.deadline)",
        "a run goes past a timer by the time that was skipped",
    ),
    Mutation(
        SCHEDULER,
        "vm.skipped += vm.deadline - vm.time",
        "vm.skipped += vm.deadline",
        "the time at which a wait began counts twice",
    ),
    Mutation(
        SCHEDULER,
        "if vm.index < self._turn_end and current",
        "if current",
        "a turn ends with a wait only",
    ),
    Mutation(
        SCHEDULER,
        "order = (*vm.vcpus[first:], *vm.vcpus[:first])",
        "order = vm.vcpus",
        "vCPU 0 comes after each turn",
    ),
    Mutation(SCHEDULER, "        vcpu.core.switch_in()\n", "", "a turn begins with stale code"),
    Mutation(
        SCHEDULER,
        "                enters |= vcpu.sdei.requested and vm.profile.kick_on_raise\n",
        "",
        "an event of a timer waits for the next exit",
    ),
    Mutation(
        SCHEDULER,
        "                elif vcpu.core.irq_is_due:\n                    vcpu.interrupt()\n",
        "",
        "a run ends in front of a vector",
    ),
    Mutation(
        SCHEDULER,
        '        self._turn_end = state["turn_end"]\n',
        "",
        "a turn ends elsewhere after a load",
    ),
    Mutation(
        VM,
        "deadlines += self.one_shot.deadline, self.alarm,",
        "deadlines += self.alarm,",
        "nobody waits for the one-shot timer",
    ),
    Mutation(
        VM,
        "            self.current.core.stop_by(time - self.skipped)\n",
        "",
        "a timer set during a run is late",
    ),
    Mutation(
        VM,
        "self.gic.set_line(intid, level, vcpu.number)",
        "self.gic.set_line(intid, level)",
        "every timer interrupts vCPU 0",
    ),
    Mutation(VM, "pe if is_ppi(intid) else None", "None", "a PPI's event is vCPU 0's"),
    Mutation(
        VM,
        "if vcpu is self.current and not vcpu.waiting:",
        "if not vcpu.waiting:",
        "an injection enters a vCPU out of its turn",
    ),
    # -- stops and resets
    Mutation(
        VM,
        "                return\n            self.stopped = None\n",
        "                return\n",
        "an injection wakes nobody",
    ),
    Mutation(
        VM,
        "        self._load_image()\n        self.one_shot.reset()\n",
        "        self.one_shot.reset()\n",
        "a reset leaves no image",
    ),
    Mutation(VM, "            self.uart.end_line()\n", "", "a reset leaves half a line"),
    Mutation(
        VM,
        "            self._stop_requested = False\n            return Stop(StopReason.INT",
        "            return Stop(StopReason.INT",
        "a request to stop is never answered",
    ),
    Mutation(
        VM,
        'if name == "pstate" and (value & ~_PSTATE or value & pstate.MODE not in _MODES):',
        'if name == "pstate" and value & ~_PSTATE:',
        "the host can put a guest at EL2",
    ),
    Mutation(
        VM,
        "self.until.search(self.uart.current_line())",
        "self.until.match(self.uart.current_line())",
        "only the start of a line is matched",
    ),
    Mutation(
        VM,
        "(reason, detail), self._passing = self._passing, None",
        "reason, detail = self._passing",
        "a match stops every run after it",
    ),
    Mutation(
        VM,
        "        self.dispatcher.reset_system()\n",
        "",
        "handlers of before a reset are called after it",
    ),
    Mutation(
        VM,
        "if self.profile.kick_on_raise and target.sdei.requested:",
        "if target.sdei.requested:",
        "to the letter, an injection kicks",
    ),
    Mutation(
        VM,
        "        self.stage2.mark_dirty(self.memory.used_pages())\n",
        "",
        "pages that a reset clears are not logged",
    ),
    Mutation(
        VM,
        "            self.stage2.dirty.update(range(self.memory.size >> PAGE_SHIFT))\n",
        "            pass\n",
        "pages that a load clears are not logged",
    ),
    Mutation(VM, "        self.gic.reset()\n", "", "interrupts stay enabled over a reset"),
    Mutation(VM, "        self.one_shot.reset()\n", "", "the one-shot timer runs on over a reset"),
    Mutation(VM, "vcpu.on = vcpu.number == 0", "vcpu.on = True", "all vCPUs start at once"),
    Mutation(
        VM,
        "vcpu.reset(self.image.entry, self.dtb)",
        "vcpu.reset(self.image.entry, 0)",
        "the guest does not find the device tree",
    ),
    Mutation(
        VM,
        "start < s.address + len(s.data)",
        "start <= s.address + len(s.data)",
        "no device tree right after a segment",
    ),
    Mutation(
        VM, "s.address < end and", "s.address <= end and", "no device tree right before a segment"
    ),
    Mutation(VM, "if start % 8 or", "if start % 4 or", "a device tree at a multiple of four"),
    Mutation(VM, "n // 16 << 8 | n % 16 for n", "n for n", "more than 16 vCPUs in a cluster"),
    Mutation(
        VM,
        '        self.dispatcher.complete_all(vcpu, "SYSTEM_OFF")\n',
        "",
        "SYSTEM_OFF leaves its handler running",
    ),
    # -- memory and state
    Mutation(
        STAGE2,
        "        self._entries[page] |= _WRITE\n        self.dirty.add(page)\n        return True",
        "        self._entries[page] |= _WRITE\n        return True",
        "a page that the guest wrote is not logged",
    ),
    Mutation(
        STAGE2,
        "            for n in self.dirty:\n                self._entries[n] &= ~_WRITE\n",
        "            pass\n",
        "a page is logged once and never again",
    ),
    Mutation(
        STAGE2,
        "(offset + size - 1 >> PAGE_SHIFT) + 1",
        "(offset + size - 1 >> PAGE_SHIFT)",
        "the last page of a write is not logged",
    ),
    Mutation(STATE, "        vcpu.core.flush_code()\n", "", "code of before runs after a load"),
    Mutation(STATE, "    vm.stopped = state.stopped\n", "", "a machine stays stopped, or runs on"),
    Mutation(
        UART,
        'self._control = dict(state["control"])',
        'self._control = state["control"]',
        "a machine changes the state it was loaded from",
    ),
    Mutation(
        VCPU,
        '        self._last_exception = tuple(state["last_exception"])\n',
        "",
        "an exception loop is not noticed after a load in its middle",
    ),
    Mutation(
        MEMORY,
        "        self.on_write(start, len(data))\n",
        "",
        "code that the host writes does not run",
    ),
    Mutation(
        MEMORY,
        "self.base <= ipa < self.base + self.size",
        "self.base <= ipa <= self.base + self.size",
        "RAM is a byte longer",
    ),
    # -- events of timers
    Mutation(
        SCHEDULER,
        "enters |= vcpu.sdei.requested and vm.profile.kick_on_raise",
        "enters |= vcpu.sdei.requested",
        "to the letter, a timer's event makes the guest exit",
    ),
    Mutation(
        VM,
        "        if self.current.sdei.requested:\n",
        "        if False:\n",
        "an event of a timer that is set when due waits for the guest's next exit",
    ),
]
