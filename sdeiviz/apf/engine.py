"""The calls of guest and VMM (v4 patches 9 to 12)."""

import errno
from typing import Any, Final

from sdeiviz.abi.apf import (
    ASYNC_PF,
    ASYNC_PF_IRQ_ONLY,
    BLOCK_SHARED,
    CALLS,
    CONTROL_FLAGS,
    FEATURE,
    IRQ_ONLY_CALLS,
    KVM_UID,
    SLOTS,
    VENDOR_HYP_FEATURES,
    VENDOR_HYP_UID,
    VERSION,
    Call,
    Command,
    Control,
    Notification,
    Result,
)
from sdeiviz.abi.smccc import MASK32, MASK64
from sdeiviz.apf.faults import Emit, Faults
from sdeiviz.apf.host import Host
from sdeiviz.apf.modes import Mode
from sdeiviz.apf.vcpu import VcpuApf

_SUCCESS: Final = Result.SUCCESS
_NOT_SUPPORTED: Final = Result.NOT_SUPPORTED
_NOT_REQUIRED: Final = Result.NOT_REQUIRED
_INVALID: Final = Result.INVALID_PARAMETER

_PRIVATE_INTERRUPTS: Final = range(16, 32)

Words = tuple[int, int, int, int]
"""x0 to x3 as a call leaves them."""


class AsyncPageFault(Faults):
    """Async page fault for the vCPUs of one machine.

    Parameters
    ----------
    mode
        How to treat a missing page.
    host
        The machine.
    emit
        Takes an event for the trace: its name, the vCPU's number, its own fields.
    vcpus
        How many vCPUs there are.
    """

    def __init__(self, mode: Mode, host: Host, emit: Emit, vcpus: int = 1) -> None:
        super().__init__(mode, host, emit, vcpus)
        self.function = ASYNC_PF if mode.not_present_by_event else ASYNC_PF_IRQ_ONLY
        """Identifier of the hypercall."""

    @property
    def functions(self) -> tuple[int, ...]:
        """Identifiers of the hypercalls that are answered here."""
        discovery = VENDOR_HYP_UID, VENDOR_HYP_FEATURES
        return (*discovery, self.function) if self.mode.offered else discovery

    def call(self, vcpu: int, function: int, arguments: tuple[int, int, int]) -> Words:
        """Answer a hypercall of the vendor hypervisor range.

        Parameters
        ----------
        vcpu
            Number of the caller.
        function
            w0.
        arguments
            x1 to x3, of which the low 32 bits count (DEN0028 3.1).

        Returns
        -------
        tuple
            What x0 to x3 are to be.
        """
        if function == VENDOR_HYP_UID:
            return KVM_UID
        if function == VENDOR_HYP_FEATURES:
            return self._features()
        if function != self.function or not self.mode.offered:
            return _NOT_SUPPORTED & MASK64, 0, 0, 0
        w1, w2, w3 = arguments
        word = (w3 & MASK32) << 32 | w2 & MASK32
        result, value = self._sub_function(self.vcpus[vcpu], w1 & MASK32, word)
        return result & MASK64, value, 0, 0

    def _features(self) -> Words:
        bitmap = 1
        if self.mode.offered:
            bitmap |= 1 << FEATURE[self.function]
        w0, w1, w2, w3 = (bitmap >> shift & MASK32 for shift in (0, 32, 64, 96))
        return w0, w1, w2, w3

    def _sub_function(self, state: VcpuApf, number: int, word: int) -> tuple[int, int]:
        known = CALLS if self.mode.not_present_by_event else IRQ_ONLY_CALLS
        if number >= len(known):
            return _NOT_SUPPORTED, 0
        match known[number]:
            case Call.IRQ_ACK:  # the only one that comes again and again
                self._acknowledge(state)
                return _SUCCESS, 0
            case Call.VERSION:
                return _SUCCESS, VERSION
            case Call.SLOTS:
                return _SUCCESS, SLOTS
            case Call.SDEI:
                return _SUCCESS, state.sdei
            case Call.IRQ:
                return _SUCCESS, state.irq
            case Call.ENABLE:
                return self._enable(state, word), 0

    def acknowledge(self, vcpu: int) -> None:
        """Do what IRQ_ACK does: lower the interrupt, and deliver the next."""
        self._acknowledge(self.vcpus[vcpu])

    def _acknowledge(self, state: VcpuApf) -> None:
        """IRQ_ACK; where nothing is outstanding it does nothing (v4 patch 8)."""
        if self.mode.not_present_by_event:
            if not state.page_ready:
                return
        else:  # it is one interrupt for both
            state.not_present = None
        state.page_ready = False
        self.host.set_interrupt(state.number, state.irq, False)
        self._drain(state)

    # -- enable and disable

    def _enable(self, state: VcpuApf, word: int, *, restore: bool = False) -> Result:
        """Take a control word, from the guest or, to restore a vCPU, from the VMM (patch 9)."""
        if not self.host.has_interrupt_controller:
            return _NOT_SUPPORTED
        if not self.mode.not_present_by_event:
            flags = word & CONTROL_FLAGS
            if flags & ~Control.ENABLED or (word and not flags):
                return _INVALID
            if word == state.control:
                return _NOT_REQUIRED
        elif bool(word & Control.ENABLED) == state.enabled:
            return _NOT_REQUIRED
        if not word & Control.ENABLED:
            self._disable(state, word)
            return _SUCCESS
        if error := self._refuse(state, word):
            return error
        if state.enabled:  # elsewhere: only the interrupt-only variant lets a guest move the block
            self._disable(state, 0)
        state.control = word
        if not self.mode.not_present_by_event:
            state.next_id = 0
            if not restore:
                self._clear_mailbox(state, Notification.PAGE_READY)
        self.emit(("ApfControl", state.number, "restore" if restore else "enable", word))
        if self.mode.restore_wakes_all or not restore:
            self._wake_all(state)
        return _SUCCESS

    def _refuse(self, state: VcpuApf, word: int) -> Result | None:
        """Return why it cannot be enabled."""
        if not state.irq or (self.mode.not_present_by_event and not state.sdei):
            return _INVALID
        if self.mode.not_present_by_event and not self.host.has_event(state.sdei):
            return _NOT_SUPPORTED
        # A second mailbox needs one word more.
        size = BLOCK_SHARED + 4 * self.mode.separate_mailboxes
        block = word & ~CONTROL_FLAGS
        return None if self.host.holds(block, size) else _NOT_SUPPORTED

    def _disable(self, state: VcpuApf, word: int) -> None:
        if self.mode.disable_withdraws:
            self._silence(state)
        self._flush(state)
        state.control = word
        self.emit(("ApfControl", state.number, "disable", word))

    def _silence(self, state: VcpuApf) -> None:
        """Take back what is on its way to the guest."""
        by_event = self.mode.not_present_by_event
        if state.not_present is not None:
            if by_event:
                self.host.cancel_event(state.number, state.sdei)
            self._withdraw(state)
        if state.page_ready:
            self._clear_mailbox(state, Notification.PAGE_READY)
        if not by_event or state.page_ready:
            self.host.set_interrupt(state.number, state.irq, False)
        state.page_ready = False

    def reset(self, vcpu: int) -> None:
        """Forget all but what the VMM has chosen: a vCPU is reset. Guest memory is left alone."""
        state = self.vcpus[vcpu]
        if state.page_ready or state.not_present is not None:
            self.host.set_interrupt(vcpu, state.irq, False)
        self._flush(state)
        state.not_present, state.page_ready = None, False
        state.next_id = state.control = 0
        self.emit(("ApfControl", vcpu, "reset", 0))

    # -- the VMM

    def ioctl(self, vcpu: int | None, command: int, value: int = 0) -> tuple[int, int]:
        """Answer the VMM's ioctl 0xcf (v4 patch 10).

        The interrupt-only variant has device attributes instead; here they are the same commands,
        with the errors of the attributes.

        Parameters
        ----------
        vcpu
            Number of the vCPU whose file it is, None for the VM's.
        command
            A `Command`.
        value
            What to set.

        Returns
        -------
        tuple
            0 or a negative errno, and the value got.
        """
        if vcpu is None:
            return (0, VERSION) if command == Command.GET_VERSION else (-errno.EINVAL, 0)
        by_event = self.mode.not_present_by_event
        if not self.mode.offered:
            return -(errno.EPERM if by_event else errno.ENXIO), 0
        state = self.vcpus[vcpu]
        match command:
            case Command.GET_SDEI if by_event:
                return 0, state.sdei
            case Command.GET_IRQ:
                return 0, state.irq
            case Command.GET_CONTROL:
                return 0, state.control
            case Command.SET_SDEI if by_event:
                state.sdei = value & MASK64
                return 0, 0
            case Command.SET_IRQ:
                return self._set_irq(state, value & MASK32), 0
            case Command.SET_CONTROL:
                return self._set_control(state, value & MASK64), 0
            case _:
                return -(errno.EINVAL if by_event else errno.ENXIO), 0

    def _set_irq(self, state: VcpuApf, irq: int) -> int:
        if not self.mode.not_present_by_event:
            if state.enabled:
                return -errno.EBUSY
            if irq not in _PRIVATE_INTERRUPTS:
                return -errno.EINVAL
        state.irq = irq
        return 0

    def _set_control(self, state: VcpuApf, word: int) -> int:
        result = self._enable(state, word, restore=True)
        if result is _SUCCESS:
            return 0
        if self.mode.not_present_by_event:
            return -errno.EIO
        if result is _NOT_REQUIRED:
            return 0
        return -errno.EINVAL if result is _INVALID else -errno.EFAULT

    # -- state

    def migration_state(self, vcpu: int) -> dict[str, int]:
        """Return what migrates of a vCPU: three numbers, and nothing of what is in flight."""
        state = self.vcpus[vcpu]
        return {"sdei": state.sdei, "irq": state.irq, "control": state.control}

    def restore_migrated(self, vcpu: int, migrated: dict[str, int]) -> tuple[int, int, int]:
        """Set what `migration_state` returned, in QEMU's order; returns the three errors.

        The control word goes the way of ENABLE, so all tasks wake, and fault again where need be.
        """
        commands = Command.SET_SDEI, Command.SET_IRQ, Command.SET_CONTROL
        first, second, third = (
            self.ioctl(vcpu, command, migrated[name])[0]
            for command, name in zip(commands, ("sdei", "irq", "control"), strict=True)
        )
        return first, second, third

    def save(self) -> list[dict[str, Any]]:
        """Return everything, what is in flight too, as plain values: one for each vCPU."""
        return [state.save() for state in self.vcpus]

    def load(self, states: list[dict[str, Any]]) -> None:
        """Take over what `save` returned. Guest memory and interrupts are the machine's to load."""
        self.vcpus = [VcpuApf.load(number, state) for number, state in enumerate(states)]
