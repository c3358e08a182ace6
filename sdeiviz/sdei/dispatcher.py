"""The SDEI calls (DEN0054C 5.1), answered as KVM does where the profile says so (v7 patches 3-16).

Each method of `Dispatcher` that is named after a call makes its checks in the order of the patch,
or where there is none in that of DEN0054C's error table, and returns the value for x0, or None
where nothing is to be written.
"""

from collections.abc import Callable, Sequence
from typing import Final

from sdeiviz.abi.sdei import (
    AFFINITY,
    CONTEXT_REGISTERS,
    FIRST_FUNCTION,
    REGISTER_RELATIVE_MODE,
    REGISTER_RM_PE,
    SW_SIGNALED_EVENT,
    Call,
    Feature,
    Info,
    Result,
    RoutingMode,
    is_ppi,
    is_spi,
)
from sdeiviz.abi.smccc import MASK32, MASK64
from sdeiviz.sdei.delivery import Delivery, Emit
from sdeiviz.sdei.events import EventHandler, SdeiVcpu
from sdeiviz.sdei.interrupts import Interrupts
from sdeiviz.sdei.profiles import Profile
from sdeiviz.sdei.table import TABLE, Action

_SUCCESS: Final = Result.SUCCESS
_INVALID: Final = Result.INVALID_PARAMETERS
_DENIED: Final = Result.DENIED
_NOT_SUPPORTED: Final = Result.NOT_SUPPORTED

_FLAGS_RESERVED: Final = MASK64 & ~(REGISTER_RM_PE | REGISTER_RELATIVE_MODE)
_VERSION_1_1: Final = 0x0001_0001


class Dispatcher(Delivery):
    """SDEI for the vCPUs of one machine.

    Parameters
    ----------
    profile
        Which implementation to be.
    emit
        Takes an event for the trace: its name, the vCPU's number, its own fields.
    vcpus
        The machine's vCPUs, by number; it may still be empty.
    interrupts
        The machine's interrupt controller, where it has one.
    """

    def __init__(
        self,
        profile: Profile,
        emit: Emit,
        vcpus: Sequence[SdeiVcpu],
        interrupts: Interrupts | None = None,
    ) -> None:
        super().__init__(profile, emit, vcpus, interrupts)
        self.calls: dict[int, Callable[[SdeiVcpu], int | None]] = {
            FIRST_FUNCTION + call: getattr(self, call.name.lower()) for call in Call
        }
        """Function identifier to call: each returns the value for x0, or None."""
        self._version = profile.version << 32 | profile.vendor
        self._clears_x1_to_x3 = not profile.preserve_x1_to_x3
        self._number_mask = MASK64 if profile.full_width_arguments else MASK32

    def call(self, vcpu: SdeiVcpu, function: int) -> int | None:
        """Make a call with the arguments in x1-x5 and write the answer into x0.

        Returns x0 as written, or None where COMPLETE and COMPLETE_AND_RESUME write nothing.
        """
        method = self.calls.get(function)
        result = method(vcpu) if method else _NOT_SUPPORTED
        if result is None:
            return None
        x = vcpu.x
        x[0] = value = result & MASK64
        if self._clears_x1_to_x3:
            x[1] = x[2] = x[3] = 0
        return value

    def _handler(self, vcpu: SdeiVcpu) -> EventHandler | None:
        """Return the handler of the event in x1; C reads the number into 32 bits (D10)."""
        return vcpu.sdei.handlers.get(vcpu.x[1] & self._number_mask)

    def _handler_by_signed_number(self, vcpu: SdeiVcpu) -> EventHandler | None:
        """The same in ENABLE and DISABLE, where patch 6 reads a signed number (D3)."""
        number = vcpu.x[1] & MASK32
        if number >> 31 and not self.profile.unsigned_event_number:
            self.defect(
                vcpu,
                "D3",
                f"event {number:#x} is negative as a signed number: it passes the test against the"
                f" number of events and reaches for bit {number - (1 << 32)} of a bitmap, which"
                " lies outside it",
            )
        return self._handler(vcpu)

    def _pe_at(self, affinity: int) -> SdeiVcpu | None:
        """Return the PE that an affinity argument names."""
        if affinity & ~AFFINITY and self.profile.strict_affinity_bits:
            return None
        affinity &= AFFINITY
        return next((vcpu for vcpu in self.vcpus if vcpu.mpidr & AFFINITY == affinity), None)

    # -- the calls, in the order of their numbers

    def version(self, vcpu: SdeiVcpu) -> int:
        """SDEI_VERSION (5.1.1, patch 16): major in bits 62:48, minor in 47:32, vendor in 31:0."""
        return self._version

    def event_register(self, vcpu: SdeiVcpu) -> int:
        """EVENT_REGISTER (5.1.2, patch 4): x1 event, x2 entry, x3 argument, x4 flags, x5 PE."""
        handler = self._handler(vcpu)
        if handler is None:
            return _INVALID
        x, profile = vcpu.x, self.profile
        entry, flags = x[2], x[4]
        if flags and (error := self._check_flags(handler, flags, x[5])):
            return error
        if entry & 3 and profile.aligned_entry:
            return _INVALID
        if not entry and not profile.allow_zero_entry:
            return _INVALID
        if handler.slot and self._refuses_registration(vcpu, handler):
            return _DENIED
        result = self.apply(vcpu, handler, Action.REGISTER)
        if result is _SUCCESS:
            handler.entry, handler.argument = entry, x[3]
            handler.relative = bool(flags & REGISTER_RELATIVE_MODE)
            if handler.shared:
                self._set_routing(handler, flags & REGISTER_RM_PE, x[5])
        return result

    def _check_flags(self, handler: EventHandler, flags: int, affinity: int) -> Result | None:
        """Return what is wrong with a registration's flags."""
        if flags & _FLAGS_RESERVED and self.profile.reserved_flags_error is not _SUCCESS:
            return self.profile.reserved_flags_error
        if flags & REGISTER_RELATIVE_MODE and not self.profile.relative_mode:
            return _INVALID
        routed = handler.shared or not self.profile.ignore_private_routing
        if routed and flags & REGISTER_RM_PE and self._pe_at(affinity) is None:
            return _INVALID
        return None

    def _refuses_registration(self, vcpu: SdeiVcpu, handler: EventHandler) -> bool:
        """Tell whether a slot has no interrupt, or one that is active where that matters (TF-A)."""
        if handler.interrupt is None:
            return True
        return not self.profile.bind_refuses_active and self.interrupts.is_active(
            handler.interrupt, self._pe(vcpu, handler)
        )

    @staticmethod
    def _set_routing(handler: EventHandler, mode: int, affinity: int) -> None:
        handler.routing_mode = mode
        handler.affinity = affinity & AFFINITY

    def event_enable(self, vcpu: SdeiVcpu) -> int:
        """EVENT_ENABLE (5.1.3, patch 5): x1 event. What is pending is delivered."""
        handler = self._handler_by_signed_number(vcpu)
        if handler is None:
            return _INVALID
        result = self.apply(vcpu, handler, Action.ENABLE)
        if handler.pending and result is _SUCCESS:
            self._request(vcpu, handler)
        return result

    def event_disable(self, vcpu: SdeiVcpu) -> int:
        """EVENT_DISABLE (5.1.4, patch 5): x1 event. A running handler goes on, pending stays."""
        handler = self._handler_by_signed_number(vcpu)
        return _INVALID if handler is None else self.apply(vcpu, handler, Action.DISABLE)

    def event_context(self, vcpu: SdeiVcpu) -> int:
        """EVENT_CONTEXT (5.1.5, patch 6): x1 register index; returns the interrupted x0-x17, raw.

        In nested handlers it is what the inner one interrupted.
        """
        contexts = vcpu.sdei.contexts
        index = vcpu.x[1] & self._number_mask
        if index >= CONTEXT_REGISTERS and (contexts or self.profile.context_index_first):
            return _INVALID
        return contexts[-1].x[index] if contexts else _DENIED

    def event_unregister(self, vcpu: SdeiVcpu) -> int:
        """EVENT_UNREGISTER (5.1.8, patch 7): x1 event. PENDING: done once the handler ends."""
        handler = self._handler(vcpu)
        if handler is None:
            return _INVALID
        result = self.apply(vcpu, handler, Action.UNREGISTER)
        if result is not _DENIED and self.profile.unregister_clears_pending:
            self.drop_pending(vcpu, handler)
        return result

    def event_status(self, vcpu: SdeiVcpu) -> int:
        """EVENT_STATUS (5.1.9, patch 8): x1 event; the state's three bits, whatever they are."""
        handler = self._handler(vcpu)
        return _INVALID if handler is None else handler.state

    def event_get_info(self, vcpu: SdeiVcpu) -> int:
        """EVENT_GET_INFO (5.1.10, patch 9): x1 event, x2 which. Routing is for shared events."""
        handler = self._handler(vcpu)
        if handler is None:
            return _INVALID
        info = vcpu.x[2] & self._number_mask
        if info == Info.SIGNALED:
            # The specification's 0 means that software can signal it; the series has it inverted
            # (D10).
            return int(handler.event != SW_SIGNALED_EVENT) if self.profile.signaled_per_event else 1
        if info == Info.TYPE:
            return int(handler.shared)
        if info == Info.PRIORITY:
            return int(handler.critical)
        if info > Info.ROUTING_AFFINITY or not handler.shared:
            return _INVALID
        if not handler.state & 1:
            return _DENIED
        if info == Info.ROUTING_MODE:
            return handler.routing_mode
        return _INVALID if handler.routing_mode == RoutingMode.RM_ANY else handler.affinity

    def event_routing_set(self, vcpu: SdeiVcpu) -> int:
        """EVENT_ROUTING_SET (5.1.11): x1 shared event, x2 mode, x3 PE; registered, not enabled."""
        if not self.profile.shared_events:
            return _NOT_SUPPORTED
        handler = self._handler(vcpu)
        mode, affinity = vcpu.x[2], vcpu.x[3]
        if handler is None or not handler.shared or mode > RoutingMode.RM_PE:
            return _INVALID
        if mode == RoutingMode.RM_PE and self._pe_at(affinity) is None:
            return _INVALID
        result = self.apply(vcpu, handler, Action.ROUTING_SET)
        if result is _SUCCESS:
            self._set_routing(handler, mode, affinity)
        return result

    def pe_mask(self, vcpu: SdeiVcpu) -> int:
        """PE_MASK (5.1.12, patch 10); answers 1 where this call masked the PE.

        In a handler it takes full effect when the handler completes: until then normal events wait
        anyway, and critical ones come.
        """
        sdei = vcpu.sdei
        newly = not (sdei.masked or sdei.mask_after)
        if sdei.contexts and self.profile.mask_waits_for_completion:
            sdei.mask_after = len(sdei.contexts)
        else:
            self.set_mask(vcpu, True)
        return int(newly and self.profile.mask_tells_change)

    def pe_unmask(self, vcpu: SdeiVcpu) -> int:
        """PE_UNMASK (5.1.13, patch 10). What is pending is delivered."""
        vcpu.sdei.mask_after = 0
        self.set_mask(vcpu, False)
        if vcpu.sdei.pending():
            vcpu.sdei.requested = True
        return _SUCCESS

    def interrupt_bind(self, vcpu: SdeiVcpu) -> int:
        """INTERRUPT_BIND (5.1.14): x1 INTID; returns an event, private for a PPI, else shared.

        The interrupt controller is left alone until EVENT_REGISTER.
        """
        if not self.profile.shared_events:
            return _NOT_SUPPORTED
        intid = vcpu.x[1] & MASK32
        shared = is_spi(intid)
        if not (shared or is_ppi(intid)) or not self.interrupts.exists(intid):
            return _INVALID
        event = self.vm.event_of(intid)
        if event is not None:
            return event if event in self.vm.bindings else _INVALID
        if not self.interrupts.belongs_to_client(intid):
            return self.profile.bind_secure_intr_error
        if self.profile.bind_refuses_active and self._is_active(intid, shared):
            return _DENIED
        event = self.vm.free_slot(shared=shared)
        if event is None:
            return Result.OUT_OF_RESOURCE
        self.vm.bind(event, intid)
        self._fit_vcpus()
        self.emit(("InterruptBound", vcpu.number, intid, event))
        return event

    def _is_active(self, intid: int, shared: bool) -> bool:
        """Tell whether an interrupt is active, a PPI on any PE."""
        pes = (None,) if shared else tuple(vcpu.number for vcpu in self.vcpus)
        return any(self.interrupts.is_active(intid, pe) for pe in pes)

    def interrupt_release(self, vcpu: SdeiVcpu) -> int:
        """INTERRUPT_RELEASE (5.1.15): x1 bound event, unregistered on every PE."""
        if not self.profile.shared_events:
            return _NOT_SUPPORTED
        event = vcpu.x[1] & self._number_mask
        if event not in self.vm.bindings:
            return _INVALID
        return self._try_release(vcpu, event)

    def _try_release(self, vcpu: SdeiVcpu, event: int) -> Result:
        handlers = [pe.sdei.handlers[event] for pe in self.vcpus]
        if any(TABLE[Action.RELEASE][handler.state].result for handler in handlers):
            return _DENIED
        intid, shared = self.vm.bindings[event], handlers[0].shared
        if not self.profile.bind_refuses_active and self._is_active(intid, shared):
            return _DENIED
        self._release(vcpu, event)
        return _SUCCESS

    def event_signal(self, vcpu: SdeiVcpu) -> int:
        """EVENT_SIGNAL (5.1.16, patch 14): x1 event 0, x2 target PE. Success: pending, no more."""
        if vcpu.x[1] & self._number_mask != SW_SIGNALED_EVENT:
            return _INVALID
        target = self._pe_at(vcpu.x[2]) if self.profile.signal_resolves_target else vcpu
        if target is None:
            return _INVALID
        handler = target.sdei.handlers[SW_SIGNALED_EVENT]
        if not handler.state & 1 and not self.profile.signal_unregistered:
            return _INVALID
        if self.profile.signal_strict and (target.sdei.masked or not handler.state & 2):
            return _INVALID
        newly = not handler.pending
        self._raise(target, handler, "signal")
        if newly:
            self._request(target, handler)
        return _SUCCESS

    def features(self, vcpu: SdeiVcpu) -> int:
        """FEATURES (5.1.17, patch 15): x1 which; slots are shared in 31:16, private in 15:0."""
        feature = vcpu.x[1] & self._number_mask
        profile = self.profile
        if feature == Feature.BIND_SLOTS:
            return profile.shared_bind_slots << 16 | profile.private_bind_slots
        if feature == Feature.RELATIVE_MODE and profile.version >= _VERSION_1_1:
            return int(profile.relative_mode)
        return _INVALID

    def private_reset(self, vcpu: SdeiVcpu) -> int:
        """PRIVATE_RESET (5.1.18, patch 11): unregister this PE's private events."""
        return self._reset_answer(
            [
                self._reset(vcpu, handler, Action.RESET)
                for handler in vcpu.sdei.handlers.values()
                if not handler.shared
            ]
        )

    def shared_reset(self, vcpu: SdeiVcpu) -> int:
        """SHARED_RESET (5.1.19, patch 11): unregister shared events, then release all bindings.

        Nothing is released while a shared handler runs, and no event that is still registered on
        some PE. The series has nothing shared to reset.
        """
        handlers = self.vm.shared.values()
        results = [self._reset(vcpu, handler, Action.SHARED_RESET) for handler in handlers]
        if not any(results):
            results = [self._try_release(vcpu, event) for event in tuple(self.vm.bindings)]
        return self._reset_answer(results)

    def _reset(self, vcpu: SdeiVcpu, handler: EventHandler, action: Action) -> Result:
        result = self.apply(vcpu, handler, action)
        if self.profile.unregister_clears_pending:
            self.drop_pending(vcpu, handler)
        return result

    def _reset_answer(self, results: list[Result]) -> Result:
        return _DENIED if any(results) and self.profile.reset_denied_while_running else _SUCCESS
