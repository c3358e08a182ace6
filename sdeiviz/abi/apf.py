"""Async page fault of KVM/arm64: v4 of the series (August 2021), and the interrupt-only variant.

The shared block, one for each vCPU and aligned to 64 bytes, little-endian::

    0x00  reason   u32   host writes, guest clears   a `Notification`, 0: none
    0x04  token    u32   host writes, guest clears   which fault, or `WAKE_ALL`
    0x08  -        56 bytes
    0x40  enabled  u32   the guest's own (v4 only)

The host writes the token, then the reason; the guest clears the token, then the reason.
"""

from enum import IntEnum
from typing import Final

# -- discovery (DEN0028 6.2; v4 patch 9)

VENDOR_HYP_UID: Final = 0x8600_FF01
"""Call UID of the vendor hypervisor services."""
KVM_UID: Final = (0xB66F_B428, 0xE911_C52E, 0x564B_CAA9, 0x743A_004D)
"""Its answer in w0 to w3: UUID 28b46fb6-2ec5-11e9-a9ca-4b564d003a74."""
VENDOR_HYP_FEATURES: Final = 0x8600_0000
"""Answers a bitmap of KVM's services in w0 to w3, bit 0 for this call itself."""

ASYNC_PF: Final = 0x8600_0002
"""The hypercall of v3 and v4: service 2."""
ASYNC_PF_IRQ_ONLY: Final = 0x8600_0042
"""The hypercall of the interrupt-only variant: service 66, as 2 to 63 came to be reserved."""
FEATURE: Final = {ASYNC_PF: 2, ASYNC_PF_IRQ_ONLY: 66}
"""Bit of the bitmap that says a hypercall is there: set if the vCPU has the state for it."""


class Call(IntEnum):
    """Sub-functions in w1 (v4 patch 9)."""

    VERSION = 0
    SLOTS = 1
    SDEI = 2
    IRQ = 3
    ENABLE = 4
    IRQ_ACK = 5


CALLS: Final = tuple(Call)
IRQ_ONLY_CALLS: Final = (Call.VERSION, Call.SLOTS, Call.IRQ, Call.ENABLE, Call.IRQ_ACK)
"""Sub-functions 0 to 4 of the interrupt-only variant."""


class Result(IntEnum):
    """Status in x0 (DEN0028 7.1)."""

    SUCCESS = 0
    NOT_SUPPORTED = -1
    NOT_REQUIRED = -2
    INVALID_PARAMETER = -3


VERSION: Final = 0x01_00_00
"""Major, minor and revision, a byte each."""

# -- the control word (v4 patch 9)


class Control(IntEnum):
    """Flags of the control word, whose bits 63:6 are the address of the shared block."""

    ENABLED = 1 << 0
    SEND_ALWAYS = 1 << 1
    """Notify of faults in kernel mode too."""


CONTROL_FLAGS: Final = 0x3F
BLOCK_ADDRESS: Final = 0xFFFF_FFFF_FFFF_FFC0

# -- the shared block (v4 patch 9)

BLOCK_REASON: Final = 0x00
BLOCK_TOKEN: Final = 0x04
BLOCK_ENABLED: Final = 0x40
BLOCK_SHARED: Final = 0x08
"""How much of it the host touches."""


class Notification(IntEnum):
    """What the reason word says."""

    NONE = 0
    PAGE_NOT_PRESENT = 1
    PAGE_READY = 2


WAKE_ALL: Final = 0xFFFF_FFFF
"""The token that is everybody's."""
TOKEN_ID_SHIFT: Final = 12
"""A token is a counter above the vCPU's number (v4 patch 7)."""

SLOTS: Final = 64
"""Faults in flight for each vCPU, and places in its table of page numbers (v4 patch 3)."""

IRQ_ONLY_DEFAULT_IRQ: Final = 17
"""PPI of the interrupt-only variant unless the VMM chooses another."""
CRITICAL_EVENT: Final = 0x4040_0001
"""The SDEI event of v2 to v4: private and critical."""

# -- the VMM's side (v4 patches 10 and 11)

IOCTL: Final = 0xCF
"""Number of the ioctl, on the VM for the version and on a vCPU for all else."""


class Command(IntEnum):
    """Commands of the ioctl."""

    GET_VERSION = 0
    GET_SDEI = 1
    GET_IRQ = 2
    GET_CONTROL = 3
    SET_SDEI = 4
    SET_IRQ = 5
    SET_CONTROL = 6
