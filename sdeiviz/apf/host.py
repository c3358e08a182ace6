r"""What async page fault needs of the machine around it.

The series has its own SDEI underneath, of the same author and time: the engine here rides on what
came of that later. What this changes:

====================  ==========================  =============================================
\                     SDEI under v4               SDEI v7 (kvm-v7)
====================  ==========================  =============================================
event number          0x4040_0001                 1, the only one left for it
priority              critical: interrupts the    normal: the handler of event 0 keeps it out,
\                     handler of a normal event   and then the fault waits anyway (in v4 too)
event exists          the VMM defines it          fixed; ENABLE with any other is NOT_SUPPORTED
not registered        -ENOENT                     -ENOENT: the fault waits, `NOT_REGISTERED`
not enabled           -EPERM                      -EBUSY: the fault waits, `SDEI_BUSY`
PE masked             -EPERM                      -EBUSY: the fault waits, `SDEI_MASKED`
another is pending    only a critical one         any, also event 0 while it is disabled:
\                     refuses: -ENOSPC            -EBUSY, the fault waits, `SDEI_BUSY`
told of delivery      a notifier, registered by   none: the machine calls `event_delivered`
\                     ENABLE
told of completion    the notifier, which does    none, and none needed: what is done stays
\                     nothing with it             requested until it can be delivered
pending event lost    cannot be seen              the machine calls `event_withdrawn`
cancel, not pending   an error: page-ready is     0: the mailbox is cleared, page-ready is not
\                     sent                        sent
====================  ==========================  =============================================

Under ``den0054c`` choose 0x4040_0001, which is private and critical there. ``tf-a`` has no event of
this number; 5003 is of that kind. An event that an interrupt raises cannot be injected
(-EINVAL): every fault waits, `NOT_INJECTABLE`.
"""

from typing import Protocol


class Host(Protocol):
    """A machine, its vCPUs known by number."""

    has_interrupt_controller: bool

    # -- guest memory

    def holds(self, address: int, size: int) -> bool:
        """Tell whether these guest-physical addresses are RAM."""

    def read_word(self, address: int) -> int:
        """Return 32 bits of guest memory."""

    def write_word(self, address: int, value: int) -> None:
        """Write 32 bits of guest memory."""

    def map_page(self, vcpu: int, gfn: int, syndrome: int) -> None:
        """Map a page that has arrived, as the access that faulted would have had it."""

    # -- SDEI

    def has_event(self, event: int) -> bool:
        """Tell whether there is such a private event."""

    def inject_event(self, vcpu: int, event: int) -> int:
        """Make an event pending if it can be delivered at once; 0 or a negative errno."""

    def cancel_event(self, vcpu: int, event: int) -> int:
        """Withdraw a pending event; 0 or a negative errno."""

    def handler_running(self, vcpu: int) -> bool:
        """Tell whether any SDEI handler runs on a vCPU."""

    def events_masked(self, vcpu: int) -> bool:
        """Tell whether a vCPU has SDEI masked."""

    # -- interrupts and scheduling

    def set_interrupt(self, vcpu: int, intid: int, level: bool) -> None:
        """Set the level of a vCPU's PPI."""

    def kick(self, vcpu: int) -> None:
        """Let a vCPU come out of the guest, or out of its halt, and then through `enter`."""
