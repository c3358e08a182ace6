"""Mistakes in the dispatcher: table cells, the order of checks, delivery, completion, profiles."""

from tests.mutants.mutation import Mutation

TABLE = "sdeiviz/sdei/table.py"
CALLS = "sdeiviz/sdei/dispatcher.py"
DELIVERY = "sdeiviz/sdei/delivery.py"
EVENTS = "sdeiviz/sdei/events.py"
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
    # -- what is remembered, profiles --------------------------------------------
    Mutation(
        EVENTS,
        '            "requested": self.requested,',
        '            "requested": False,',
        "a request forgotten by save",
    ),
    Mutation(EVENTS, "masked: bool = True", "masked: bool = False", "a new PE takes events"),
    Mutation(PROFILES, "    keep_x4_to_x17=False,\n", "", "kvm-v7 leaves x4 to x17 to the handler"),
    Mutation(
        PROFILES,
        "return type(value) is KNOBS[name].type",
        "return isinstance(value, KNOBS[name].type)",
        "true is a number",
    ),
    Mutation(PROFILES, "if not equals or name not in KNOBS:", "if not equals:", "any knob will do"),
]
