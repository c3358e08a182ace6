"""Who answers a hypercall: routing by owner, behind the firmware filter (series v7, patches 1 and 2)."""

import errno
from typing import TYPE_CHECKING, Final

from sdeiviz.abi import psci, sdei, smccc
from sdeiviz.abi.smccc import MASK32, MASK64, Owner

if TYPE_CHECKING:
    from sdeiviz.machine.vcpu import Vcpu
    from sdeiviz.sdei import Dispatcher

STD_TRNG: Final = 1 << 0
STD_SDEI: Final = 1 << 1
STD_ALL: Final = STD_TRNG | STD_SDEI
"""Bits of KVM_REG_ARM_STD_BMAP: which standard secure services the guest is shown (patch 17)."""

_PSCI_NUMBERS: Final = range(0x00, 0x20)
_SDEI_NUMBERS: Final = range(0x20, 0x40)
_TRNG_NUMBERS: Final = range(0x50, 0x60)


class FirmwareFilter:
    """The firmware bitmap of a machine: what the filter lets through."""

    def __init__(self) -> None:
        self.std_bitmap = STD_ALL
        self.has_run = False
        """A vCPU has entered the guest: the bitmap is fixed."""

    def set_std_bitmap(self, value: int) -> int:
        """Choose the services; returns 0, -EINVAL for an unknown bit, -EBUSY for a change once the guest ran."""
        if value & ~STD_ALL:
            return -errno.EINVAL
        if self.has_run and value != self.std_bitmap:
            return -errno.EBUSY
        self.std_bitmap = value
        return 0

    def allows(self, function: int) -> bool:
        """Tell whether a call gets past the filter; what does not is NOT_SUPPORTED."""
        if sdei.FIRST_FUNCTION <= function <= sdei.LAST_FUNCTION:
            return bool(self.std_bitmap & STD_SDEI)
        if smccc.owner(function) == Owner.STANDARD_SECURE and function & smccc.FAST_CALL:
            number = function & 0xFFFF
            return number in _PSCI_NUMBERS or number in _TRNG_NUMBERS and bool(self.std_bitmap & STD_TRNG)
        return function in (smccc.VERSION, smccc.ARCH_FEATURES) or function in psci.PSCI_0_1


class Hypercalls:
    """Answers the hypercalls of one machine.

    A result goes to x0, with x1-x3 cleared. A function that nobody answers gives -1.
    """

    def __init__(self, dispatcher: "Dispatcher") -> None:
        self.dispatcher = dispatcher
        self.filter = FirmwareFilter()

    def call(self, vcpu: "Vcpu", function: int) -> int | None:
        """Answer a call and return x0 as written, None where nothing was."""
        if self.filter.allows(function):
            if sdei.FIRST_FUNCTION <= function <= sdei.LAST_FUNCTION:
                return self.dispatcher.call(vcpu, function)
            value = self._answer(vcpu, function)
            if value is None:
                return None
        else:
            value = smccc.NOT_SUPPORTED
        x = vcpu.x
        x[0] = result = value & MASK64
        x[1] = x[2] = x[3] = 0
        return result

    def _answer(self, vcpu: "Vcpu", function: int) -> int | None:
        if function == smccc.VERSION:
            return smccc.VERSION_1_1
        if function == smccc.ARCH_FEATURES:
            known = (smccc.VERSION, smccc.ARCH_FEATURES)
            return 0 if vcpu.x[1] & MASK32 in known else smccc.NOT_SUPPORTED
        if function == psci.Function.VERSION:
            return psci.VERSION_1_1
        if function == psci.Function.FEATURES:
            asked = vcpu.x[1] & MASK32
            return 0 if asked in (*psci.Function, smccc.VERSION) else smccc.NOT_SUPPORTED
        if function == psci.Function.SYSTEM_OFF:
            return vcpu.request_power_off()
        if function == psci.Function.SYSTEM_RESET:
            return vcpu.request_reset()
        return smccc.NOT_SUPPORTED
