"""Mistakes in the core: exception entry, counting, exact stops, what is kept and given back."""

from tests.mutants.mutation import Mutation

CORE = "sdeiviz/cpu/core.py"
CLOCK = "sdeiviz/cpu/clock.py"
HOOKS = "sdeiviz/cpu/hooks.ll"
LOADSTORE = "sdeiviz/cpu/loadstore.py"
LAYOUT = "sdeiviz/cpu/layout.py"

MUTATIONS = [
    # -- exception entry
    Mutation(CORE, "offset = 0x400\n", "offset = 0x600\n", "EL0 goes to the vectors of AArch32"),
    Mutation(CORE, "0x200 if interrupted & 1 else 0x000", "0x200", "EL1t has EL1h's vectors"),
    Mutation(
        CORE,
        "interrupted & pstate.NZCV | pstate.DAIF | pstate.EL1H",
        "pstate.DAIF | pstate.EL1H",
        "flags are lost at entry",
    ),
    Mutation(
        CORE,
        "interrupted & pstate.NZCV | pstate.DAIF | pstate.EL1H",
        "interrupted & (pstate.NZCV | pstate.DAIF) | pstate.EL1H",
        "a vector is entered unmasked",
    ),
    Mutation(
        CORE,
        "has_address = number in (_INSTRUCTION_ABORT, _DATA_ABORT)",
        "has_address = number != _SVC",
        "FAR is set by BRK and undefined instructions",
    ),
    Mutation(
        CORE,
        "                self._system[_bank(old)][0] = self._sp[0]\n",
        "",
        "the stack pointer of the level that is left is lost",
    ),
    Mutation(
        CORE,
        "                self._sp[0] = self._system[_bank(mode)][0]\n",
        "",
        "the handler runs on the stack of what it interrupts",
    ),
    Mutation(
        CORE,
        "            if changed & ~1:\n                self._rebuild_flags()\n",
        "",
        "the level changes in name only",
    ),
    Mutation(
        CORE,
        "        if pc & 3:\n            self._misaligned(pc)\n        elif self",
        "        if self",
        "an abort comes before the PC's alignment",
    ),
    Mutation(
        CORE,
        "                if not syndrome & esr.S1PTW:",
        "                if True:",
        "a table walk's fault at an offset it does not have",
    ),
    # -- the index
    Mutation(
        CORE, "if 0 < left <= size:", "if 0 < left < size:", "a block that did not run counts"
    ),
    Mutation(
        CORE,
        "            if number != _SVC:  # which ends its block, and was counted with it\n"
        "                self.count()\n",
        "            self.count()\n",
        "SVC counts twice",
    ),
    Mutation(
        CORE,
        "            self.settle()\n            if number == _HVC:",
        "            if number == _HVC:",
        "an exit in the middle of a block counts all of it",
    ),
    Mutation(
        CORE,
        "                self._state[clk.LAST_SIZE] = 0\n                if (\n",
        "                if (\n",
        "an ERET into its own block, to where EL0 cannot execute, uncounts it",
    ),
    Mutation(
        CORE,
        "                    or self._state[clk.INDEX] >= self._state[clk.TARGET]\n",
        "",
        "a fetch that faults after the last instruction is one too many",
    ),
    Mutation(
        CORE,
        "            state[clk.INDEX] = counted - (\n"
        "                (state[clk.LAST_START] + state[clk.LAST_SIZE] - self._pc[0]) >> 2\n"
        "            )\n",
        "",
        "a counter reads the time at the end of its block",
    ),
    Mutation(
        HOOKS,
        "%here = sub i64 %index, %ahead",
        "%here = add i64 %index, 0",
        "EL1 reads the time at the end of its block",
    ),
    Mutation(
        HOOKS,
        "%time = add i64 %here, %skipped",
        "%time = add i64 %here, 0",
        "EL1's time stands still while all wait",
    ),
    Mutation(
        HOOKS,
        "br i1 %at_el0, label %no, label %tell",
        "br label %tell",
        "EL0 reads the time whatever CNTKCTL_EL1 says",
    ),
    Mutation(
        HOOKS,
        "  %answered = call zeroext i1 %device(i32 %word)\n",
        "  %answered = and i1 1, 1\n",
        "a data abort on a device is forgotten",
    ),
    Mutation(
        HOOKS,
        "  call void @settle(i64 %pc, ptr %state)\n",
        "",
        "native: a device in the middle of a block is reached at its end",
    ),
    Mutation(
        HOOKS,
        "%word = load i32, ptr %word_at",
        "%word = add i32 0, 0",
        "native: no device access writes its base register back",
    ),
    Mutation(
        HOOKS,
        "%time = add i64 %index, %skipped",
        "%time = add i64 %index, 0",
        "native: the time of a hypercall is its index",
    ),
    Mutation(
        HOOKS,
        "  call void @note_call(ptr %state)\n",
        "",
        "native: the trace has no hypercall's registers",
    ),
    Mutation(
        CORE,
        "self._note_call()\n                self._hypercall()\n            else:\n",
        "self._hypercall()\n            else:\n",
        "python, and stepped to: a hypercall has the registers of the last one",
    ),
    Mutation(
        HOOKS,
        "icmp ugt i64 %next, %target",
        "icmp uge i64 %next, %target",
        "native: a block that ends at the target is refused",
        survives="the same instructions then run exactly, only slower",
    ),
    Mutation(
        HOOKS, "  store i64 %bytes, ptr %last_size\n", "", "native: the last block is not known"
    ),
    Mutation(
        CLOCK,
        "if after > state[TARGET] or state[INTERRUPT] or odd:",
        "if after > state[TARGET] or odd:",
        "python: nothing interrupts it",
    ),
    Mutation(
        CLOCK,
        "                state[LAST_SIZE] = size\n",
        "",
        "python: the last block is not known",
    ),
    Mutation(
        HOOKS,
        "%masked = and i32 %daif, 128",
        "%masked = and i32 %daif, 64",
        "native: PSTATE.F masks interrupts",
    ),
    Mutation(
        HOOKS,
        "  br i1 %unknown, label %yes, label %compare",
        "  br i1 %unknown, label %no, label %compare",
        "native: where PSTATE is out of reach, nothing is interrupted",
    ),
    Mutation(CLOCK, ".value & pstate.I", ".value & pstate.F", "python: PSTATE.F masks interrupts"),
    Mutation(
        CORE,
        "0 if state[clk.IRQ] or state[clk.INTERRUPT] else state",
        "0 if state[clk.INTERRUPT] else state",
        "an interrupt waits for the end of a run",
    ),
    Mutation(
        CORE,
        "            if self.irq_is_due:\n                self._handler.interrupt()\n",
        "",
        "interrupts are never taken",
    ),
    Mutation(
        CORE,
        "                    or self.irq_is_due\n",
        "",
        "a fetch faults before the interrupt that is due",
    ),
    Mutation(
        CORE,
        "self._enter_vector(0x080, ",
        "self._enter_vector(0x100, ",
        "interrupts go to the vector of FIQs",
    ),
    # -- exact stops
    Mutation(
        CORE,
        "                if number != _INSTRUCTION_ABORT:\n                    # Now,",
        "                if number == _INSTRUCTION_ABORT:\n                    # Now,",
        "a cut block stays where its addresses lead nowhere",
    ),
    Mutation(
        CORE,
        "        if self.read_word(end - 4) == _WFI:\n            return False\n",
        "",
        "a WFI as the last instruction before a stop is not the guest's",
    ),
    Mutation(
        CORE,
        "        self._run_counted(start, end, size)\n        self._forget_exact()\n",
        "        self._run_counted(start, end, size)\n",
        "a cut block stays where a breakpoint ended it",
        survives="Unicorn itself forgets what ends at the address it was told to stop at",
    ),
    Mutation(
        CORE,
        " and not state[clk.INTERRUPT] and not self.irq_is_due:",
        " and not self.irq_is_due:",
        "an interrupted run goes on to its target",
    ),
    Mutation(CORE, "if here != self.standing_at:", "if True:", "a breakpoint holds for ever"),
    Mutation(
        CORE, "            self.standing_at = here\n", "", "who does not say where they stand stays"
    ),
    Mutation(
        CORE,
        "        self.flush_code()  # hooks are compiled into the code\n",
        "",
        "a breakpoint in code that has run is missed, and one taken away still holds",
    ),
    Mutation(
        CORE,
        "for address in self._breakpoints.keys() - wanted:",
        "for address in ():",
        "a breakpoint taken away still holds",
    ),
    # -- what is kept
    Mutation(
        CORE,
        '            word[0] = state[f"exclusive{n}"]\n',
        "            pass\n",
        "the exclusive monitor is not restored",
    ),
    Mutation(
        CORE,
        "        self._exclusive[0][0] = _NEVER\n",
        "",
        "a store-exclusive succeeds over an event",
    ),
    Mutation(CORE, '& _NEVER, state[f"v{n}"] >> 64', "& _NEVER, 0", "half of each vector is lost"),
    Mutation(
        CORE,
        'self._sp[0] = state[_bank(state["pstate"])]',
        'self._sp[0] = state["sp_el1"]',
        "EL0 goes on with EL1's stack pointer",
    ),
    Mutation(
        CORE,
        "        for name, register in _FLOATING_POINT.items():\n"
        "            self._uc.reg_write(register, state[name])\n",
        "",
        "FPCR and FPSR are not restored",
    ),
    Mutation(
        CORE,
        "        self._rebuild_flags()\n        self.flush_tlb()\n",
        "        self._rebuild_flags()\n",
        "translations of before hold after a load",
    ),
    Mutation(CORE, "        self._aarch64[0] = 1\n", "", "AArch32 cannot be stepped back from"),
    Mutation(
        CORE,
        "        self._exclusive[0][0] = _NEVER  # they",
        "        pass  # they",
        "a store-exclusive succeeds over another vCPU's turn",
    ),
    # -- loads and stores
    Mutation(
        LOADSTORE,
        "size=1 << (syndrome >> 22 & 3)",
        "size=1 << (syndrome >> 22 & 1)",
        "32 bits are 8",
    ),
    Mutation(LOADSTORE, "syndrome >> 21 & 1", "syndrome >> 15 & 1", "64-bit loads extend the sign"),
    Mutation(
        LOADSTORE,
        "word & 0x3B20_0400 != 0x3800_0400",
        "word & 0x3B20_0000 != 0x3800_0000",
        "forms without write-back write back",
    ),
    Mutation(
        LOADSTORE,
        "immediate - 512 if immediate & 0x100 else immediate",
        "immediate",
        "bases only grow",
    ),
    Mutation(LOADSTORE, "value |= ~0 << bits", "value |= 1 << bits", "the sign is one bit long"),
    # -- finding registers
    Mutation(
        LAYOUT,
        "    if len(places) != 1:\n",
        "    if not places:\n",
        "one of several places is taken",
    ),
    Mutation(
        LAYOUT,
        "if read(p, len(expected)) == expected}",
        "}",
        "a copy of the registers is taken for them",
    ),
    Mutation(
        LAYOUT,
        "        if len(live) != 1:\n            live = search",
        "        if not _reached:\n            live = search",
        "where the first core had its registers, nothing but a copy may be",
    ),
    Mutation(
        LAYOUT,
        "                    at = block.find(first_two, at + 1)\n",
        "                    break\n",
        "a copy in front of the registers hides them",
    ),
]
