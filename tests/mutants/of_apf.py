"""Mistakes in async page fault: its protocol, its tables, and how it rides on the machine."""

from tests.mutants.mutation import Mutation

FAULTS = "sdeiviz/apf/faults.py"
ENGINE = "sdeiviz/apf/engine.py"
GFNS = "sdeiviz/apf/gfns.py"
VCPU = "sdeiviz/apf/vcpu.py"
MACHINE = "sdeiviz/machine/apf.py"

MUTATIONS = [
    # -- tokens and the mailbox
    Mutation(
        FAULTS,
        "state.next_id << TOKEN_ID_SHIFT | state.number",
        "state.number << TOKEN_ID_SHIFT | state.next_id",
        "a token with counter and vCPU in each other's place",
    ),
    Mutation(
        FAULTS,
        "if not state.next_id and self.mode.skips_token_zero:",
        "if state.next_id == 0xFFFF and self.mode.skips_token_zero:",
        "token 0 is issued",
    ),
    Mutation(
        FAULTS,
        "(state.next_id + 1) & 0xFFFF",
        "state.next_id + 1",
        "the counter of tokens does not wrap",
    ),
    Mutation(
        FAULTS,
        "kind: ((BLOCK_TOKEN, 0), (BLOCK_REASON, kind))",
        "kind: ((BLOCK_REASON, kind), (BLOCK_TOKEN, 0))",
        "the reason is written before the token",
    ),
    Mutation(
        FAULTS,
        "reversed(self._words[notification])",
        "self._words[notification]",
        "a mailbox is cleared with the token first",
    ),
    Mutation(
        FAULTS,
        "if read(block + offset):\n                return False\n        return True\n",
        "if not read(block + offset):\n                return True\n        return False\n",
        "a mailbox that the guest has half cleared is free",
    ),
    Mutation(
        FAULTS,
        "((NOT_PRESENT_TOKEN, 0), ",
        "((BLOCK_TOKEN, 0), ",
        "two mailboxes share the token's word",
    ),
    # -- a fault
    Mutation(
        FAULTS, "if state.queued >= SLOTS:", "if state.queued > SLOTS:", "65 faults are in flight"
    ),
    Mutation(
        FAULTS,
        "not (state.control & _SEND_ALWAYS and self.mode.send_always)",
        "not state.control & _SEND_ALWAYS",
        "SEND_ALWAYS counts where it has been dropped",
    ),
    Mutation(
        FAULTS,
        "elif state.not_present is not None or state.page_ready:",
        "elif state.page_ready:",
        "one interrupt tells of two missing pages",
    ),
    Mutation(
        FAULTS,
        "        if self.mode.failure_clears_mailbox:\n            self._withdraw(state)\n",
        "",
        "an event that cannot be injected leaves the mailbox busy",
    ),
    Mutation(
        FAULTS,
        "_NOT_INJECTED.get(-error,",
        "_NOT_INJECTED.get(error,",
        "why an event could not be injected",
    ),
    Mutation(
        FAULTS,
        "Work(gfn, token, syndrome, not reason)",
        "Work(gfn, token, syndrome, True)",
        "whoever halted hears of a page it was not told of",
    ),
    Mutation(
        FAULTS,
        "        state.gfns.add(gfn)\n        state.pending",
        "        state.pending",
        "a page in flight is announced again",
    ),
    Mutation(
        FAULTS,
        "        state.halted = answer.decision is HALT\n",
        "",
        "nobody knows who halts",
    ),
    # -- SDEI tells
    Mutation(
        FAULTS,
        "if event == state.sdei and self.mode.not_present_by_event:",
        "if event == state.sdei:",
        "event 0 acknowledges an interrupt",
    ),
    Mutation(
        FAULTS,
        "        if event == state.sdei and self.mode.not_present_by_event:\n"
        "            state.not_present = None\n",
        "        if self.mode.not_present_by_event:\n            state.not_present = None\n",
        "any event tells of the missing page",
    ),
    Mutation(
        FAULTS,
        "state.not_present is not None and state.enabled:",
        "state.not_present is not None:",
        "an event that is dropped after DISABLE writes to memory that is the guest's again",
    ),
    # -- a page arrives
    Mutation(
        FAULTS,
        "                state.done += works\n",
        "                state.done = works\n",
        "a page that arrives drives out those not told yet",
    ),
    Mutation(
        FAULTS,
        "                state.pending = [work for work in state.pending if work.gfn != gfn]\n",
        "",
        "a page that has arrived is still being fetched",
    ),
    Mutation(
        FAULTS,
        "if state.halted or not state.page_ready:",
        "if not state.page_ready:",
        "a halt outlasts its page until something is acknowledged",
    ),
    Mutation(
        FAULTS,
        "not state.page_ready:\n            state.halted = False\n"
        "            self.host.kick(state.number)\n",
        "not state.page_ready:\n            state.halted = False\n",
        "nobody wakes the vCPU whose page has arrived",
    ),
    Mutation(
        FAULTS,
        "state.done.pop(0)",
        "state.done.pop()",
        "the page that came last is told first",
    ),
    Mutation(
        FAULTS,
        "                self.host.map_page(state.number, work.gfn, work.syndrome)\n",
        "                pass\n",
        "the task wakes and its page is not mapped",
    ),
    Mutation(
        FAULTS,
        "state.requested = bool(state.done)",
        "state.requested = False",
        "what could not be told at once is never told",
    ),
    Mutation(
        FAULTS,
        "        if state.page_ready:\n            return False\n",
        "",
        "a second page is told before the first is acknowledged",
    ),
    Mutation(
        FAULTS,
        "return self._mailbox_free(state, _READY)",
        "return True",
        "page-ready is written over what the guest has not read",
    ),
    Mutation(
        FAULTS,
        "        if not self.mode.not_present_by_event and state.not_present is not None:\n"
        "            return False\n",
        "",
        "one interrupt tells of a missing page and of one that is there",
    ),
    Mutation(
        FAULTS,
        "            state.gfns.discard(work.gfn)\n",
        "            pass\n",
        "a page that has arrived is in flight for ever",
    ),
    Mutation(
        FAULTS,
        "if self.mode.ready_only_if_notified and not work.notified:",
        "if not work.notified:",
        "to the letter, the guest hears of every page",
    ),
    # -- a page that comes first
    Mutation(
        FAULTS,
        "told == (work.token, _NOT_PRESENT)",
        "True",
        "a notification that the guest has taken by itself is cancelled",
    ),
    Mutation(
        FAULTS,
        "self._cancels(state, work) and not self.host.cancel_event(state.number, state.sdei):",
        "self._cancels(state, work):",
        "the mailbox is cleared and the event comes",
    ),
    Mutation(
        FAULTS,
        "        self._clear_mailbox(state, _NOT_PRESENT)\n        state.not_present = None\n",
        "        state.not_present = None\n",
        "a page-not-present is withdrawn and stays in the mailbox",
    ),
    Mutation(
        FAULTS,
        "        self._clear_mailbox(state, _NOT_PRESENT)\n        state.not_present = None\n",
        "        self._clear_mailbox(state, _NOT_PRESENT)\n",
        "a page-not-present is withdrawn and still on its way",
    ),
    Mutation(
        FAULTS,
        "        if state.halted:\n            state.halted = False\n"
        "            self.host.kick(state.number)\n",
        "        state.halted = False\n",
        "whoever halts while it is disabled halts for ever",
    ),
    # -- the calls
    Mutation(
        ENGINE,
        "word = (w3 & MASK32) << 32 | w2 & MASK32",
        "word = (w2 & MASK32) << 32 | w3 & MASK32",
        "the control word's halves change places",
    ),
    Mutation(
        ENGINE,
        "if number >= len(known):",
        "if number > len(known):",
        "the first sub-function that is not there",
    ),
    Mutation(
        ENGINE,
        "            if not state.page_ready:\n                return\n",
        "            pass\n",
        "an acknowledgement of nothing does something",
    ),
    Mutation(
        ENGINE,
        "        self.host.set_interrupt(state.number, state.irq, False)\n"
        "        self._drain(state)\n",
        "        self._drain(state)\n",
        "an acknowledged interrupt stays high",
    ),
    Mutation(
        ENGINE,
        "        self.host.set_interrupt(state.number, state.irq, False)\n"
        "        self._drain(state)\n",
        "        self.host.set_interrupt(state.number, state.irq, False)\n",
        "an acknowledgement does not bring the next page",
    ),
    Mutation(
        ENGINE,
        "BLOCK_SHARED + 4 * self.mode.separate_mailboxes",
        "BLOCK_SHARED",
        "a second mailbox has no room of its own",
    ),
    Mutation(
        ENGINE,
        "if self.mode.restore_wakes_all or not restore:",
        "if self.mode.restore_wakes_all:",
        "ENABLE wakes nobody where the VMM's restore does not",
    ),
    Mutation(
        ENGINE,
        "            self._silence(state)\n",
        "            pass\n",
        "DISABLE leaves what is on its way",
    ),
    Mutation(
        ENGINE,
        "                self.host.cancel_event(state.number, state.sdei)\n",
        "                pass\n",
        "DISABLE leaves the event pending",
    ),
    Mutation(
        ENGINE,
        "        if not by_event or state.page_ready:\n",
        "        if state.page_ready:\n",
        "DISABLE leaves the interrupt of a missing page high",
    ),
    Mutation(
        ENGINE,
        "        if state.page_ready or state.not_present is not None:\n",
        "        if state.page_ready:\n",
        "a reset leaves the interrupt of a missing page high",
    ),
    Mutation(
        ENGINE,
        "        state.next_id = state.control = 0\n",
        "        state.next_id = 0\n",
        "it is enabled over a reset",
    ),
    Mutation(
        ENGINE,
        "            if state.enabled:\n                return -errno.EBUSY\n",
        "",
        "the interrupt's number changes while it is used",
    ),
    Mutation(
        ENGINE,
        "self._enable(state, word, restore=True)",
        "self._enable(state, word)",
        "the VMM's restore passes for the guest's ENABLE",
    ),
    # -- tables and state
    Mutation(
        GFNS,
        "            place = (place + 1) % SLOTS\n        return place",
        "            place = min(place + 1, SLOTS - 1)\n        return place",
        "a search does not go on at the table's start",
    ),
    Mutation(
        GFNS,
        "% SLOTS >= (place - gap) % SLOTS:",
        "% SLOTS > (place - gap) % SLOTS:",
        "a number that is in the table is not found after another was taken out",
    ),
    Mutation(
        VCPU,
        "return len(self.pending) + len(self.done)",
        "return len(self.pending)",
        "pages not told yet take no place",
    ),
    Mutation(
        VCPU,
        '            GfnSlots(state["gfns"]),\n',
        "            GfnSlots(),\n",
        "a load forgets which pages are in flight",
    ),
    Mutation(
        VCPU,
        '            state["page_ready"],\n            state["requested"],\n',
        '            state["requested"],\n            state["page_ready"],\n',
        "a load takes a request for an interrupt that is high",
    ),
    # -- on the machine
    Mutation(
        MACHINE,
        "contains(address + size - 1)",
        "contains(address + size)",
        "the last block of RAM is none",
        survives="a block is 64 bytes at a multiple of 64: what follows its words is RAM as well",
    ),
    Mutation(
        MACHINE,
        "_BUSY if word is None else word",
        "0 if word is None else word",
        "a mailbox that is absent is empty",
    ),
    Mutation(
        MACHINE,
        "return handler is not None and not handler.shared",
        "return handler is not None",
        "a shared event tells of a vCPU's page",
    ),
    Mutation(MACHINE, ", event, immediate=True)", ", event)", "an event for later tells of a page"),
    Mutation(
        MACHINE,
        "        self._vm.stamp()\n        return self._vm.dispatcher.cancel_event",
        "        return self._vm.dispatcher.cancel_event",
        "a withdrawal bears the time of what came before it",
    ),
    Mutation(
        MACHINE,
        "self._vm.gic.set_line(intid, level, vcpu)",
        "self._vm.gic.set_line(intid, level)",
        "vCPU 0 hears of every page",
    ),
    Mutation(
        MACHINE,
        "        self._vm.vcpus[vcpu].must_enter = True\n",
        "        pass\n",
        "a kick does nothing",
    ),
    Mutation(
        MACHINE,
        "        x[0], x[1], x[2], x[3] = words\n",
        "        x[0] = words[0]\n",
        "a call answers in x0 alone",
    ),
    Mutation(
        MACHINE,
        "    for vcpu in vm.vcpus:\n        apf.ioctl(vcpu.number, Command.SET_SDEI, event)\n",
        "    for vcpu in vm.vcpus[:1]:\n        apf.ioctl(vcpu.number, Command.SET_SDEI, event)\n",
        "only vCPU 0 can be told",
    ),
]
