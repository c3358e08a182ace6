"""Who answers a hypercall: routing by owner, behind the firmware filter (v7 patches 1, 2)."""

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sdeiviz.abi import psci, sdei, smccc
from sdeiviz.abi.smccc import MASK32, Owner
from sdeiviz.machine import psci as psci_calls

if TYPE_CHECKING:
    from sdeiviz.machine.vcpu import Vcpu
    from sdeiviz.sdei import Dispatcher

STD_TRNG: Final = 1 << 0
STD_SDEI: Final = 1 << 1
STD_ALL: Final = STD_TRNG | STD_SDEI
"""Bits of KVM_REG_ARM_STD_BMAP: which standard secure services the guest is shown (patch 17)."""

Handler = Callable[["Vcpu"], int | None]

_PSCI_NUMBERS: Final = range(0x00, 0x20)
_SDEI_NUMBERS: Final = range(0x20, 0x40)
_TRNG_NUMBERS: Final = range(0x50, 0x60)


class FirmwareFilter:
    """The firmware bitmap of a machine: what the filter lets through."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._std_bitmap = STD_ALL
        self.has_run = False
        """A vCPU has entered the guest: the bitmap is fixed."""

    def set_std_bitmap(self, value: int) -> int:
        """Choose services; 0, -EINVAL for an unknown bit, -EBUSY for a change after a run."""
        if value & ~STD_ALL:
            return -errno.EINVAL
        if self.has_run and value != self.std_bitmap:
            return -errno.EBUSY
        self.std_bitmap = value
        return 0

    @property
    def std_bitmap(self) -> int:
        """The services shown."""
        return self._std_bitmap

    @std_bitmap.setter
    def std_bitmap(self, value: int) -> None:
        self._std_bitmap = value
        self._changed()

    def allows(self, function: int) -> bool:
        """Tell whether a call gets past the filter; what does not is NOT_SUPPORTED."""
        if sdei.FIRST_FUNCTION <= function <= sdei.LAST_FUNCTION:
            return bool(self.std_bitmap & STD_SDEI)
        if smccc.owner(function) == Owner.STANDARD_SECURE and function & smccc.FAST_CALL:
            number = function & 0xFFFF
            return number in _PSCI_NUMBERS or (
                number in _TRNG_NUMBERS and bool(self.std_bitmap & STD_TRNG)
            )
        if smccc.owner(function) == Owner.VENDOR_HYPERVISOR:
            return True
        return function in (smccc.VERSION, smccc.ARCH_FEATURES) or function in psci.PSCI_0_1


class Hypercalls:
    """Who answers which hypercall of one machine.

    A handler returns the value for x0, or None where nothing is to be written. A function without a
    handler is NOT_SUPPORTED.
    """

    def __init__(self, dispatcher: "Dispatcher") -> None:
        self.filter = FirmwareFilter(self._route)
        self._handlers: dict[int, Handler] = {
            smccc.VERSION: lambda vcpu: smccc.VERSION_1_1,
            smccc.ARCH_FEATURES: self._arch_features,
            **psci_calls.CALLS,
            **dispatcher.calls,
        }
        self.routes: dict[int, Handler] = {}
        """Function identifier to handler, as far as the filter allows."""
        self._route()

    def add(self, handlers: "dict[int, Handler]") -> None:
        """Answer more functions."""
        self._handlers |= handlers
        self._route()

    def _route(self) -> None:
        allows = self.filter.allows
        self.routes.clear()
        self.routes.update({f: handler for f, handler in self._handlers.items() if allows(f)})

    @staticmethod
    def _arch_features(vcpu: "Vcpu") -> int:
        known = (smccc.VERSION, smccc.ARCH_FEATURES)
        return 0 if vcpu.x[1] & MASK32 in known else smccc.NOT_SUPPORTED
