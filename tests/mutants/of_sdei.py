"""Mistakes in the dispatcher: table cells, the order of checks, delivery, completion, profiles."""

from tests.mutants.mutation import Mutation

TABLE = "sdeiviz/sdei/table.py"
CALLS = "sdeiviz/sdei/dispatcher.py"
DELIVERY = "sdeiviz/sdei/delivery.py"
EVENTS = "sdeiviz/sdei/events.py"
SLOTS = "sdeiviz/sdei/slots.py"
REGISTERS = "sdeiviz/sdei/registers.py"
PSTATE = "sdeiviz/abi/pstate.py"
PROFILES = "sdeiviz/sdei/profiles.py"

MUTATIONS = [
    # -- cells of the table ----------------------------------------------------
    Mutation(
        TABLE,
        "Action.REGISTER: _row(U=(_OK, _R)),",
        "Action.REGISTER: _row(U=(_OK, _R), UP=(_OK, _R)),",
        "register while the handler still runs",
    ),
    Mutation(TABLE, "RR=(_OK, _ER)),", "RR=_OK),", "ENABLE in a handler does nothing"),
    Mutation(
        TABLE,
        "_row(R=_OK, E=(_OK, _R), ER=(_OK, _RR), RR=_OK),",
        "_row(E=(_OK, _R), ER=(_OK, _RR), RR=_OK),",
        "DISABLE twice is DENIED",
    ),
    Mutation(TABLE, "ER=(_OK, _RR), RR=_OK)", "ER=(_OK, _R), RR=_OK)", "DISABLE stops a handler"),
    Mutation(
        TABLE,
        "ER=(_PENDING, _UP), RR=(_PENDING, _UP), UP=_PENDING",
        "ER=(_PENDING, _UP), RR=(_PENDING, _UP)",
        "UNREGISTER again is DENIED, not PENDING",
    ),
    Mutation(
        TABLE,
        "R=(_OK, _U), E=(_OK, _U), ER=(_PENDING, _UP)",
        "R=(_OK, _U), ER=(_PENDING, _UP)",
        "an enabled event cannot be unregistered",
    ),
    Mutation(TABLE, "_row(ER=_OK, RR=_OK, UP=_OK)", "_row(ER=_OK, RR=_OK)", "CONTEXT: not in UP"),
    Mutation(TABLE, "RR=(_OK, _R), UP=(_OK, _U)),", "RR=(_OK, _E), UP=(_OK, _U)),", "re-enables"),
    Mutation(TABLE, "RR=(_OK, _R), UP=(_OK, _U)),", "RR=(_OK, _R), UP=(_OK, _R)),", "re-registers"),
    Mutation(
        TABLE,
        "ER=(_DENIED, _UP), RR=(_DENIED, _UP), UP=_DENIED",
        "ER=(_DENIED, _UP), RR=(_DENIED, _RR), UP=_DENIED",
        "a reset forgets a handler that runs disabled",
    ),
    Mutation(
        TABLE, "_row(E=(_OK, _ER))", "_row(R=(_OK, _RR), E=(_OK, _ER))", "disabled events delivered"
    ),
    Mutation(
        TABLE,
        "Action.ROUTING_SET: _row(R=_OK)",
        "Action.ROUTING_SET: _row(R=_OK, E=_OK)",
        "an enabled event moves to another PE",
    ),
    Mutation(
        TABLE,
        "Action.RELEASE: _row(U=_OK)",
        "Action.RELEASE: _row(U=_OK, R=_OK)",
        "an event is released under its handler",
    ),
    Mutation(
        TABLE,
        "Action.SHARED_RESET: _RESET",
        "Action.SHARED_RESET: _row(U=_OK, R=(_OK, _U), E=(_OK, _U))",
        "a shared handler that runs stays registered",
    ),
    # -- the calls and the order of their checks ---------------------------------
    Mutation(
        CALLS,
        "MASK64 & ~(REGISTER_RM_PE | REGISTER_RELATIVE_MODE)",
        "0",
        "reserved flags accepted",
    ),
    Mutation(
        CALLS,
        "~(REGISTER_RM_PE | REGISTER_RELATIVE_MODE)",
        "~REGISTER_RELATIVE_MODE",
        "the routing bit refused",
    ),
    Mutation(
        CALLS,
        "if flags and (error :=",
        "if flags and not handler.state and (error :=",
        "REGISTER: state before flags",
    ),
    Mutation(
        CALLS,
        "handler.entry, handler.argument = entry, x[3]",
        "handler.entry, handler.argument = x[3], entry",
        "entry and argument swapped",
    ),
    Mutation(
        CALLS,
        "        if result is _SUCCESS:\n            handler.entry",
        "        if result is not None:\n            handler.entry",
        "a refused REGISTER replaces the handler",
    ),
    Mutation(
        CALLS,
        "self._number_mask = MASK64 if profile.full_width_arguments else MASK32",
        "self._number_mask = MASK64",
        "numbers use 64 bits",
    ),
    Mutation(
        CALLS,
        "if index >= CONTEXT_REGISTERS and (contexts or self.profile.context_index_first):",
        "if index >= CONTEXT_REGISTERS:",
        "CONTEXT: index before running",
    ),
    Mutation(
        CALLS, "if index >= CONTEXT_REGISTERS", "if index > CONTEXT_REGISTERS", "CONTEXT past x17"
    ),
    Mutation(
        CALLS,
        "x[1] = x[2] = x[3] = 0",
        "x[1] = x[2] = 0",
        "x3 keeps what the caller had",
    ),
    Mutation(
        CALLS,
        "if info > Info.ROUTING_AFFINITY or not handler.shared:",
        "if info > Info.ROUTING_AFFINITY:",
        "GET_INFO answers for routing",
    ),
    Mutation(
        DELIVERY,
        "if handler.state & 2 and not vcpu.sdei.masked:",
        "if handler.state & 2:",
        "ENABLE asks although masked",
    ),
    Mutation(
        CALLS,
        "if handler.pending and result is _SUCCESS:",
        "if vcpu.sdei.pending() and result is _SUCCESS:",
        "ENABLE asks for another event",
    ),
    Mutation(
        CALLS,
        "if vcpu.sdei.pending():",
        "if any(h.pending and h.state & 2 for h in vcpu.sdei.handlers.values()):",
        "UNMASK asks for enabled events only",
    ),
    Mutation(
        CALLS,
        "        if newly:\n            self._request(target, handler)\n",
        "        self._request(target, handler)\n",
        "a second SIGNAL asks again",
    ),
    Mutation(
        CALLS,
        "if not handler.state & 1 and not self.profile.signal_unregistered:",
        "if not handler.state and not self.profile.signal_unregistered:",
        "SIGNAL to a handler that is being unregistered",
    ),
    Mutation(
        CALLS,
        "if result is not _DENIED and self.profile.unregister_clears_pending:",
        "if result is _SUCCESS and self.profile.unregister_clears_pending:",
        "UNREGISTER in the handler keeps the pending event",
    ),
    Mutation(
        CALLS,
        "if number >> 31 and not self.profile",
        "if number == 1 << 31 and not self.profile",
        "only the most negative number",
    ),
    Mutation(
        CALLS,
        "return int(handler.event != SW_SIGNALED_EVENT) if",
        "return int(handler.event == SW_SIGNALED_EVENT) if",
        "who can be signalled, inverted",
    ),
    Mutation(CALLS, "if entry & 3 and", "if entry & 1 and", "an entry between two instructions"),
    Mutation(
        CALLS,
        "if not entry and not profile.allow_zero_entry:",
        "if not entry and profile.allow_zero_entry:",
        "entry 0, the wrong way round",
    ),
    Mutation(
        CALLS, "bool(flags & REGISTER_RELATIVE_MODE)", "bool(flags)", "a routed entry is relative"
    ),
    Mutation(CALLS, "        affinity &= AFFINITY\n", "", "MPIDR_EL1 as it reads names no PE"),
    Mutation(
        CALLS,
        "handler.affinity = affinity & AFFINITY",
        "handler.affinity = affinity",
        "an event routed by MPIDR_EL1 as it reads goes nowhere",
    ),
    Mutation(
        CALLS,
        "        if handler.interrupt is None:\n            return True\n",
        "        if handler.interrupt is None:\n            return False\n",
        "a slot without interrupt is registered",
    ),
    Mutation(
        CALLS,
        "contexts[-1].x[index]",
        "contexts[0].x[index]",
        "CONTEXT shows what the outer handler interrupted",
    ),
    Mutation(
        CALLS,
        "        if not handler.state & 1:\n            return _DENIED\n",
        "",
        "GET_INFO tells the routing of nobody's event",
    ),
    Mutation(
        CALLS,
        "return _INVALID if handler.routing_mode == RoutingMode.RM_ANY else handler.affinity",
        "return handler.affinity",
        "GET_INFO names a PE for any PE",
    ),
    Mutation(
        CALLS,
        "newly = not (sdei.masked or sdei.mask_after)",
        "newly = not sdei.masked",
        "PE_MASK twice in a handler masks twice",
    ),
    Mutation(
        CALLS,
        "sdei.mask_after = len(sdei.contexts)",
        "sdei.mask_after = 1",
        "PE_MASK in an inner handler waits for the outer",
    ),
    Mutation(
        CALLS,
        "        vcpu.sdei.mask_after = 0\n        self.set_mask(vcpu, False)\n",
        "        self.set_mask(vcpu, False)\n",
        "PE_MASK outlasts PE_UNMASK in a handler",
    ),
    Mutation(
        CALLS,
        "return event if event in self.vm.bindings else _INVALID",
        "return event",
        "the platform's interrupts can be bound",
    ),
    Mutation(
        CALLS,
        "tuple(vcpu.number for vcpu in self.vcpus)",
        "(0,)",
        "a PPI is active on PE 0 or nowhere",
    ),
    Mutation(
        CALLS,
        "handlers = [pe.sdei.handlers[event] for pe in self.vcpus]",
        "handlers = [vcpu.sdei.handlers[event]]",
        "RELEASE asks the caller only",
    ),
    Mutation(
        CALLS,
        "(target.sdei.masked or not handler.state & 2)",
        "(target.sdei.masked and not handler.state & 2)",
        "strict signals reach a masked PE",
    ),
    Mutation(
        CALLS,
        "profile.version >= _VERSION_1_1",
        "profile.version > _VERSION_1_1",
        "1.1 does not know relative mode",
    ),
    Mutation(
        CALLS, "                if not handler.shared\n", "", "PRIVATE_RESET is a shared one too"
    ),
    Mutation(
        CALLS,
        "        if not any(results):\n",
        "        if True:\n",
        "SHARED_RESET forgets that a handler runs",
    ),
    # -- raise, deliver, complete ------------------------------------------------
    Mutation(
        DELIVERY,
        "if immediate and (sdei.pending() or",
        "if immediate and (handler.pending or",
        "immediate although another event is pending",
    ),
    Mutation(
        DELIVERY,
        "if handler.state & 2 and not vcpu.sdei.masked:",
        "if handler.state & 2 and not (vcpu.sdei.masked or vcpu.sdei.contexts):",
        "no request while a handler runs",
    ),
    Mutation(
        DELIVERY,
        "        if handler.state & 4:\n            return -errno.EBUSY\n",
        "        if handler.state & 4 and not handler.pending:\n            return -errno.EBUSY\n",
        "cancel takes a second instance from a running handler",
    ),
    Mutation(
        DELIVERY,
        "        sdei.requested = False\n        if sdei.masked:\n",
        "        if sdei.masked:\n",
        "the request is never answered",
    ),
    Mutation(
        DELIVERY,
        "        if sdei.masked:\n            return False\n",
        "",
        "delivered to a masked PE",
    ),
    Mutation(
        DELIVERY,
        "if interrupted and (interrupted.critical or not handler.critical):",
        "if interrupted and interrupted.critical:",
        "handlers interrupt handlers",
    ),
    Mutation(
        DELIVERY,
        "for handler in sdei.handlers.values():\n            if not",
        "for handler in reversed(sdei.handlers.values()):\n            if not",
        "event 1 before event 0",
    ),
    Mutation(
        DELIVERY,
        "            if not handler.pending:\n                continue\n",
        "            while not handler.pending:\n                continue\n",
        "the search never gets past an event that is not pending",
    ),
    Mutation(DELIVERY, "x[4:18] = _CLEARED", "x[4:17] = _CLEARED[:13]", "x17 leaks to the handler"),
    Mutation(DELIVERY, "x[3] = saved_pstate", "x[3] = vcpu.spsr_el1", "x3 is SPSR_EL1"),
    Mutation(
        DELIVERY,
        "vcpu.go_to(entry, saved_pstate & ~pstate.MODE | HANDLER_PSTATE)",
        "vcpu.go_to(entry, saved_pstate | HANDLER_PSTATE)",
        "the old mode shines through",
    ),
    Mutation(
        DELIVERY,
        "vcpu.go_to(entry, saved_pstate & ~pstate.MODE | HANDLER_PSTATE)",
        "vcpu.go_to(entry, HANDLER_PSTATE)",
        "flags lost on entry",
    ),
    Mutation(
        DELIVERY,
        "registers = vcpu.x0_to_x17.tobytes()",
        "registers = bytes(vcpu.x0_to_x17[:32]) + bytes(14 * 8)",
        "x4 to x17 not saved",
    ),
    Mutation(
        DELIVERY,
        "vcpu.go_to(entry, saved_pstate",
        "vcpu.go_to(pc, saved_pstate",
        "the handler is not entered",
    ),
    Mutation(
        DELIVERY,
        "        handler.pending = False\n        if handler.interrupt is not None:\n"
        "            self.interrupts.ack",
        "        if handler.interrupt is not None:\n            self.interrupts.ack",
        "delivered for ever",
    ),
    Mutation(
        DELIVERY,
        "vcpu.go_to(resume, ",
        "vcpu.go_to(vcpu.x[1], ",
        "resume address read after x1 is restored",
    ),
    Mutation(
        DELIVERY,
        "vcpu.elr_el1 = context.pc",
        "vcpu.elr_el1 = vcpu.pc",
        "ELR_EL1 points into the handler",
    ),
    Mutation(DELIVERY, "            vcpu.spsr_el1 = context.pstate\n", "", "SPSR_EL1 not written"),
    Mutation(
        DELIVERY,
        "other = context.pstate & ~pstate.MODE",
        "other = vcpu.where()[1] & ~pstate.MODE",
        "resumed with the handler's flags",
    ),
    Mutation(
        DELIVERY,
        "vcpu.go_to(context.pc, context.pstate)",
        "vcpu.go_to(context.pc, vcpu.where()[1])",
        "COMPLETE keeps the handler's PSTATE",
    ),
    Mutation(
        DELIVERY,
        "vcpu.x0_to_x17[:] = context.registers",
        "vcpu.x0_to_x17[8:] = context.registers[8:]",
        "COMPLETE keeps x0 as a result",
    ),
    Mutation(
        DELIVERY,
        "if self.profile.request_after_complete and sdei.pending():",
        "if sdei.pending():",
        "the literal profile loses nothing",
    ),
    Mutation(
        DELIVERY,
        "(interrupted.critical or not handler.critical)",
        "(not handler.critical)",
        "critical events interrupt each other",
    ),
    Mutation(
        DELIVERY,
        "return handler.critical and not sdei.handlers[sdei.contexts[-1].event].critical",
        "return handler.critical",
        "a shared event waits for a critical handler though others are free",
    ),
    Mutation(
        DELIVERY,
        "candidates = (vcpu, *self.vcpus)",
        "candidates = (vcpu,)",
        "a shared event waits for one PE",
    ),
    Mutation(
        DELIVERY,
        "if sdei.masked or (handler.shared and",
        "if (handler.shared and",
        "a shared event goes to a masked PE",
    ),
    Mutation(
        DELIVERY,
        "vcpu.vbar_el1 + entry & MASK64",
        "vcpu.vbar_el1 | entry",
        "an offset from VBAR_EL1 is or-ed to it",
    ),
    Mutation(DELIVERY, "vcpu = self.vcpus[pe or 0]", "vcpu = self.vcpus[0]", "every PPI is PE 0's"),
    Mutation(
        DELIVERY,
        "        self.drop_pending(vcpu, handler)\n        return True\n",
        "        return True\n",
        "an event outlasts its interrupt",
    ),
    Mutation(
        DELIVERY,
        "            self.interrupts.end(handler.interrupt, self._pe(vcpu, handler))\n"
        "        handler.running_on",
        "            pass\n        handler.running_on",
        "an interrupt stays active after its handler",
    ),
    Mutation(
        DELIVERY,
        "        if self.vm.shared:\n            self._request_shared(vcpu)\n",
        "",
        "a second shared event waits for the PE that took the first",
    ),
    Mutation(
        DELIVERY,
        "            if masked and self.vm.shared:\n                self._request_shared(vcpu)\n",
        "",
        "a shared event waits for a PE that is masked meanwhile",
    ),
    Mutation(
        DELIVERY,
        "if sdei.mask_after > len(sdei.contexts):",
        "if sdei.mask_after >= len(sdei.contexts):",
        "an inner handler's end masks what the outer asked for",
    ),
    Mutation(
        DELIVERY,
        "not (sdei.contexts or self.profile.masked_signal_waits)",
        "not self.profile.masked_signal_waits",
        "a signal is lost while the outer handler still runs",
    ),
    Mutation(
        DELIVERY,
        "                other = 0\n",
        "                other &= pstate.NZCV\n",
        "tf-a resumes with the interrupted flags",
    ),
    Mutation(
        DELIVERY, "if resume & 3 and", "if resume & 1 and", "resumes between two instructions"
    ),
    Mutation(
        DELIVERY,
        "            if interrupts.is_pending(*which) and not handler.pending:\n",
        "            if False:\n",
        "an interrupt from before the registration is lost",
    ),
    Mutation(
        DELIVERY,
        '            self._complete_all(vcpu, "reset")\n            vcpu.sdei.requested = False\n',
        '            self._complete_all(vcpu, "reset")\n',
        "a PE switched on again looks for an event",
    ),
    Mutation(
        DELIVERY,
        "            if not handler.shared:\n                self._forget",
        "            if True:\n                self._forget",
        "CPU_ON unregisters shared events",
    ),
    Mutation(
        DELIVERY,
        "for event in tuple(self.vm.bindings):\n            self._release(self",
        "for event in ():\n            self._release(self",
        "bindings outlast a reset",
    ),
    # -- what is remembered, profiles --------------------------------------------
    Mutation(
        EVENTS,
        '            "requested": self.requested,',
        '            "requested": False,',
        "a request forgotten by save",
    ),
    Mutation(
        EVENTS,
        '"mask_after": self.mask_after,',
        '"mask_after": 0,',
        "PE_MASK in a handler, forgotten by save",
    ),
    Mutation(
        SLOTS, "(not d.critical, d.number)", "(d.critical, d.number)", "normal events come first"
    ),
    Mutation(
        SLOTS,
        "if s is shared and n not in self.bindings",
        "if s is shared",
        "two interrupts in one slot",
    ),
    Mutation(
        SLOTS,
        "        handler.interrupt = definition.interrupt\n",
        "",
        "no interrupt raises an event",
    ),
    Mutation(
        REGISTERS, "if asks and not sdei.masked and", "if asks and", "migration asks a masked PE"
    ),
    Mutation(
        REGISTERS,
        "        sdei.early_enabled &= ~(1 << handler.event)\n",
        "",
        "an event cannot be disabled before it is registered",
    ),
    Mutation(
        REGISTERS,
        "for event in reversed(EVENTS) if",
        "for event in EVENTS if",
        "of two handlers that migrate, the wrong one is inside",
    ),
    Mutation(
        REGISTERS,
        "sdei.early_context = () if sdei.contexts or not any(values) else values",
        "sdei.early_context = ()",
        "a context that comes before its handler is lost",
    ),
    Mutation(REGISTERS, "value.bit_count() > 1", "value.bit_count() > 2", "two handlers run"),
    Mutation(PSTATE, "(NZCV | DIT | PAN | UINJ)", "(NZCV | DIT | UINJ)", "PAN is not kept"),
    Mutation(
        PSTATE,
        "if features.pan and not sctlr",
        "if features.pan and sctlr",
        "SPAN, the wrong way round",
    ),
    Mutation(PSTATE, "    if not old & NRW:", "    if True:", "a bit of IT is taken for TCO"),
    Mutation(PSTATE, " and exception_level(old) == 1 and gcscr", " and gcscr", "EL0 is locked out"),
    Mutation(EVENTS, "masked: bool = True", "masked: bool = False", "a new PE takes events"),
    Mutation(PROFILES, "    keep_x4_to_x17=False,\n", "", "kvm-v7 leaves x4 to x17 to the handler"),
    Mutation(
        PROFILES,
        "return type(value) is KNOBS[name].type",
        "return isinstance(value, KNOBS[name].type)",
        "true is a number",
    ),
    Mutation(PROFILES, "if not equals or name not in KNOBS:", "if not equals:", "any knob will do"),
    Mutation(
        PROFILES,
        "EventDefinition(0x4040_0029, shared=True, critical=True, interrupt=41)",
        "EventDefinition(0x4040_0029, shared=True, interrupt=41)",
        "den0054c has no critical shared event",
    ),
    Mutation(PROFILES, "critical=n >= 5003", "critical=n > 5003", "5003 is a normal event"),
    Mutation(
        PROFILES, "    masked_signal_waits=False,\n", "", "tf-a keeps signals for a masked PE"
    ),
    Mutation(
        PROFILES,
        "    ignore_private_routing=False,\n",
        "",
        "tf-a ignores a private event's routing",
    ),
    Mutation(
        PROFILES,
        "    cr_other_pstate=OtherBits.ZERO,\n    cpu_on",
        "    cpu_on",
        "tf-a resumes with PSTATE as interrupted",
    ),
    Mutation(
        PROFILES, "    power_off_completes=False,\n", "", "kvm-v7 completes handlers at power-off"
    ),
    Mutation(PROFILES, "max(numbers) >> 31:", "max(numbers) >> 32:", "an event number is negative"),
    Mutation(
        PROFILES,
        "int(major) << 16 | int(minor)",
        "int(major) << 8 | int(minor)",
        "version 1.1 is 0x101",
    ),
]
