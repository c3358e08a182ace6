"""Raising, delivering and completing an event (DEN0054C 6; series v7, patches 12 and 13)."""

import errno
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from sdeiviz.abi import pstate
from sdeiviz.abi.sdei import AFFINITY, SW_SIGNALED_EVENT, Result, RoutingMode
from sdeiviz.abi.smccc import MASK64
from sdeiviz.sdei.events import EventContext, EventHandler, SdeiVcpu, VcpuSdei
from sdeiviz.sdei.interrupts import Interrupts, NoInterrupts
from sdeiviz.sdei.profiles import OtherBits, Profile
from sdeiviz.sdei.slots import VmSdei
from sdeiviz.sdei.table import TABLE, Action, State
from sdeiviz.trace import Record

Emit = Callable[[Record], object]
"""Takes an event for the trace: its name, the vCPU's number, its own fields."""

# Looking up a member of an enumeration takes longer than it looks.
_SUCCESS: Final = Result.SUCCESS
_DELIVER: Final = Action.DELIVER
_COMPLETE: Final = Action.COMPLETE
_ENABLED: Final = State.ENABLED

HANDLER_PSTATE: Final = pstate.DAIF | pstate.EL1H
_CLEARED: Final = memoryview(array("Q", bytes(14 * 8)))


class HostHang(Exception):
    """The posted code would hang the host or leave its arrays here; the vCPU must not go on."""


class Delivery:
    """The half of the dispatcher that the host drives. See `sdeiviz.sdei.dispatcher.Dispatcher`."""

    def __init__(
        self,
        profile: Profile,
        emit: Emit,
        vcpus: Sequence[SdeiVcpu],
        interrupts: Interrupts | None = None,
    ) -> None:
        self.profile = profile
        self.emit = emit
        self.vcpus = vcpus
        self.interrupts: Interrupts = interrupts or NoInterrupts()
        self.vm = VmSdei(profile)
        self.on_withdrawn: Callable[[SdeiVcpu, int], object] = lambda vcpu, event: None
        """Told of a pending event that is dropped with its handler: (vCPU, event)."""

    def new_vcpu(self) -> VcpuSdei:
        """Return the SDEI state of one more PE: masked, nothing registered."""
        return self.vm.fit(VcpuSdei(handlers={}))

    def save(self) -> dict[str, Any]:
        """Return what belongs to no single vCPU, as plain values: bindings and shared handlers."""
        return self.vm.save()

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `save` returned; the vCPUs' own states follow."""
        self.vm.load(state)
        self._fit_vcpus()

    def _fit_vcpus(self) -> None:
        for vcpu in self.vcpus:
            self.vm.fit(vcpu.sdei)

    # -- raise

    def inject_event(
        self, vcpu: SdeiVcpu, event: int, *, immediate: bool = False, source: str = "inject"
    ) -> int:
        """Make an event pending from the host (`kvm_sdei_inject_event`, patch 12).

        Parameters
        ----------
        vcpu
            Whose event, or any vCPU for a shared one.
        event
            Event number.
        immediate
            Only if it can be delivered at once; else -EBUSY.
        source
            "platform" where a device of the machine raises one of its events.

        Returns
        -------
        int
            0, -ENOENT (no such event, or not registered), -EINVAL (only its interrupt raises it)
            or -EBUSY.
        """
        sdei = vcpu.sdei
        handler = sdei.handlers.get(event)
        if handler is None or not handler.state & 1:
            return -errno.ENOENT
        if handler.interrupt is not None:
            return -errno.EINVAL
        if immediate and (sdei.pending() or self._target(vcpu, handler) is None):
            return -errno.EBUSY
        self._raise(vcpu, handler, source)
        self._request(vcpu, handler)
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
        if handler.interrupt is not None:
            self.interrupts.clear_pending(handler.interrupt, self._pe(vcpu, handler))
        return 0

    def interrupt_pending(self, intid: int, pe: int | None) -> None:
        """Raise the event of an interrupt that became pending (DEN0054C 6.3).

        Parameters
        ----------
        intid
            An interrupt that the dispatcher has taken; any other is ignored.
        pe
            Number of the vCPU for a PPI, None for an SPI.
        """
        vcpu = self.vcpus[pe or 0]
        event = self.vm.event_of(intid)
        handler = None if event is None else vcpu.sdei.handlers[event]
        if handler is None or not handler.state & 1 or handler.pending:
            return
        self._raise(vcpu, handler, "interrupt")
        self._request(vcpu, handler)

    def drop_pending(self, vcpu: SdeiVcpu, handler: EventHandler) -> None:
        """Withdraw an event with its handler."""
        if handler.pending:
            handler.pending = False
            self.emit(("EventCancelled", vcpu.number, handler.event, True))
            self.on_withdrawn(vcpu, handler.event)

    def _raise(self, vcpu: SdeiVcpu, handler: EventHandler, source: str) -> None:
        self.emit(("EventRaised", vcpu.number, handler.event, source, handler.pending))
        handler.pending = True

    # -- request

    def _request(self, vcpu: SdeiVcpu, handler: EventHandler) -> None:
        """Let a PE look for a pending event: the vCPU whose it is, of a shared one its target."""
        if not handler.shared:
            # Where this asks too often, `deliver_event` finds nothing; the conditions are KVM's.
            if handler.state & 2 and not vcpu.sdei.masked:
                vcpu.sdei.requested = True
        elif target := self._target(vcpu, handler):
            target.sdei.requested = True

    def _request_shared(self, vcpu: SdeiVcpu) -> None:
        """Choose again for every shared event: this vCPU can no longer take what it could."""
        for handler in self.vm.shared.values():
            if handler.pending:
                self._request(vcpu, handler)

    def _target(self, vcpu: SdeiVcpu, handler: EventHandler) -> SdeiVcpu | None:
        """Return the PE that would take an event now (DEN0054C appendix C), None: it stays pending.

        RM_ANY leaves the choice to the dispatcher: `vcpu` if it can, else the first that can.
        """
        if handler.state is not _ENABLED:
            return None
        candidates: Iterable[SdeiVcpu] = (vcpu,)
        if handler.shared:
            candidates = (vcpu, *self.vcpus)
        for candidate in candidates:
            if self._accepts(candidate, handler):
                return candidate
        return None

    @staticmethod
    def _accepts(vcpu: SdeiVcpu, handler: EventHandler) -> bool:
        """Tell whether a PE may be interrupted for an event: mask, routing, priority."""
        sdei = vcpu.sdei
        if sdei.masked or (handler.shared and not _is_routed_to(vcpu, handler)):
            return False
        if not sdei.contexts:
            return True
        return handler.critical and not sdei.handlers[sdei.contexts[-1].event].critical

    # -- deliver

    def deliver_event(self, vcpu: SdeiVcpu) -> bool:
        """Enter the handler of the first event that may be delivered.

        `kvm_sdei_deliver_event` (patch 12), called before the guest is entered when KVM_REQ_SDEI is
        set. Answers the request whether or not anything could be delivered. Returns whether a
        handler was entered.
        """
        sdei = vcpu.sdei
        sdei.requested = False
        if sdei.masked:
            return False
        interrupted = sdei.contexts and sdei.handlers[sdei.contexts[-1].event]
        for handler in sdei.handlers.values():
            # Critical events come first; they alone interrupt a handler, unless it is critical too.
            if interrupted and (interrupted.critical or not handler.critical):
                return False
            if not handler.pending:
                continue
            if handler.shared and not _is_routed_to(vcpu, handler):
                continue
            if handler.interrupt is not None and self._has_gone(vcpu, handler):
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

    def _has_gone(self, vcpu: SdeiVcpu, handler: EventHandler) -> bool:
        """Forget an event whose interrupt is no longer pending: its level has been lowered."""
        assert handler.interrupt is not None
        if self.interrupts.is_pending(handler.interrupt, self._pe(vcpu, handler)):
            return False
        self.drop_pending(vcpu, handler)
        return True

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
        if handler.relative:
            entry = vcpu.vbar_el1 + entry & MASK64
        # ELR_EL1 and SPSR_EL1 stay as the guest left them.
        if self.profile.exception_pstate:
            vcpu.go_to(entry, pstate.take_exception(saved_pstate, vcpu.sctlr_el1, vcpu.features))
        else:
            # Same flags, but at EL1 on SP_EL1 with everything masked.
            vcpu.go_to(entry, saved_pstate & ~pstate.MODE | HANDLER_PSTATE)

        handler.pending = False
        if handler.interrupt is not None:
            self.interrupts.acknowledge(handler.interrupt, self._pe(vcpu, handler))
        self.emit(
            ("EventDelivered", vcpu.number, event, entry, argument, pc, saved_pstate, registers)
        )
        if handler.shared:
            handler.running_on = vcpu.number
        if self.vm.shared:
            self._request_shared(vcpu)

    # -- complete

    def event_complete(self, vcpu: SdeiVcpu) -> int | None:
        """EVENT_COMPLETE (5.1.6, patch 13): go back to what was interrupted; x1 is ignored."""
        if not vcpu.sdei.contexts:
            return self._outside_handler
        self._leave(vcpu, None)
        return None

    def event_complete_and_resume(self, vcpu: SdeiVcpu) -> int | None:
        """EVENT_COMPLETE_AND_RESUME (5.1.7, patch 13): go to x1 as an exception would have."""
        if not vcpu.sdei.contexts:
            return self._outside_handler
        resume = vcpu.x[1]
        if resume & 3 and self.profile.bad_resume_addr_error is not _SUCCESS:
            return self.profile.bad_resume_addr_error
        self._leave(vcpu, resume)
        return None

    @property
    def _outside_handler(self) -> Result | None:
        return Result.DENIED if self.profile.complete_answers_denied else None

    def _leave(self, vcpu: SdeiVcpu, resume: int | None) -> None:
        sdei = vcpu.sdei
        context = sdei.contexts[-1]
        vcpu.x0_to_x17[:] = context.registers
        if resume is None:
            vcpu.go_to(context.pc, context.pstate)
        else:
            vcpu.elr_el1 = context.pc
            vcpu.spsr_el1 = context.pstate
            other = context.pstate & ~pstate.MODE
            if self.profile.cr_other_pstate is OtherBits.ZERO:
                other = 0
            vcpu.go_to(resume, other | HANDLER_PSTATE)
        handler = self._complete(vcpu, _COMPLETE, resume)
        if sdei.masked and not (sdei.contexts or self.profile.masked_signal_waits):
            self.drop_pending(vcpu, sdei.handlers[SW_SIGNALED_EVENT])
        if self.profile.request_after_complete and sdei.pending():
            sdei.requested = True
        if handler.shared and handler.pending:
            self._request(vcpu, handler)

    def _complete(self, vcpu: SdeiVcpu, action: str, resume: int | None = None) -> EventHandler:
        """Let the innermost handler be over."""
        sdei = vcpu.sdei
        context = sdei.contexts.pop()
        handler = sdei.handlers[context.event]
        if handler.interrupt is not None:
            self.interrupts.end(handler.interrupt, self._pe(vcpu, handler))
        handler.running_on = None
        self.apply(vcpu, handler, _COMPLETE, action)
        self.emit(("EventCompleted", vcpu.number, handler.event, context.pc, resume))
        if sdei.mask_after > len(sdei.contexts):
            sdei.mask_after = 0
            self.set_mask(vcpu, True)
        return handler

    def complete_all(self, vcpu: SdeiVcpu, reason: str) -> None:
        """Complete every handler that runs on a PE about to lose its context (DEN0054C 6.5).

        PSCI does so before it obeys SYSTEM_OFF, SYSTEM_RESET, CPU_OFF or CPU_FREEZE called in a
        handler. No register changes: the PE does not go on. It is masked, so that shared events go
        to another.

        Parameters
        ----------
        vcpu
            The PE.
        reason
            What completes them, such as "CPU_OFF", for the trace.
        """
        if self.profile.power_off_completes:
            self._complete_all(vcpu, reason)

    def _complete_all(self, vcpu: SdeiVcpu, reason: str) -> None:
        self.set_mask(vcpu, True)
        while vcpu.sdei.contexts:
            handler = self._complete(vcpu, reason)
            if handler.shared and handler.pending:
                self._request(vcpu, handler)

    # -- reset

    def reset_vcpu(self, vcpu: SdeiVcpu) -> None:
        """Reset a PE's SDEI state: PSCI CPU_ON, or waking from power-down (DEN0054C 6.5).

        It is masked, and its private events are unregistered unless the profile keeps them.
        """
        if not self.profile.reset_clears_state:
            return
        if self.profile.cpu_on_keeps_handlers:
            self._complete_all(vcpu, "reset")
            vcpu.sdei.requested = False
        else:
            self._clear(vcpu)

    def reset_system(self) -> None:
        """Reset everything: PSCI SYSTEM_RESET. Bindings and shared events are gone too."""
        if not self.profile.reset_clears_state:
            return
        for vcpu in self.vcpus:
            self._clear(vcpu)
        for handler in self.vm.shared.values():
            self._forget(self.vcpus[0], handler)
        for event in tuple(self.vm.bindings):
            self._release(self.vcpus[0], event)

    def _clear(self, vcpu: SdeiVcpu) -> None:
        """Leave a PE as a new one is: masked, nothing running and nothing of its own registered."""
        sdei = vcpu.sdei
        sdei.mask_after = sdei.early_enabled = 0
        sdei.early_context = ()
        self.set_mask(vcpu, True)
        while sdei.contexts:
            handler = sdei.handlers[sdei.contexts.pop().event]
            if handler.interrupt is not None:
                self.interrupts.end(handler.interrupt, self._pe(vcpu, handler))
            if handler.shared:
                handler.running_on = None
                self.apply(vcpu, handler, _COMPLETE, "reset")
        for handler in sdei.handlers.values():
            if not handler.shared:
                self._forget(vcpu, handler)
        sdei.requested = False
        self._request_shared(vcpu)

    def _forget(self, vcpu: SdeiVcpu, handler: EventHandler) -> None:
        """Unregister without asking."""
        before = handler.state
        if before:
            change = (handler.event, "reset", before, State.UNREGISTERED)
            self.emit(("HandlerStateChanged", vcpu.number, *change))
        self.drop_pending(vcpu, handler)
        handler.set_registration()
        if before and handler.interrupt is not None:
            self._hand_over(vcpu, handler)

    def _release(self, vcpu: SdeiVcpu, event: int) -> None:
        """Free the slot of a bound event."""
        self.emit(("InterruptReleased", vcpu.number, self.vm.bindings[event], event))
        self.vm.release(event)
        self._fit_vcpus()

    # -- shared with the calls

    def apply(
        self, vcpu: SdeiVcpu, handler: EventHandler, action: Action, reason: str = ""
    ) -> Result:
        """Move a handler as the table says and return the table's result.

        The trace has the action, or a reason why something else than a call did it.
        """
        before = handler.state
        result, after = TABLE[action][before]
        if after is not before:
            handler.state = after
            self.emit(
                ("HandlerStateChanged", vcpu.number, handler.event, reason or action, before, after)
            )
            if handler.interrupt is not None and not (before and after):
                self._hand_over(vcpu, handler)
        return result

    def _hand_over(self, vcpu: SdeiVcpu, handler: EventHandler) -> None:
        """Take the interrupt of an event that now is registered, give back that of one that is not.

        What is pending then may be left over from before.
        """
        assert handler.interrupt is not None
        interrupts, which = self.interrupts, (handler.interrupt, self._pe(vcpu, handler))
        if handler.state:
            if self.profile.register_clears_pending:
                interrupts.clear_pending(*which)
            interrupts.take(*which)
            if interrupts.is_pending(*which) and not handler.pending:
                self._raise(vcpu, handler, "interrupt")
        else:
            if self.profile.unregister_clears_pending:
                interrupts.clear_pending(*which)
            interrupts.give_back(*which)

    @staticmethod
    def _pe(vcpu: SdeiVcpu, handler: EventHandler) -> int | None:
        """Return whose interrupt a handler's is, as `Interrupts` wants it."""
        return None if handler.shared else vcpu.number

    def set_mask(self, vcpu: SdeiVcpu, masked: bool) -> None:
        """Mask or unmask the PE."""
        if vcpu.sdei.masked != masked:
            vcpu.sdei.masked = masked
            self.emit(("MaskChanged", vcpu.number, masked))
            if masked and self.vm.shared:
                self._request_shared(vcpu)

    def defect(self, vcpu: SdeiVcpu, name: str, explanation: str) -> None:
        """Record that a defect of the posted code takes effect, and stop the vCPU."""
        self.emit(("Defect", vcpu.number, name, explanation))
        raise HostHang(f"{name}: {explanation}")


def _is_routed_to(vcpu: SdeiVcpu, handler: EventHandler) -> bool:
    """Tell whether a shared event may go to a PE (DEN0054C 5.1.11)."""
    return handler.routing_mode == RoutingMode.RM_ANY or vcpu.mpidr & AFFINITY == handler.affinity
