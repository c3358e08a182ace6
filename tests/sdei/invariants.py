"""What must hold of a dispatcher and its PEs at any moment, whatever a guest did."""

from collections.abc import Sequence

from sdeiviz.sdei import Dispatcher
from tests.sdei.board import FakeGic
from tests.sdei.vcpu import FakeVcpu

LEGAL = {0, 1, 3, 4, 5, 7}


def check(dispatcher: Dispatcher, vcpus: Sequence[FakeVcpu], gic: FakeGic | None = None) -> None:
    """Raise AssertionError where the state of the machine is none that can be."""
    running: list[tuple[int, int]] = []
    for vcpu in vcpus:
        sdei = vcpu.sdei
        stack = [context.event for context in sdei.contexts]
        classes = [sdei.handlers[event].critical for event in stack]
        # At most a normal handler and a critical one that interrupted it.
        assert classes in ([], [False], [True], [False, True]), stack
        assert 0 <= sdei.mask_after <= len(stack)
        running += [(vcpu.number, event) for event in stack]
        order = [(not h.critical, h.event) for h in sdei.handlers.values()]
        assert order == sorted(order)
    for vcpu in vcpus:
        for event, handler in vcpu.sdei.handlers.items():
            assert handler.event == event
            assert handler.state in LEGAL
            where = [pe for pe, other in running if other == event]
            if handler.shared:
                assert handler is dispatcher.vm.shared[event]
                assert where == ([] if handler.running_on is None else [handler.running_on])
                assert (handler.state >= 4) == bool(where)
            else:
                assert (handler.state >= 4) == (vcpu.number in where)
            if gic and handler.interrupt is not None:
                pe = None if handler.shared else vcpu.number
                line = gic.line(handler.interrupt, pe)
                # Owned while registered, active while the handler runs.
                assert line.owned == (handler.state != 0)
                assert line.active == (handler.state >= 4) or not line.owned
            if handler.slot and handler.interrupt is None:
                assert handler.state == 0
    profile = dispatcher.profile
    bound = dispatcher.vm.bindings
    assert sum(intid < 32 for intid in bound.values()) <= profile.private_bind_slots
    assert sum(intid >= 32 for intid in bound.values()) <= profile.shared_bind_slots
    assert len(set(bound.values())) == len(bound)
