"""What the dispatcher needs of an interrupt controller (DEN0054C 6.3)."""

from typing import Protocol


class Interrupts(Protocol):
    """A machine's interrupts, by INTID; `pe` is a vCPU's number for a PPI and None for an SPI.

    While an event with an interrupt is registered, the dispatcher owns the interrupt. The machine
    then calls `Dispatcher.interrupt_pending` whenever it becomes pending.
    """

    def exists(self, intid: int) -> bool:
        """Tell whether the machine has this interrupt."""

    def belongs_to_client(self, intid: int) -> bool:
        """Tell whether the guest may bind it; not what the hypervisor or secure world keeps."""

    def is_active(self, intid: int, pe: int | None) -> bool:
        """Tell whether it is active, or active and pending."""

    def is_pending(self, intid: int, pe: int | None) -> bool:
        """Tell whether it is pending still: a level-sensitive one may have been lowered."""

    def take(self, intid: int, pe: int | None) -> None:
        """Give it to the dispatcher: it no longer reaches the guest's CPU interface."""

    def give_back(self, intid: int, pe: int | None) -> None:
        """Give it back to the guest, disabled."""

    def clear_pending(self, intid: int, pe: int | None) -> None:
        """Forget that it is pending; a level that is high stays."""

    def acknowledge(self, intid: int, pe: int | None) -> None:
        """Make it active: its event is delivered."""

    def end(self, intid: int, pe: int | None) -> None:
        """Make it inactive: its handler has completed. A level still high is a new trigger."""


class NoInterrupts:
    """A machine without an interrupt controller: nothing to bind, nothing that triggers."""

    def exists(self, intid: int) -> bool:
        """No."""
        return False

    def _no(self, intid: int, pe: int | None) -> bool:
        return False

    def _nothing(self, intid: int, pe: int | None) -> None:
        pass

    belongs_to_client = exists
    is_active = is_pending = _no
    take = give_back = clear_pending = acknowledge = end = _nothing
