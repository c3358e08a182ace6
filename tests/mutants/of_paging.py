"""Mistakes in the host's memory manager: who waits, whose time that is, and what is saved."""

from tests.mutants.mutation import Mutation

PAGING = "sdeiviz/machine/paging.py"
STORE = "sdeiviz/machine/store.py"
LATENCY = "sdeiviz/machine/latency.py"
ACCOUNTS = "sdeiviz/machine/accounts.py"
SCHEDULER = "sdeiviz/machine/scheduler.py"
VCPU = "sdeiviz/machine/vcpu.py"
VM = "sdeiviz/machine/vm.py"
STAGE2 = "sdeiviz/machine/stage2.py"
MEMORY = "sdeiviz/machine/memory.py"
STATE = "sdeiviz/machine/state.py"
CORE = "sdeiviz/cpu/core.py"

MUTATIONS = [
    # -- a fault
    Mutation(
        PAGING,
        "if not vcpu.stalled and not self._vm.is_late:",
        "if not vcpu.stalled:",
        "the guest goes on before the page that arrived meanwhile",
    ),
    Mutation(
        PAGING,
        "None if waits else costs.worker",
        "costs.worker",
        "a worker fetches what the vCPU waits for",
    ),
    Mutation(
        PAGING,
        "0 if reason is IN_FLIGHT else costs.queue",
        "costs.queue",
        "a page in flight is queued again",
    ),
    Mutation(
        PAGING,
        "self._waiters.setdefault(page, []).append(vcpu.number)",
        "self._waiters[page] = [vcpu.number]",
        "the second vCPU that waits for a page drives out the first",
    ),
    Mutation(
        PAGING,
        "vcpu.stall(Activity.BLOCKED, gfn)",
        "vcpu.stall(Activity.HALTED, gfn)",
        "a vCPU that waits for a page takes interrupts",
    ),
    Mutation(
        PAGING,
        "max(SHORTEST_RETRY - costs.exit - costs.lookup, 0)",
        "SHORTEST_RETRY",
        "a fault tried again takes a microsecond more than it costs",
    ),
    Mutation(
        PAGING,
        "            vm.scheduler.end_turn()\n",
        "            pass\n",
        "whoever tries again keeps its turn",
    ),
    Mutation(
        PAGING,
        "            vm.spend(vcpu, queue + costs.inject)\n            vcpu.must_enter = True\n",
        "            vm.spend(vcpu, queue + costs.inject)\n",
        "an interrupt that tells of a page waits for the next exit",
    ),
    Mutation(
        PAGING,
        "            vm.spend(vcpu, queue + costs.inject)\n",
        "            vm.spend(vcpu, queue)\n",
        "telling the guest costs nothing",
    ),
    # -- fetching
    Mutation(
        PAGING, "vm.time + (worker or 0)", "vm.time", "a worker begins before it has been woken"
    ),
    Mutation(
        PAGING,
        "        vm.due_by(self.store.deadline)\n",
        "",
        "a page arrives with the next timer",
    ),
    Mutation(
        PAGING,
        "        self.states[page] = _FETCHING\n",
        "",
        "a page is fetched twice",
    ),
    Mutation(
        PAGING,
        "if data is None and page not in self._late:",
        "if data is None:",
        "what waits for a page is lost where it holds zeros",
    ),
    Mutation(
        PAGING,
        "            self._unmapped.add(page)\n            self._admit(page)\n",
        "            self._unmapped.add(page)\n",
        "a page that was fetched stays for ever",
    ),
    Mutation(
        PAGING,
        "            vcpu.unstall()\n",
        "            pass\n",
        "the page is there and its vCPU waits",
    ),
    Mutation(
        PAGING,
        "self._late.pop(page, ())",
        "self._late.get(page, ())",
        "what waited for a page is written again whenever it comes",
    ),
    Mutation(
        PAGING,
        "        self._stage2.mark_dirty((page,))\n\n    def _clear",
        "\n    def _clear",
        "a page that arrives is not logged",
    ),
    Mutation(
        PAGING,
        "            self._unmapped.discard(page)\n"
        "            self._stage2.map_page(page, writable=True)\n",
        "            self._stage2.map_page(page, writable=True)\n",
        "a page is mapped again for each that asked",
    ),
    # -- taking away
    Mutation(
        PAGING,
        "        self._stage2.map_page(page, writable=True)\n        self._admit(page)\n",
        "        self._stage2.map_page(page, writable=True)\n",
        "a page that was first written stays for ever",
    ),
    Mutation(
        PAGING,
        "len(self._resident) > limit:",
        "len(self._resident) >= limit:",
        "a page fewer may be resident",
    ),
    Mutation(
        PAGING, "self._resident.popleft()", "self._resident.pop()", "the page that just came goes"
    ),
    Mutation(
        PAGING,
        "min(limit // 8, RECLAIM)",
        "RECLAIM",
        "of few pages, more are taken away than there are",
    ),
    Mutation(
        PAGING,
        "                self._evict(self._resident.popleft())\n"
        "            self._vm.flush_tlbs()\n",
        "                self._evict(self._resident.popleft())\n",
        "the guest goes on with pages that were taken away",
    ),
    Mutation(
        PAGING,
        "            self._resident.remove(page)\n",
        "            pass\n",
        "a page that the host took away counts as resident",
    ),
    Mutation(
        PAGING,
        "        self._evict(page)\n        self._vm.flush_tlbs()\n",
        "        self._evict(page)\n",
        "the guest goes on with a page that the host took away",
    ),
    Mutation(
        PAGING,
        "        self._unmapped.difference_update(range(first, first + count))\n",
        "",
        "a page that went before it was mapped is mapped empty",
    ),
    Mutation(
        PAGING,
        "        (self.guard or self._vm.memory).discard(first, count)\n",
        "",
        "a page that was taken away keeps its memory",
    ),
    Mutation(
        PAGING,
        "-(-(end - memory.base) // PAGE)",
        "(end - memory.base) // PAGE",
        "the image's last page is taken away",
    ),
    # -- the host's own accesses
    Mutation(
        PAGING,
        "self.fetch(offset >> PAGE_SHIFT, self._vm.current.number, self._costs.worker)",
        "pass",
        "the page of an absent mailbox is never fetched",
    ),
    Mutation(
        PAGING, "append((ipa % PAGE, value", "append((0, value", "a late word goes to the start"
    ),
    Mutation(
        PAGING,
        "        self.written_by_host((page,))\n",
        "",
        "a zero page that the hypervisor writes has no memory of its own",
    ),
    Mutation(
        PAGING,
        "        memory.words[offset >> 2] = value\n        self._stage2.mark_dirty((page,))\n",
        "        memory.words[offset >> 2] = value\n",
        "what the hypervisor writes is not logged",
    ),
    # -- state
    Mutation(
        PAGING,
        "        self._late = {page: list(writes) for page, writes in state",
        "        {page: list(writes) for page, writes in state",
        "a load forgets what waits for a page",
    ),
    Mutation(
        PAGING,
        "        self._waiters = {page: list(numbers)",
        "        {page: list(numbers)",
        "a load forgets who waits for a page",
    ),
    Mutation(
        PAGING,
        "changed | (unmapped ^ self._unmapped):",
        "changed:",
        "a load maps what was not mapped yet",
    ),
    Mutation(
        PAGING,
        "writable=states[page] != _ZERO",
        "writable=True",
        "after a load a zero page takes writes",
    ),
    Mutation(
        PAGING,
        "            self._stage2.map_page(page, writable=False)\n",
        "            self._stage2.map_page(page, writable=True)\n",
        "no page needs memory of its own",
    ),
    # -- the store and its latency
    Mutation(
        STORE,
        "if len(self._busy) == self._depth:",
        "if len(self._busy) > self._depth:",
        "the store serves one request more",
    ),
    Mutation(
        STORE,
        "max(time, heappop(self._busy))",
        "heappop(self._busy)",
        "a request begins before it was made",
    ),
    Mutation(
        STORE,
        "heappush(self._busy, done)",
        "heappush(self._busy, done + self._place)",
        "a request is served until its page has been placed",
    ),
    Mutation(
        STORE,
        "heappush(self._due, (done + self._place, page))",
        "heappush(self._due, (done, page))",
        "a page arrives before it has been placed",
    ),
    Mutation(
        STORE,
        '        self._number = state["number"]\n',
        "",
        "after a load the store is as fast as at the start",
    ),
    Mutation(
        LATENCY,
        "exp(self.sigma * normal - self.sigma * self.sigma / 2)",
        "exp(self.sigma * normal)",
        "the median is taken for the mean",
    ),
    Mutation(
        LATENCY,
        "min(max(round(drawn), self.shortest), self.longest)",
        "max(round(drawn), self.shortest)",
        "nothing is the longest",
    ),
    # -- whose time it is
    Mutation(
        ACCOUNTS,
        "        self._spent[activity] += nanoseconds\n        self._since += nanoseconds\n",
        "        self._spent[activity] += nanoseconds\n",
        "the host's work counts twice",
    ),
    Mutation(
        VM,
        "vcpu.account.charge(_OVERHEAD,",
        "vcpu.account.charge(Activity.BLOCKED,",
        "the host's work passes for waiting",
    ),
    Mutation(
        VM,
        "if current is not vcpu and current.account.activity is _RUN:",
        "if False:",
        "one vCPU runs while the host works for another",
    ),
    Mutation(
        VM,
        "        self.skipped_word[0] += nanoseconds\n        if self.deadline is not None:\n",
        "        self.skipped_word[0] += nanoseconds\n        if False:\n",
        "the guest goes on after a deadline that the host's work has passed",
    ),
    Mutation(
        SCHEDULER,
        "        before.change_activity()\n",
        "",
        "whoever had its turn runs on in the books",
    ),
    Mutation(
        VCPU,
        "_RUN if self is self.vm.current else Activity.READY",
        "_RUN",
        "whoever could run does, in the books",
    ),
    Mutation(
        VCPU,
        "if region.exits and self.vm.paging:",
        "if self.vm.paging:",
        "the interrupt controller's CPU interface exits",
    ),
    Mutation(
        VCPU,
        "elif self.vm.paging and encoding in SGI_REGISTERS:",
        "elif self.vm.paging:",
        "the CPU interface of a GICv3 exits",
    ),
    # -- who can go on
    Mutation(
        VCPU,
        "if not self.on or self._stall is _BLOCKED:",
        "if not self.on:",
        "a kick ends a wait for a page that is not there",
    ),
    Mutation(
        VCPU,
        "self.core.irq if self.waiting else self.core.irq_is_due",
        "self.core.irq",
        "an interrupt that is masked ends a halt",
    ),
    Mutation(
        VCPU,
        "        return interrupted or requested or self.must_enter\n",
        "        return interrupted or requested\n",
        "a page that arrives does not end a halt",
    ),
    Mutation(
        VCPU,
        "        if self._stall:\n            self.unstall()\n",
        "",
        "an interrupt that ends a halt is followed by it",
    ),
    Mutation(
        VCPU,
        "        self.change_activity()\n        self.core.stop()\n\n    def unstall",
        "        self.change_activity()\n\n    def unstall",
        "a vCPU runs on while it waits for a page",
    ),
    Mutation(
        VCPU,
        "self._stall, self.must_enter = None, True",
        "self._stall = None",
        "what came while a vCPU waited for a page comes at its next exit",
    ),
    Mutation(
        VCPU,
        "        self.must_enter = False\n        if self.vm.apf:",
        "        if self.vm.apf:",
        "a kick is never over",
    ),
    Mutation(
        VCPU,
        "sdei.contexts[-1].event",
        "sdei.contexts[0].event",
        "the handler that was interrupted tells of the page",
        survives="no fault is told while a handler runs, so no other is below its event's",
    ),
    Mutation(
        VCPU,
        '        self.vm.dispatcher.complete_all(self, "CPU_OFF")\n'
        "        if self.vm.apf:\n            self.vm.apf.reset(self.number)\n",
        '        self.vm.dispatcher.complete_all(self, "CPU_OFF")\n',
        "a vCPU that is off is told of its pages",
    ),
    Mutation(
        VCPU,
        "self._stall = Activity(state",
        "Activity(state",
        "a load ends a wait for a page",
    ),
    Mutation(
        VCPU,
        '        self.must_enter = state["must_enter"]\n',
        "",
        "a load forgets a kick",
    ),
    Mutation(
        SCHEDULER,
        "vcpu.waiting or vcpu.stalled or vcpu.must_enter",
        "vcpu.waiting or vcpu.must_enter",
        "an interrupt does not end a halt",
    ),
    Mutation(
        SCHEDULER,
        "vcpu.waiting or vcpu.stalled or vcpu.must_enter",
        "vcpu.waiting or vcpu.stalled",
        "a page that has arrived is told at the next exit",
    ),
    # -- moments, stops and resets
    Mutation(
        SCHEDULER,
        "            if vm.is_pausing:\n                return\n",
        "",
        "while everybody waits an alarm ends nothing",
    ),
    Mutation(
        SCHEDULER,
        "        self._turn_end = self._vm.index\n",
        "",
        "a turn that was ended goes on",
    ),
    Mutation(
        VM,
        "        self.alarm = time\n        self.timers_changed()\n",
        "        self.alarm = time\n",
        "an alarm rings with the next timer",
    ),
    Mutation(
        VM,
        "        finally:\n            self.alarm = None\n            self.timers_changed()\n",
        "        finally:\n            self.timers_changed()\n",
        "an alarm of a run that ended before rings in the next",
    ),
    Mutation(
        VM,
        "        if not self.current.runnable:  # it",
        "        if False:  # it",
        "after an alarm, a vCPU that waits runs",
    ),
    Mutation(
        VM,
        "(StopReason.WFI, StopReason.PAGE)",
        "(StopReason.WFI,)",
        "a page that the host places wakes nobody",
    ),
    Mutation(
        VM,
        "        placed = self.pager.place(page, data)\n        self.wake()\n",
        "        placed = self.pager.place(page, data)\n",
        "a machine that waited for a page stays stopped when it comes",
    ),
    Mutation(
        VM,
        "            self.pager.reset()\n",
        "",
        "after a reset pages are where they were",
    ),
    Mutation(
        VM,
        "                self.apf.reset(vcpu.number)\n",
        "                pass\n",
        "after a reset a page of before is told",
    ),
    Mutation(
        VM,
        "        if not result:\n            self._withdrawn(vcpu, event)\n",
        "",
        "the host cancels the event and the mailbox stays busy",
    ),
    Mutation(
        VM,
        "        self.dispatcher.on_withdrawn = lambda vcpu, event: "
        "self._withdrawn(vcpu.number, event)\n",
        "",
        "the event goes with its handler and the mailbox stays busy",
    ),
    Mutation(
        VM,
        "        used.append((self.dtb, len(self.device_tree) if self.dtb else 0))\n",
        "",
        "a device tree behind the image is taken away",
    ),
    Mutation(
        VM,
        "                range(offset >> PAGE_SHIFT, (offset + size - 1 >> PAGE_SHIFT) + 1)\n",
        "                range(offset >> PAGE_SHIFT, (offset + size - 1 >> PAGE_SHIFT))\n",
        "the last page that the host writes stays a zero page",
    ),
    # -- rights and presence
    Mutation(
        STAGE2,
        "            for n in self._unmapped:\n                self._entries[n] = 0\n",
        "",
        "absent pages are mapped when a log starts",
    ),
    Mutation(
        STAGE2,
        "may_write = writable and (self.dirty is None or page in self.dirty)",
        "may_write = writable",
        "a page that arrives while writes are logged takes them unseen",
    ),
    Mutation(
        STAGE2,
        "page not in self._unmapped and page not in self._read_only",
        "page not in self._unmapped",
        "the log lets a zero page be written",
    ),
    Mutation(
        STAGE2,
        "                if self._may_be_written(page):\n",
        "                if True:\n",
        "a page that was taken away is mapped by its place in the log",
    ),
    Mutation(
        STAGE2,
        "        self._unmapped.discard(page)\n        (self._read_only",
        "        (self._read_only",
        "a page that came back is absent for the log",
    ),
    Mutation(
        MEMORY,
        "(stop - 1 >> PAGE_SHIFT) + 1)",
        "(stop - 1 >> PAGE_SHIFT))",
        "the last page of a read may be absent",
    ),
    Mutation(
        MEMORY,
        "(stop - 1 >> PAGE_SHIFT) + 1)",
        "(stop >> PAGE_SHIFT) + 1)",
        "a read up to an absent page is refused",
    ),
    Mutation(
        MEMORY,
        "NOT_HERE: Final = (PageState.ABSENT, PageState.FETCHING)",
        "NOT_HERE: Final = (PageState.ABSENT,)",
        "a page on its way is read",
    ),
    Mutation(STATE, "        vm.apf.load(state.apf)\n", "", "a load forgets what is in flight"),
    Mutation(
        STATE,
        '        "async page fault": vm.apf.mode.name if vm.apf else "none",\n',
        "",
        "a state goes to a machine without async page fault",
    ),
    # -- probes
    Mutation(
        CORE,
        "if self._end or (address in self._breakpoints and here != self.standing_at):",
        "if self._end:",
        "a probe is told when a breakpoint ends the run in front of it",
    ),
    Mutation(
        CORE,
        "                state[clk.INDEX] = here\n                self._handler",
        "                self._handler",
        "a probe bears its block's last index",
    ),
    Mutation(
        CORE,
        "                state[clk.INDEX] = counted\n",
        "",
        "a probe takes instructions off the clock",
    ),
    Mutation(
        CORE,
        "        self._probed_at = -1\n        self.pc = ",
        "        self.pc = ",
        "who goes back to a probe does not see it again",
    ),
    Mutation(
        VM, "a: n.removeprefix(PROBE) for", "a: n for", "a probe bears its symbol's whole name"
    ),
]
