"""A page that is missing, and its arrival (v4 patches 7 and 8)."""

import errno
from collections.abc import Callable
from typing import Final

from sdeiviz.abi import pstate as ps
from sdeiviz.abi.apf import (
    BLOCK_REASON,
    BLOCK_SHARED,
    BLOCK_TOKEN,
    IRQ_ONLY_DEFAULT_IRQ,
    SLOTS,
    TOKEN_ID_SHIFT,
    WAKE_ALL,
    Control,
    Notification,
)
from sdeiviz.apf.host import Host
from sdeiviz.apf.modes import Mode
from sdeiviz.apf.vcpu import (
    HALT,
    IN_FLIGHT,
    NOTIFIED,
    RETRY,
    WAIT,
    Answer,
    Reason,
    VcpuApf,
    Work,
)
from sdeiviz.trace import Record

Emit = Callable[[Record], object]
"""Takes an event for the trace: its name, the vCPU's number, its own fields."""

_NOT_INJECTED: Final = {
    errno.ENOENT: Reason.NOT_REGISTERED,
    errno.EINVAL: Reason.NOT_INJECTABLE,
}

# Looking up a member of an enumeration takes longer than it looks.
_NO_REASON: Final = Reason.NONE
_NOT_PRESENT: Final = Notification.PAGE_NOT_PRESENT
_READY: Final = Notification.PAGE_READY
_SEND_ALWAYS: Final = int(Control.SEND_ALWAYS)

NOT_PRESENT_TOKEN: Final = BLOCK_SHARED
"""Offset of page-not-present's token where it has a mailbox of its own: the first of the pad."""


class Faults:
    """The half of the engine that the host drives. See `sdeiviz.apf.engine.AsyncPageFault`."""

    def __init__(self, mode: Mode, host: Host, emit: Emit, vcpus: int) -> None:
        self.mode = mode
        self.host = host
        self.emit = emit
        self.vcpus = [self._new_vcpu(number) for number in range(vcpus)]
        """The state of each vCPU, by number."""
        self._words = _mailbox_words(separate=mode.separate_mailboxes)

    def _new_vcpu(self, number: int) -> VcpuApf:
        return VcpuApf(number, irq=0 if self.mode.not_present_by_event else IRQ_ONLY_DEFAULT_IRQ)

    # -- a fault

    def fault(self, vcpu: int, gfn: int, pstate: int, syndrome: int = 0) -> Answer:
        """Answer a stage-2 fault on a page that the host would have to wait for.

        Parameters
        ----------
        vcpu
            Number of the vCPU.
        gfn
            Guest page number.
        pstate
            PSTATE at the fault.
        syndrome
            ESR_EL2, for mapping the page once it has arrived.

        Returns
        -------
        Answer
            What the vCPU is to do. After WAIT the machine fetches the page itself; after all others
            `page_arrived` is expected.
        """
        state = self.vcpus[vcpu]
        answer = self._answer(state, gfn, pstate, syndrome)
        state.counters.count(answer)
        state.halted = answer.decision is HALT
        self.emit(
            ("PageFault", vcpu, gfn, answer.token, answer.decision._value_, answer.reason._value_)
        )
        return answer

    def _answer(self, state: VcpuApf, gfn: int, pstate: int, syndrome: int) -> Answer:
        mode = self.mode
        if not mode.asynchronous:
            return Answer(WAIT, Reason.MODE)
        if mode.needs_interrupts and pstate & ps.I:
            return Answer(WAIT, Reason.INTERRUPTS_MASKED)
        reason = self._why_not_now(state, pstate)
        if reason and not mode.undeliverable_halts:
            return Answer(WAIT, reason)
        if gfn in state.gfns:
            again = HALT if mode.duplicate_halts else RETRY
            return Answer(again, IN_FLIGHT)
        if state.queued >= SLOTS:
            return Answer(WAIT, Reason.SLOTS_FULL)
        token = self._new_token(state)
        if not reason:
            reason = self._notify(state, token)
        if not reason:
            answer = Answer(NOTIFIED, token=token)
        elif mode.undeliverable_halts:
            answer = Answer(HALT, reason)
        elif not mode.failure_clears_mailbox:
            answer = Answer(RETRY, reason)
        else:
            return Answer(WAIT, reason)
        state.gfns.add(gfn)
        state.pending.append(Work(gfn, token, syndrome, not reason))
        return answer

    def _why_not_now(self, state: VcpuApf, pstate: int) -> Reason:
        """Return why the guest cannot be told of a fault (v4 patch 7), `Reason.NONE` if it can."""
        if not state.enabled:
            return Reason.DISABLED
        user_only = not (state.control & _SEND_ALWAYS and self.mode.send_always)
        if user_only and ps.exception_level(pstate):
            return Reason.KERNEL_MODE
        if self.mode.not_present_by_event:
            if self.host.handler_running(state.number):
                return Reason.HANDLER_RUNNING
        elif state.not_present is not None or state.page_ready:
            return Reason.UNACKNOWLEDGED
        if not self._mailbox_free(state, _NOT_PRESENT):
            return Reason.MAILBOX_BUSY
        return _NO_REASON

    def _new_token(self, state: VcpuApf) -> int:
        if not state.next_id and self.mode.skips_token_zero:
            state.next_id = 1
        token = state.next_id << TOKEN_ID_SHIFT | state.number
        state.next_id = (state.next_id + 1) & 0xFFFF
        return token

    def _notify(self, state: VcpuApf, token: int) -> Reason:
        """Tell the guest that a page is not present; returns why that failed."""
        self._write_mailbox(state, token, _NOT_PRESENT)
        state.not_present = token
        if not self.mode.not_present_by_event:
            self.host.set_interrupt(state.number, state.irq, True)
            return _NO_REASON
        error = self.host.inject_event(state.number, state.sdei)
        if not error:
            return _NO_REASON
        if self.mode.failure_clears_mailbox:
            self._withdraw(state)
        busy = self.host.events_masked(state.number)
        return _NOT_INJECTED.get(-error, Reason.SDEI_MASKED if busy else Reason.SDEI_BUSY)

    def _withdraw(self, state: VcpuApf) -> None:
        """Let a page-not-present never have been sent."""
        self._clear_mailbox(state, _NOT_PRESENT)
        state.not_present = None

    # -- SDEI tells

    def event_delivered(self, vcpu: int, event: int) -> None:
        """Take note that the handler of a vCPU's event was entered."""
        state = self.vcpus[vcpu]
        if event == state.sdei and self.mode.not_present_by_event:
            state.not_present = None

    def event_withdrawn(self, vcpu: int, event: int) -> None:
        """Take note that a vCPU's pending event was dropped: with its handler, or by the host.

        The guest will not hear of the page's absence, so nobody would clear the mailbox.
        """
        state = self.vcpus[vcpu]
        if event != state.sdei or not self.mode.not_present_by_event:
            return
        if state.not_present is not None and state.enabled:
            self._withdraw(state)

    # -- a page arrives

    def page_arrived(self, gfn: int) -> None:
        """Take note that the host has a page now: whoever fetched it is done (v4 patch 8)."""
        for state in self.vcpus:
            works = [work for work in state.pending if work.gfn == gfn]
            if works:
                self.emit(("PageArrived", state.number, gfn))
                state.pending = [work for work in state.pending if work.gfn != gfn]
                state.done += works
                self._request(state)

    def _request(self, state: VcpuApf) -> None:
        """Let a vCPU look at what is done; one that has not acknowledged the last must first."""
        state.requested = True
        if state.halted or not state.page_ready:
            state.halted = False
            self.host.kick(state.number)

    def enter(self, vcpu: int) -> None:
        """Deliver what is done, as far as that is possible, before a vCPU enters the guest."""
        state = self.vcpus[vcpu]
        state.halted = False
        if state.requested:
            self._drain(state)

    def _drain(self, state: VcpuApf) -> None:
        while state.done and self._deliverable(state):
            work = state.done.pop(0)
            if not work.wakes_all:
                # Before the task wakes, or it would fault again.
                self.host.map_page(state.number, work.gfn, work.syndrome)
            self._deliver(state, work)
        # What is left stays requested; this alone keeps nobody from entering the guest.
        state.requested = bool(state.done)

    def _deliverable(self, state: VcpuApf) -> bool:
        """Tell whether the first thing that is done can be delivered, or discarded."""
        if not state.enabled:
            return True
        if state.page_ready:
            return False
        if self._cancels(state, state.done[0]):
            return True
        if not self.mode.not_present_by_event and state.not_present is not None:
            return False
        return self._mailbox_free(state, _READY)

    def _cancels(self, state: VcpuApf, work: Work) -> bool:
        """Tell whether a page has arrived before the guest was told of its absence."""
        if not self.mode.cancels_not_present or state.not_present != work.token:
            return False
        read, block = self.host.read_word, state.block
        told = read(block + BLOCK_TOKEN), read(block + BLOCK_REASON)
        return told == (work.token, _NOT_PRESENT)

    def _deliver(self, state: VcpuApf, work: Work) -> None:
        """Tell the guest of a page that is there, or of all of them."""
        if not work.wakes_all:
            state.gfns.discard(work.gfn)
        if not state.enabled:
            return
        if self._cancels(state, work) and not self.host.cancel_event(state.number, state.sdei):
            self._withdraw(state)
            return
        if self.mode.ready_only_if_notified and not work.notified:
            return
        self._write_mailbox(state, work.token, _READY)
        state.page_ready = True
        self.emit(("PageReady", state.number, work.token))
        self.host.set_interrupt(state.number, state.irq, True)

    def _wake_all(self, state: VcpuApf) -> None:
        """Queue the wake-up of whoever sleeps over a page that was forgotten."""
        state.done.append(Work(0, WAKE_ALL, 0, True))
        self._request(state)

    def _flush(self, state: VcpuApf) -> None:
        """Forget all that is in flight, and do not tell the guest."""
        state.pending.clear()
        state.done.clear()
        # v4 does this in ENABLE, which comes to the same; but x86 has pages in flight before it.
        state.gfns.clear()
        state.requested = False
        if state.halted:
            state.halted = False
            self.host.kick(state.number)

    # -- the mailbox

    def _mailbox_free(self, state: VcpuApf, notification: Notification) -> bool:
        """Tell whether the guest has consumed the last notification of this kind."""
        read, block = self.host.read_word, state.block
        for offset, _ in self._words[notification]:  # noqa: SIM110 - a generator takes longer
            if read(block + offset):
                return False
        return True

    def _write_mailbox(self, state: VcpuApf, token: int, notification: Notification) -> None:
        write, block = self.host.write_word, state.block
        for offset, reason in self._words[notification]:
            write(block + offset, reason or token)

    def _clear_mailbox(self, state: VcpuApf, notification: Notification) -> None:
        """Clear a mailbox, the reason first."""
        for offset, _ in reversed(self._words[notification]):
            self.host.write_word(state.block + offset, 0)


def _mailbox_words(*, separate: bool) -> dict[Notification, tuple[tuple[int, int], ...]]:
    """Return for each notification where its token and reason stand: (offset, value of reason).

    The token, whose value is 0 here, comes first: that is the order of writing.
    """
    if separate:
        return {
            _NOT_PRESENT: ((NOT_PRESENT_TOKEN, 0), (BLOCK_REASON, _NOT_PRESENT)),
            _READY: ((BLOCK_TOKEN, 0),),
        }
    return {kind: ((BLOCK_TOKEN, 0), (BLOCK_REASON, kind)) for kind in (_NOT_PRESENT, _READY)}
