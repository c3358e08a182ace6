"""Raising, delivering and completing an event (series v7, patches 12 and 13)."""

import errno
from array import array
from collections.abc import Callable
from typing import Final

from sdeiviz.abi import pstate
from sdeiviz.abi.sdei import Result
from sdeiviz.sdei.events import EventContext, EventHandler, SdeiVcpu
from sdeiviz.sdei.profiles import Profile
from sdeiviz.sdei.table import TABLE, Action, State
from sdeiviz.trace import Record

Emit = Callable[[Record], object]
"""Takes an event for the trace: its name, the vCPU's number, its own fields."""

# Looking up a member of an enumeration takes longer than it looks.
_SUCCESS: Final = Result.SUCCESS
_DELIVER: Final = Action.DELIVER
_COMPLETE: Final = Action.COMPLETE

HANDLER_PSTATE: Final = pstate.DAIF | pstate.EL1H
_CLEARED: Final = memoryview(array("Q", bytes(14 * 8)))


class HostHang(Exception):
    """The posted code would hang the host or leave its arrays here; the vCPU must not go on."""


class Delivery:
    """The half of the dispatcher that the host drives. See `sdeiviz.sdei.dispatcher.Dispatcher`."""

    def __init__(self, profile: Profile, emit: Emit) -> None:
        self.profile = profile
        self.emit = emit

    # -- raise

    def inject_event(self, vcpu: SdeiVcpu, event: int, *, immediate: bool = False) -> int:
        """Make an event pending from the host (`kvm_sdei_inject_event`, patch 12).

        Parameters
        ----------
        event
            Event number.
        immediate
            Only if it can be delivered at once; else -EBUSY.

        Returns
        -------
        int
            0, -ENOENT (no such event, or not registered) or -EBUSY.
        """
        sdei = vcpu.sdei
        handler = sdei.handlers.get(event)
        if handler is None or not handler.state & 1:
            return -errno.ENOENT
        deliverable = not sdei.masked and bool(handler.state & 2)
        if immediate and (not deliverable or sdei.pending() or sdei.contexts):
            return -errno.EBUSY
        self._raise(vcpu, handler, "inject")
        if deliverable:
            sdei.requested = True
        return 0

    def cancel_event(self, vcpu: SdeiVcpu, event: int) -> int:
        """Withdraw a pending event (`kvm_sdei_cancel_event`, patch 12).

        Returns 0 (also when nothing was pending), -ENOENT, or -EBUSY while its handler runs.
        """
        handler = vcpu.sdei.handlers.get(event)
        if handler is None or not handler.state & 1:
            return -errno.ENOENT
        if handler.state & 4:
            return -errno.EBUSY
        self.emit(("EventCancelled", vcpu.number, event, handler.pending))
        handler.pending = False
        return 0

    def drop_pending(self, vcpu: SdeiVcpu, handler: EventHandler) -> None:
        """Withdraw an event with its handler."""
        if handler.pending:
            handler.pending = False
            self.emit(("EventCancelled", vcpu.number, handler.event, True))

    def _raise(self, vcpu: SdeiVcpu, handler: EventHandler, source: str) -> None:
        self.emit(("EventRaised", vcpu.number, handler.event, source, handler.pending))
        handler.pending = True

    # -- deliver

    def deliver_event(self, vcpu: SdeiVcpu) -> bool:
        """Enter the handler of the first event that may be delivered.

        `kvm_sdei_deliver_event` (patch 12), called before the guest is entered when KVM_REQ_SDEI is
        set. Answers the request whether or not anything could be delivered. Returns whether a
        handler was entered.
        """
        sdei = vcpu.sdei
        sdei.requested = False
        if sdei.masked or sdei.contexts:
            return False
        for handler in sdei.handlers.values():
            if not handler.pending:
                continue
            if self.apply(vcpu, handler, _DELIVER) is _SUCCESS:
                self._enter(vcpu, handler)
                return True
            if not self.profile.skip_disabled_events:
                self.defect(
                    vcpu,
                    "D1",
                    f"event {handler.event} is pending but not enabled; the search for an event to"
                    " deliver looks at it again and again and never at the next one: the host's CPU"
                    " hangs in this loop",
                )
        return False

    def _enter(self, vcpu: SdeiVcpu, handler: EventHandler) -> None:
        """Save what is interrupted, then enter the handler (patch 12; DEN0054C table 5)."""
        event, entry, argument = handler.event, handler.entry, handler.argument
        pc, saved_pstate = vcpu.where()
        registers = vcpu.x0_to_x17.tobytes()
        vcpu.sdei.contexts.append(EventContext(event, pc, saved_pstate, registers))

        x = vcpu.x
        if not self.profile.keep_x4_to_x17:
            x[4:18] = _CLEARED
        x[0] = event
        x[1] = argument
        x[2] = pc
        x[3] = saved_pstate
        # Same flags, but at EL1 on SP_EL1 with everything masked; ELR_EL1 and SPSR_EL1 stay as the
        # guest left them.
        vcpu.go_to(entry, saved_pstate & ~pstate.MODE | HANDLER_PSTATE)

        handler.pending = False
        self.emit(
            ("EventDelivered", vcpu.number, event, entry, argument, pc, saved_pstate, registers)
        )

    # -- complete

    def event_complete(self, vcpu: SdeiVcpu) -> None:
        """EVENT_COMPLETE (patch 13): go back to what was interrupted; x1, a status, is ignored."""
        self._leave(vcpu, None)

    def event_complete_and_resume(self, vcpu: SdeiVcpu) -> None:
        """EVENT_COMPLETE_AND_RESUME (patch 13): go to x1 as an exception would have."""
        self._leave(vcpu, vcpu.x[1])

    def _leave(self, vcpu: SdeiVcpu, resume: int | None) -> None:
        sdei = vcpu.sdei
        if not sdei.contexts:
            return
        context = sdei.contexts.pop()
        handler = sdei.handlers[context.event]
        vcpu.x0_to_x17[:] = context.registers
        if resume is None:
            vcpu.go_to(context.pc, context.pstate)
        else:
            vcpu.elr_el1 = context.pc
            vcpu.spsr_el1 = context.pstate
            vcpu.go_to(resume, context.pstate & ~pstate.MODE | HANDLER_PSTATE)
        self.apply(vcpu, handler, _COMPLETE)
        self.emit(("EventCompleted", vcpu.number, handler.event, context.pc, resume))
        if self.profile.request_after_complete and sdei.pending():
            sdei.requested = True

    # -- reset

    def reset_vcpu(self, vcpu: SdeiVcpu) -> None:
        """Reset the vCPU's SDEI state: everything gone and masked, or nothing touched (D11)."""
        if not self.profile.reset_clears_state:
            return
        self.set_mask(vcpu, True)
        sdei = vcpu.sdei
        sdei.contexts.clear()
        sdei.requested = False
        for handler in sdei.handlers.values():
            if handler.state:
                change = (handler.event, "reset", handler.state, State.UNREGISTERED)
                self.emit(("HandlerStateChanged", vcpu.number, *change))
            self.drop_pending(vcpu, handler)
            sdei.handlers[handler.event] = EventHandler(handler.event)

    # -- shared with the calls

    def apply(self, vcpu: SdeiVcpu, handler: EventHandler, action: Action) -> Result:
        """Move a handler as the table says and return the table's result."""
        before = handler.state
        result, after = TABLE[action][before]
        if after is not before:
            handler.state = after
            self.emit(("HandlerStateChanged", vcpu.number, handler.event, action, before, after))
        return result

    def set_mask(self, vcpu: SdeiVcpu, masked: bool) -> None:
        """Mask or unmask the PE."""
        if vcpu.sdei.masked != masked:
            vcpu.sdei.masked = masked
            self.emit(("MaskChanged", vcpu.number, masked))

    def defect(self, vcpu: SdeiVcpu, name: str, explanation: str) -> None:
        """Record that a defect of the posted code takes effect, and stop the vCPU."""
        self.emit(("Defect", vcpu.number, name, explanation))
        raise HostHang(f"{name}: {explanation}")
