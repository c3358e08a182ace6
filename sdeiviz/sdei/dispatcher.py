"""The SDEI calls, as KVM answers them (series v7, patches 3 to 16).

Each method of `Dispatcher` that is named after a call makes its checks in the order the patch makes
them and returns the value for x0, or None where nothing is to be written.
"""

from collections.abc import Callable
from typing import Final

from sdeiviz.abi.sdei import (
    CONTEXT_REGISTERS,
    FIRST_FUNCTION,
    REGISTER_RELATIVE_MODE,
    SW_SIGNALED_EVENT,
    Call,
    Feature,
    Info,
    Result,
)
from sdeiviz.abi.smccc import MASK32, MASK64
from sdeiviz.sdei.delivery import Delivery, Emit
from sdeiviz.sdei.events import EventHandler, SdeiVcpu
from sdeiviz.sdei.profiles import Profile
from sdeiviz.sdei.table import Action

_SUCCESS: Final = Result.SUCCESS
_INVALID: Final = Result.INVALID_PARAMETERS
_DENIED: Final = Result.DENIED
_NOT_SUPPORTED: Final = Result.NOT_SUPPORTED

_FLAGS_RESERVED: Final = MASK64 & ~0b1 | REGISTER_RELATIVE_MODE
"""The routing bit is accepted and ignored; relative mode and reserved bits are refused."""


class Dispatcher(Delivery):
    """SDEI for the vCPUs of one machine.

    Parameters
    ----------
    profile
        Which implementation to be.
    emit
        Takes an event for the trace: its name, the vCPU's number, its own fields.
    find_vcpu
        Returns the vCPU of an affinity value, or None; asked only with `signal_resolves_target`.
    """

    def __init__(
        self, profile: Profile, emit: Emit, find_vcpu: Callable[[int], SdeiVcpu | None]
    ) -> None:
        super().__init__(profile, emit)
        self.find_vcpu = find_vcpu
        self.calls: dict[int, Callable[[SdeiVcpu], int | None]] = {
            FIRST_FUNCTION + call: getattr(self, call.name.lower()) for call in Call
        }
        """Function identifier to call: each returns the value for x0, or None."""
        self._version = profile.version << 32 | profile.vendor
        self._number_mask = MASK64 if profile.full_width_arguments else MASK32

    def call(self, vcpu: SdeiVcpu, function: int) -> int | None:
        """Make a call with the arguments in x1-x5 and write the answer: x0 = result, x1-x3 = 0.

        Returns x0 as written, or None for the COMPLETE calls, which write nothing.
        """
        method = self.calls.get(function)
        result = method(vcpu) if method else _NOT_SUPPORTED
        if result is None:
            return None
        x = vcpu.x
        x[0] = value = result & MASK64
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

    # -- the calls, in the order of their numbers

    def version(self, vcpu: SdeiVcpu) -> int:
        """SDEI_VERSION (patch 16): major in bits 62:48, minor in 47:32, vendor in 31:0."""
        return self._version

    def event_register(self, vcpu: SdeiVcpu) -> int:
        """EVENT_REGISTER (patch 4): x1 event, x2 entry, x3 argument, x4 flags; x5 is ignored."""
        handler = self._handler(vcpu)
        if handler is None or vcpu.x[4] & _FLAGS_RESERVED:
            return _INVALID
        result = self.apply(vcpu, handler, Action.REGISTER)
        if result is _SUCCESS:
            handler.entry, handler.argument = vcpu.x[2], vcpu.x[3]
        return result

    def event_enable(self, vcpu: SdeiVcpu) -> int:
        """EVENT_ENABLE (patch 5): x1 event. What is pending is delivered."""
        handler = self._handler_by_signed_number(vcpu)
        if handler is None:
            return _INVALID
        result = self.apply(vcpu, handler, Action.ENABLE)
        if result is _SUCCESS and handler.pending and not vcpu.sdei.masked:
            vcpu.sdei.requested = True
        return result

    def event_disable(self, vcpu: SdeiVcpu) -> int:
        """EVENT_DISABLE (patch 5): x1 event. A running handler goes on, a pending event stays."""
        handler = self._handler_by_signed_number(vcpu)
        return _INVALID if handler is None else self.apply(vcpu, handler, Action.DISABLE)

    def event_context(self, vcpu: SdeiVcpu) -> int:
        """EVENT_CONTEXT (patch 6): x1 register index; returns the interrupted x0-x17, raw."""
        sdei = vcpu.sdei
        if not sdei.contexts:
            return _DENIED
        index = vcpu.x[1] & self._number_mask
        return sdei.contexts[-1].x[index] if index < CONTEXT_REGISTERS else _INVALID

    def event_unregister(self, vcpu: SdeiVcpu) -> int:
        """EVENT_UNREGISTER (patch 7): x1 event. PENDING: done once the running handler ends."""
        handler = self._handler(vcpu)
        if handler is None:
            return _INVALID
        result = self.apply(vcpu, handler, Action.UNREGISTER)
        if result is not _DENIED and self.profile.unregister_clears_pending:
            self.drop_pending(vcpu, handler)
        return result

    def event_status(self, vcpu: SdeiVcpu) -> int:
        """EVENT_STATUS (patch 8): x1 event; the state's three bits, whatever they are."""
        handler = self._handler(vcpu)
        return _INVALID if handler is None else handler.state

    def event_get_info(self, vcpu: SdeiVcpu) -> int:
        """EVENT_GET_INFO (patch 9): x1 event, x2 which. All are private and normal, unrouted."""
        handler = self._handler(vcpu)
        if handler is None:
            return _INVALID
        info = vcpu.x[2] & self._number_mask
        if info == Info.SIGNALED:
            # The specification's 0 means that software can signal it; the series has it inverted
            # (D10).
            return int(handler.event != SW_SIGNALED_EVENT) if self.profile.signaled_per_event else 1
        return 0 if info in (Info.TYPE, Info.PRIORITY) else _INVALID

    def event_routing_set(self, vcpu: SdeiVcpu) -> int:
        """EVENT_ROUTING_SET: no shared events in the series."""
        return _NOT_SUPPORTED

    def pe_mask(self, vcpu: SdeiVcpu) -> int:
        """PE_MASK (patch 10)."""
        self.set_mask(vcpu, True)
        return _SUCCESS

    def pe_unmask(self, vcpu: SdeiVcpu) -> int:
        """PE_UNMASK (patch 10). What is pending is delivered."""
        self.set_mask(vcpu, False)
        if vcpu.sdei.pending():
            vcpu.sdei.requested = True
        return _SUCCESS

    def interrupt_bind(self, vcpu: SdeiVcpu) -> int:
        """INTERRUPT_BIND: no bound events in the series."""
        return _NOT_SUPPORTED

    def interrupt_release(self, vcpu: SdeiVcpu) -> int:
        """INTERRUPT_RELEASE: no bound events in the series."""
        return _NOT_SUPPORTED

    def event_signal(self, vcpu: SdeiVcpu) -> int:
        """EVENT_SIGNAL (patch 14): x1 event (only 0), x2 target PE. Success: pending, no more."""
        if vcpu.x[1] & self._number_mask != SW_SIGNALED_EVENT:
            return _INVALID
        target = self.find_vcpu(vcpu.x[2]) if self.profile.signal_resolves_target else vcpu
        if target is None:
            return _INVALID
        handler = target.sdei.handlers[SW_SIGNALED_EVENT]
        if not handler.state & 1:
            return _INVALID
        newly = not handler.pending
        self._raise(target, handler, "signal")
        if newly and not target.sdei.masked and handler.state & 2:
            target.sdei.requested = True
        return _SUCCESS

    def features(self, vcpu: SdeiVcpu) -> int:
        """FEATURES (patch 15): x1 which. No bind slots, no relative mode."""
        return (
            0
            if vcpu.x[1] & self._number_mask in (Feature.BIND_SLOTS, Feature.RELATIVE_MODE)
            else _INVALID
        )

    def private_reset(self, vcpu: SdeiVcpu) -> int:
        """PRIVATE_RESET (patch 11): unregister all; SUCCESS even while a handler runs."""
        for handler in vcpu.sdei.handlers.values():
            self.apply(vcpu, handler, Action.RESET)
            if self.profile.unregister_clears_pending:
                self.drop_pending(vcpu, handler)
        return _SUCCESS

    def shared_reset(self, vcpu: SdeiVcpu) -> int:
        """SHARED_RESET (patch 11): there is nothing shared to reset."""
        return _SUCCESS
