"""Mistakes in going back: keyframes, inputs, breakpoints, moments, and what is shown of them."""

from tests.mutants.mutation import Mutation

RECORDING = "sdeiviz/debugger/recording.py"
SESSION = "sdeiviz/debugger/session.py"
LISTING = "sdeiviz/debugger/listing.py"

MUTATIONS = [
    # -- keyframes
    Mutation(
        RECORDING,
        "        pages = set(self.vm.stage2.dirty or ())\n",
        "        pages: set[int] = set()\n",
        "pages written since stay as they are",
    ),
    Mutation(
        RECORDING,
        "        for keyframe in self.keyframes[low + 1 : high + 1]:\n"
        "            pages.update(keyframe.state.pages)\n",
        "",
        "pages of the keyframes between are not restored",
    ),
    Mutation(
        RECORDING,
        "self.keyframes[low + 1 : high + 1]",
        "self.keyframes[low + 1 : high]",
        "pages of one keyframe are not restored",
    ),
    Mutation(
        RECORDING,
        "for keyframe in reversed(self.keyframes[: number + 1]):",
        "for keyframe in self.keyframes[: number + 1]:",
        "a page is as it was first",
    ),
    Mutation(
        RECORDING,
        "        self._applied = keyframe.inputs\n",
        "",
        "inputs before a keyframe come again, or never",
    ),
    Mutation(
        RECORDING,
        "after.state = replace(after.state, pages=pages | after.state.pages)",
        "after.state = replace(after.state, pages=after.state.pages | pages)",
        "a thinned keyframe's pages win over newer ones",
    ),
    Mutation(
        RECORDING,
        "                    self.vm.stage2.mark_dirty(pages)\n",
        "                    pass\n",
        "pages of a keyframe given up are forgotten",
    ),
    Mutation(
        RECORDING,
        "                self._base -= 1\n",
        "                pass\n",
        "RAM starts from another keyframe than it does",
    ),
    Mutation(
        RECORDING,
        "        state = vm_state.save(vm, vm.stage2.dirty)\n        self._protect()\n",
        "        state = vm_state.save(vm, vm.stage2.dirty)\n",
        "every keyframe has all pages since the start",
    ),
    # -- inputs and other histories
    Mutation(
        RECORDING,
        "            target = min(target, self.inputs[self._applied].index)\n",
        "            pass\n",
        "a replay runs past an input",
    ),
    Mutation(
        RECORDING,
        "            self._applied += 1\n        self.vm.trace = self._again\n",
        "            self._applied += 1\n",
        "what is repeated is recorded again",
    ),
    Mutation(
        RECORDING,
        "        del self.inputs[self._applied :]\n",
        "",
        "inputs of a history that was cut come back",
    ),
    Mutation(
        RECORDING,
        "        del self.keyframes[last + 1 :]\n",
        "",
        "keyframes of a history that was cut stay",
    ),
    Mutation(
        RECORDING,
        "        self.trace.truncate(self.happened)\n",
        "",
        "events of a history that was cut stay",
    ),
    Mutation(
        RECORDING,
        "        self.end = self.index\n        self.trace.truncate",
        "        self.trace.truncate",
        "a history that was cut keeps its length",
    ),
    Mutation(
        RECORDING,
        "return keyframe.index <= self.index and earlier",
        "return keyframe.index < self.index",
        "the keyframe we stand on is cut off, were it the first",
    ),
    Mutation(
        RECORDING,
        "            stop = self._replay_slice(index)\n"
        "            if stop and stop.reason is StopReason.INTERRUPTED:\n"
        "                raise KeyboardInterrupt\n",
        "            stop = self._replay_slice(index)\n",
        "Ctrl-C does not end a replay",
    ),
    Mutation(
        RECORDING,
        "if stop is None and self.index >= target:",
        "if False:",
        "a run in the past never ends",
    ),
    # -- breakpoints and moments
    Mutation(
        SESSION,
        "        hits = [start] if self._vm.current.pc in self._breakpoints else []\n",
        "        hits = []\n",
        "a breakpoint on a keyframe is missed on the way back",
    ),
    Mutation(
        SESSION,
        "                recording.goto(hits[-1])\n",
        "                recording.goto(hits[0])\n",
        "back goes to the first one, not to the last",
    ),
    Mutation(
        SESSION,
        "        limit = self.index - 1\n",
        "        limit = self.index\n",
        "back stays where it is",
    ),
    Mutation(
        SESSION,
        "                limit = keyframe.index - 1\n",
        "                limit = keyframe.index - 2\n",
        "a breakpoint before a keyframe is missed",
    ),
    Mutation(
        SESSION,
        "self.trace[: self._recording.events_until(self.index - 1)]",
        "self.trace[: self._recording.events_until(self.index)]",
        "the previous moment is this one",
    ),
    Mutation(
        SESSION,
        "        if self._moments_cuts != self._recording.cuts:\n",
        "        if self._moments_of > len(trace):\n",
        "moments of a history that was cut are shown",
    ),
    Mutation(
        SESSION,
        "self.trace[self._recording.happened :]",
        "self.trace[self._recording.events_until(self.index - 1) :]",
        "the next moment is this one",
    ),
    Mutation(
        SESSION,
        "                if stop is not None and stop.reason is StopReason.INTERRUPTED:\n"
        "                    raise KeyboardInterrupt\n",
        "",
        "Ctrl-C does not end the way back",
    ),
    Mutation(
        SESSION,
        "            self._stand()\n        if interrupted:",
        "            pass\n        if interrupted:",
        "going on stops where it stands",
    ),
    Mutation(
        SESSION,
        "            now=self._recording.happened,\n",
        "            now=len(self.trace),\n",
        "what is to come has happened",
    ),
    Mutation(
        LISTING,
        'label="" if "+" in name else name',
        "label=name",
        "every instruction has a label",
    ),
    Mutation(
        LISTING,
        "text[place.line - 1]",
        "text[place.line - 2]",
        "source and instructions are a line apart",
    ),
]
