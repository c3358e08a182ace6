"""The events of a machine: the platform's, and slots for those that a client binds."""

from typing import Any

from sdeiviz.abi.sdei import SW_SIGNALED_EVENT, Result
from sdeiviz.sdei.events import EventDefinition, EventHandler, VcpuSdei
from sdeiviz.sdei.profiles import Profile


class VmSdei:
    """Everything SDEI keeps for the machine as a whole: what events there are, and shared handlers.

    Bound events live in slots, a fixed number of each type. A slot has the same event number on
    all PEs (DEN0054C 5.1.14).
    """

    def __init__(self, profile: Profile) -> None:
        self.platform = (EventDefinition(SW_SIGNALED_EVENT), *profile.platform_events)
        self.slots = dict.fromkeys(profile.private_slots(), False)
        """Event number of each slot: whether it is for a shared event."""
        self.slots |= dict.fromkeys(profile.shared_slots(), True)
        self.always_known = profile.status_of_released_event is Result.SUCCESS
        """Event numbers of free slots are known."""
        self.bindings: dict[int, int] = {}
        """Event number to INTID, of the slots in use."""
        self.shared: dict[int, EventHandler] = {}
        """The handlers of the shared events, in the order of delivery."""
        self._definitions: list[EventDefinition] = []
        self._define()

    def _define(self) -> None:
        """List the events there are now, in the order of delivery; make and drop shared ones."""
        definitions = list(self.platform)
        for number, shared in self.slots.items():
            if self.always_known or number in self.bindings:
                interrupt = self.bindings.get(number)
                definitions.append(EventDefinition(number, shared, interrupt=interrupt))
        self._definitions = sorted(definitions, key=lambda d: (not d.critical, d.number))
        self.shared = {
            d.number: self._keep_or_make(self.shared, d) for d in self._definitions if d.shared
        }

    def _keep_or_make(
        self, handlers: dict[int, EventHandler], definition: EventDefinition
    ) -> EventHandler:
        handler = handlers.get(definition.number)
        if handler is None:
            handler = EventHandler(
                definition.number,
                shared=definition.shared,
                critical=definition.critical,
                slot=definition.number in self.slots,
            )
        handler.interrupt = definition.interrupt
        return handler

    def fit(self, sdei: VcpuSdei) -> VcpuSdei:
        """Let a PE have handlers of exactly the events there are; those it has stay as they are."""
        sdei.handlers = {
            d.number: self.shared[d.number] if d.shared else self._keep_or_make(sdei.handlers, d)
            for d in self._definitions
        }
        return sdei

    def event_of(self, intid: int) -> int | None:
        """Return the event that an interrupt raises."""
        return next((d.number for d in self._definitions if d.interrupt == intid), None)

    def free_slot(self, *, shared: bool) -> int | None:
        """Return the event number of the first free slot of a type."""
        return next(
            (n for n, s in self.slots.items() if s is shared and n not in self.bindings), None
        )

    def bind(self, event: int, intid: int) -> None:
        """Let an interrupt raise a slot's event; the PEs need `fit` afterwards."""
        self.bindings[event] = intid
        self._define()

    def release(self, event: int) -> None:
        """Free a slot; the PEs need `fit` afterwards."""
        del self.bindings[event]
        self._define()

    def save(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {
            "bindings": sorted(self.bindings.items()),
            "shared": [handler.registration() for handler in self.shared.values()],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `save` returned; the PEs need `fit` afterwards."""
        self.bindings = dict(state["bindings"])
        self._define()
        for event, *registration in state["shared"]:
            self.shared[event].set_registration(*registration)
