"""A recording: keyframes and the inputs between them, from which any moment can be made again.

A guest's run depends on nothing but its image and what the host did to it. So the past is not
stored step by step: a keyframe holds the whole machine every few milliseconds of host time, of RAM
only the pages that were written since the keyframe before (stage 2 tells which), and moving to an
index means loading the keyframe before it and executing again, each input of the host at the index
where it came.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Final

from sdeiviz.errors import Error
from sdeiviz.machine import Stop, StopReason, VirtualMachine
from sdeiviz.machine import state as vm_state
from sdeiviz.machine.memory import PAGE, ZERO_PAGE
from sdeiviz.machine.state import VmState
from sdeiviz.trace import ProbeHit, Reader, Record, Trace, TraceEvent, TraceSink, is_sdei

DEFAULT_LIMIT: Final = 256 << 20
MAX_EVENTS: Final = 500_000
"""Trace events that a recording keeps; it ends there."""
_KEYFRAME_SECONDS: Final = 0.025
_KEYFRAME_OVERHEAD: Final = 16 << 10
"""Bytes that a keyframe takes beside its pages, about."""


class RecordingError(Error):
    """Something a recording cannot do."""


@dataclass(frozen=True, slots=True)
class Input:
    """An action of the host: a method of `VirtualMachine`, called at an index."""

    index: int
    happened: int
    """How many events of the trace had happened: at one index a page may fault, and arrive."""
    method: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]


@dataclass(slots=True)
class Keyframe:
    """The machine at an index, after the first `happened` events and `inputs` inputs."""

    index: int
    happened: int
    inputs: int
    state: VmState
    """Its pages are those written since the keyframe before."""

    @property
    def size(self) -> int:
        """Bytes of host memory, about."""
        return _KEYFRAME_OVERHEAD + PAGE * len(self.state.pages) + len(self.state.uart["output"])


class Recording:
    """Moves a machine along its own history, and makes that history longer.

    Parameters
    ----------
    vm
        From now on only the recording moves it. Its history begins here: at 0, or where it came
        from another machine.
    limit
        Bytes of host memory for keyframes. Beyond it, keyframes are thinned out and moving takes
        longer.
    past
        Events from before: what is known of a guest that came. They can be read, not gone to.
    """

    def __init__(
        self, vm: VirtualMachine, limit: int = DEFAULT_LIMIT, past: Iterable[TraceEvent] = ()
    ) -> None:
        self.vm = vm
        self.limit = limit
        self.trace = Trace(past)
        self.inputs: list[Input] = []
        self.end = vm.index
        """The furthest index recorded."""
        self.cuts = 0
        """How often a change in the past has cut off what followed."""
        self.observer: TraceSink | None = None
        """Is told of everything as it happens, besides the trace; of nothing that is replayed."""
        self._applied = 0
        """How many inputs the machine has had."""
        self._known = len(self.trace)
        self._again = Trace()
        """Of the events that have happened, those that did so again after the first `_known`."""
        self._last_keyframe_time = perf_counter()
        vm.stage2.protect()
        vm.flush_tlbs()
        self.keyframes = [Keyframe(vm.index, self._known, 0, vm.save())]
        self._base = 0
        """The keyframe that RAM and the log of written pages start from."""

    @property
    def index(self) -> int:
        """Where the machine is."""
        return self.vm.index

    @property
    def start(self) -> int:
        """Where its history begins."""
        return self.keyframes[0].index

    @property
    def happened(self) -> int:
        """How many events of the trace have happened where the machine is.

        It may be fewer than those up to the index: an instruction whose page is missing begins, and
        all that follows until it can complete happens at the same index.
        """
        return self._known + len(self._again)

    def _know(self, happened: int) -> None:
        self._known = happened
        if self._again:
            self._again = Trace()

    @property
    def at_end(self) -> bool:
        """Whether going on makes new history."""
        known = self._applied == len(self.inputs) and self.happened == len(self.trace)
        return self.index == self.end and known

    def events_until(self, index: int) -> int:
        """Return how many events of the trace happened up to an index."""
        return bisect_right(self.trace, index, key=lambda event: event.index)

    # -- going on

    def advance(self, target: int, *, until_sdei: bool = False) -> Stop | None:
        """Go on towards an index for a slice of host time, replaying or recording.

        Returns why it stopped, or None where only the slice ended or the recorded part.
        """
        if not self.at_end:
            stop = self._replay_slice(min(target, self.end))
            if stop is None and self.index >= target:
                stop = self.vm.run_slice(target)  # there is nothing left to run: the budget is
            elif stop is None and self.index == self.end:
                self._catch_up(len(self.trace))
            return stop
        if len(self.trace) >= MAX_EVENTS:
            raise RecordingError(
                f"the recording is full ({MAX_EVENTS} events); go back, or start again"
            )
        self.vm.trace = _Watch(self.trace, self.vm, is_sdei) if until_sdei else self.trace
        if self.observer:
            self.vm.trace = _Both(self.vm.trace, self.observer)
        try:
            stop = self.vm.run_slice(target)
        finally:
            self.end = self.index
            self._know(len(self.trace))
        if perf_counter() - self._last_keyframe_time > _KEYFRAME_SECONDS:
            self._add_keyframe()
        return stop

    def _replay_slice(self, target: int) -> Stop | None:
        """Execute again towards an index, to the next input at most."""
        self._apply_due()
        if self._applied < len(self.inputs):
            target = min(target, self.inputs[self._applied].index)
        stop = self.vm.run_slice(target)
        self._apply_due()
        return None if stop and stop.reason is StopReason.BUDGET else stop

    def _apply_due(self) -> None:
        """Repeat the inputs of this index, and begin to repeat what comes: all of it is known."""
        while self._applied < len(self.inputs) and self.inputs[self._applied].index == self.index:
            action = self.inputs[self._applied]
            self._catch_up(action.happened)
            self.vm.trace = self._again
            getattr(self.vm, action.method)(*action.arguments, **action.options)
            self._applied += 1
        self.vm.trace = self._again

    def _catch_up(self, happened: int) -> None:
        """Repeat what happened at this index until so many events have."""
        index = self.index
        while self.happened < happened:
            self.vm.trace = _Watch(self._again, self.vm, _stands)
            stop = self.vm.run_slice(index + 1)
            if stop and stop.reason is StopReason.INTERRUPTED:
                raise KeyboardInterrupt
            if self.index != index:
                raise RecordingError(f"replay left the recording at index {index}")

    def goto(self, index: int) -> None:
        """Move to an index within the recording, after all that happened there.

        Raises
        ------
        RecordingError
            The index lies outside the recording.
        KeyboardInterrupt
            `VirtualMachine.request_stop` was called; the machine is somewhere before the index.
        """
        if not self.start <= index <= self.end:
            raise RecordingError(
                f"no index {index} in this recording: it has {self.start} to {self.end}"
            )
        if index < self.index or self._nearest(index) > self._base:
            self._restore(self._nearest(index))
        self._apply_due()
        while self.index < index:
            stop = self._replay_slice(index)
            if stop and stop.reason is StopReason.INTERRUPTED:
                raise KeyboardInterrupt
            if stop and stop.reason.final:
                raise RecordingError(
                    f"replay left the recording at index {self.index}: {stop.detail}"
                )
        happened = self.events_until(index)
        while happened and not _stands(self.trace[happened - 1]):
            happened -= 1
        self._catch_up(happened)

    # -- inputs

    def act(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Act on the machine from outside, here and in every replay.

        In the past this begins another history.
        """
        happened: list[Any] = []
        self.vm.trace = _Both(happened, self.observer) if self.observer else happened
        result = getattr(self.vm, method)(*arguments, **options)
        if not self.at_end:
            self._cut()
        self.trace.extend(happened)
        self.inputs.append(Input(self.index, self.happened, method, arguments, options))
        self._applied += 1
        self._know(len(self.trace))
        return result

    def _cut(self) -> None:
        """Forget what followed this moment."""
        self.cuts += 1
        self.end = self.index
        self.trace.truncate(self.happened)
        del self.inputs[self._applied :]
        last = next(
            n for n in reversed(range(len(self.keyframes))) if self._precedes(self.keyframes[n])
        )
        del self.keyframes[last + 1 :]

    def _precedes(self, keyframe: Keyframe) -> bool:
        earlier = keyframe.happened <= self.happened and keyframe.inputs <= self._applied
        return keyframe.index <= self.index and earlier

    # -- keyframes

    def _add_keyframe(self) -> None:
        self._last_keyframe_time = perf_counter()
        if self.index == self.keyframes[-1].index:
            return
        vm = self.vm
        state = vm_state.save(vm, vm.stage2.dirty)
        self._protect()
        self.keyframes.append(Keyframe(self.index, self.happened, self._applied, state))
        self._base = len(self.keyframes) - 1
        self._thin()

    def _protect(self) -> None:
        self.vm.stage2.protect()
        self.vm.flush_tlbs()

    def _nearest(self, index: int) -> int:
        return bisect_right(self.keyframes, index, key=lambda keyframe: keyframe.index) - 1

    def _restore(self, number: int) -> None:
        """Put the machine where a keyframe was taken: only pages that can differ are touched."""
        low, high = sorted((self._base, number))
        pages = set(self.vm.stage2.dirty or ())
        for keyframe in self.keyframes[low + 1 : high + 1]:
            pages.update(keyframe.state.pages)
        keyframe = self.keyframes[number]
        vm_state.load(
            self.vm,
            replace(keyframe.state, pages={page: self._content(page, number) for page in pages}),
        )
        self._protect()
        self._base = number
        self._applied = keyframe.inputs
        self._know(keyframe.happened)

    def _content(self, page: int, number: int) -> bytes:
        """Return what a page held at a keyframe."""
        for keyframe in reversed(self.keyframes[: number + 1]):
            if page in keyframe.state.pages:
                return keyframe.state.pages[page]
        return ZERO_PAGE

    def _thin(self) -> None:
        """Give up keyframes, those closest to their neighbours first, until all fits."""
        frames = self.keyframes
        size = sum(frame.size for frame in frames)
        while size > self.limit and len(frames) > 1:
            ends = [frame.index for frame in frames[2:]] + [frames[-1].index]
            number = min(range(1, len(frames)), key=lambda n: ends[n - 1] - frames[n - 1].index)
            pages = frames[number].state.pages
            if number + 1 < len(frames):
                after = frames[number + 1]
                after.state = replace(after.state, pages=pages | after.state.pages)
            if self._base >= number:
                if self._base == number and self.vm.stage2.dirty is not None:
                    self.vm.stage2.mark_dirty(pages)
                self._base -= 1
            del frames[number]
            size = sum(frame.size for frame in frames)


def _stands(event: TraceEvent) -> bool:
    """Tell whether the machine can stand still right after an event: not after a probe."""
    return not isinstance(event, ProbeHit)


class _Both:
    """A trace that goes to two places."""

    def __init__(self, one: TraceSink, other: TraceSink) -> None:
        self._one, self._other = one, other

    def extend(self, record: Record, /) -> None:
        self._one.extend(record)
        self._other.extend(record)


class _Watch:
    """A trace that pauses the machine at the next event that is wanted."""

    def __init__(
        self, trace: Trace, vm: VirtualMachine, wanted: Callable[[TraceEvent], bool]
    ) -> None:
        self._trace, self._vm, self._wanted = trace, vm, wanted
        self._reader = Reader()

    def extend(self, record: Record, /) -> None:
        self._trace.extend(record)
        if any(map(self._wanted, self._reader.read(record))):
            self._vm.pause(StopReason.MOMENT, "an event of the trace")
