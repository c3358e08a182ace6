"""Mistakes in live migration."""

from tests.mutants.mutation import Mutation

WIRE = "sdeiviz/migration/wire.py"
HANDSHAKE = "sdeiviz/migration/handshake.py"
ENCODING = "sdeiviz/migration/encoding.py"
BITMAP = "sdeiviz/migration/bitmap.py"
ARRIVAL = "sdeiviz/migration/arrival.py"
SOURCE = "sdeiviz/migration/source.py"
DESTINATION = "sdeiviz/migration/destination.py"
CHECKSUM = "sdeiviz/migration/checksum.py"
LINK = "sdeiviz/migration/link.py"
METRICS = "sdeiviz/migration/metrics.py"
RECORD = "sdeiviz/migration/record.py"
SIMULATION = "sdeiviz/migration/simulation.py"
GUEST = "sdeiviz/migration/guest.py"
REPLAY = "sdeiviz/migration/replay.py"

MUTATIONS = [
    Mutation(WIRE, "VERSION: Final = 2", "VERSION: Final = 3", "the version of the protocol"),
    Mutation(WIRE, "0x85: ReceivedBitmap", "0x84: ReceivedBitmap", "REQ_PAGES' number"),
    Mutation(WIRE, '">2sBBIII"', '"<2sBBIII"', "little-endian headers"),
    Mutation(WIRE, "crc = zlib.crc32(part, crc)", "crc = zlib.crc32(part)", "no CRC of headers"),
    Mutation(
        WIRE,
        'if _crc(buffer[: HEADER.size - 4], fixed, known.get("known", tail)) != crc:',
        "if False:",
        "damage passes",
    ),
    Mutation(
        WIRE,
        "self._move(self._spare.pop() if self._spare else memoryview(bytearray(_ROOM)))",
        "pass",
        "what comes next is written over content that is still looked at",
    ),
    Mutation(
        WIRE,
        "            if len(buffer) == _ROOM:\n",
        "            if False:\n",
        "new memory each time",
    ),
    Mutation(WIRE, "        self._check_sequence(sequence)\n", "", "frames twice, or missing"),
    Mutation(WIRE, "if ahead >= SEQUENCES // 2:", "if ahead >= SEQUENCES:", "twice is missing"),
    Mutation(
        WIRE,
        "self._sequence = (self._sequence + 1) % SEQUENCES",
        "self._sequence += 1",
        "the sequence does not wrap",
    ),
    Mutation(
        WIRE,
        "if not layout.fixed.size <= length <= layout.fixed.size + layout.limit:",
        "if not layout.fixed.size <= length:",
        "a frame of 4 GiB is waited for",
    ),
    Mutation(WIRE, "            self._error = error\n", "", "goes on after damage"),
    Mutation(WIRE, "if values[name] > 1:", "if values[name] > 2:", "a flag of 2"),
    Mutation(WIRE, "if len(tail) % _RANGE.size:", "if False:", "half a range is a traceback"),
    Mutation(WIRE, "(0 if self.zero else PAGE)", "(0 if self.zero else len(self.data))", "half"),
    Mutation(WIRE, "if self.count > MAX_REQUEST:", "if self.count > MAX_PAGES:", "all at once"),
    Mutation(WIRE, "if count < 1 or first", "if first", "no pages at all"),
    Mutation(
        WIRE, "first + count > MAX_PAGES:", "first + count > MAX_PAGES + 1:", "one page too many"
    ),
    Mutation(WIRE, "if self.page_size != PAGE:", "if False:", "pages of 64 KiB"),
    Mutation(
        WIRE,
        "if len(buffer) > 2 and buffer[2] != VERSION:",
        "if len(buffer) >= HEADER.size and buffer[2] != VERSION:",
        "another version's header is read as ours",
    ),
    Mutation(
        HANDSHAKE,
        'hmac.new(self._secret, role.name.encode(), "sha256")',
        'hmac.new(self._secret, b"", "sha256")',
        "a mirror passes",
    ),
    Mutation(
        HANDSHAKE, "        for side in Role:\n", "        for side in [self._role]:\n", "half"
    ),
    Mutation(
        HANDSHAKE,
        'mac.update(len(payload).to_bytes(4, "big") + payload)',
        "mac.update(payload)",
        "no lengths under the proof",
    ),
    Mutation(
        HANDSHAKE,
        "        self.done = self._secret is None\n",
        "        self.done = True\n",
        "done without a proof",
    ),
    Mutation(
        HANDSHAKE,
        "if self._secret is not None and not hello.secret:",
        "if False:",
        "waits for a proof that never comes",
    ),
    Mutation(HANDSHAKE, "if hello.role == self._role:", "if False:", "two sources"),
    Mutation(HANDSHAKE, "if self._session not in (None, hello.session):", "if False:", "another"),
    Mutation(
        HANDSHAKE,
        "secrets.token_bytes(32) if nonce is None",
        "bytes(32) if nonce is None",
        "the same nonce each time",
    ),
    Mutation(ENCODING, "if depth > MAX_DEPTH:", "if depth > MAX_DEPTH + 1:", "one deeper"),
    Mutation(ENCODING, "if values > MAX_VALUES:", "if False:", "no limit of values"),
    Mutation(ENCODING, "if size != value.bit_length() // 8 + 1:", "if False:", "numbers two ways"),
    Mutation(ENCODING, "            if twice:\n", "            if False:\n", "a key twice"),
    Mutation(ENCODING, "if reader.offset != len(data):", "if False:", "more after the value"),
    Mutation(ENCODING, 'return items if tag == b"l" else tuple(items)', "return items", "tuples"),
    Mutation(ENCODING, "    if version != STATE_VERSION:\n", "    if False:\n", "any version"),
    Mutation(ENCODING, "        vm_state.load(vm, before)\n", "", "half a state stays"),
    Mutation(ENCODING, "    check_shape(state.shape, vm_state.shape(vm))\n", "", "any machine"),
    Mutation(
        ENCODING,
        '        return f"{value!r:.40}"\n    except ValueError:',
        '        return f"{value!r:.40}"\n    except KeyError:',
        "huge numbers",
    ),
    Mutation(ENCODING, "or len(page) != PAGE:", "or len(page) > PAGE:", "half a page"),
    Mutation(BITMAP, "decompress(data, size + 1)", "decompress(data)", "a bomb is unpacked"),
    Mutation(BITMAP, " or not unpacker.eof or unpacker.unused_data:", ":", "cut off or longer"),
    Mutation(
        BITMAP, "        if value >> pages:\n", "        if False:\n", "pages beyond the last"
    ),
    Mutation(
        BITMAP, "(cursor, min(cursor + 7 & ~7, self.pages))", "(cursor, cursor)", "skips some"
    ),
    Mutation(BITMAP, " or _NOT_ZERO.search(self._bits)\n", "\n", "does not begin again"),
    Mutation(
        BITMAP,
        "self._value() ^ (1 << self.pages) - 1",
        "~self._value() & (1 << self.pages - 1) - 1",
        "the last one",
    ),
    Mutation(CHECKSUM, 'f">{len(sums)}I"', 'f"<{len(sums)}I"', "the byte order"),
    Mutation(CHECKSUM, "at : at + PAGE]) for", "at : at + 64]) for", "only where a page begins"),
    Mutation(SOURCE, "                self.may_run_on = False\n", "", "two guests"),
    Mutation(
        SOURCE,
        "        self._sync()\n        self._package = package\n",
        "        self._package = package\n",
        "the last log is lost",
    ),
    Mutation(
        SOURCE, "            if page in self._dirty:\n", "            if True:\n", "a page twice"
    ),
    Mutation(
        SOURCE, "                if not self._jump:\n", "                if self._jump:\n", "jump"
    ),
    Mutation(SOURCE, "        self._dirty.discard(page)\n", "", "for ever the same page"),
    Mutation(
        SOURCE, "        self._cursor = page + 1\n", "        self._cursor = page\n", "passes"
    ),
    Mutation(
        SOURCE,
        "            self._dirty = Bitmap(self._pages, full=True)\n",
        "            self._dirty |= self._received.inverted()\n",
        "what is older there is believed",
    ),
    Mutation(
        SOURCE,
        "        if self.state is SourceState.POSTCOPY:\n            self._sums",
        "        if True:\n            self._sums",
        "a write that the log has lost stays unnoticed",
    ),
    Mutation(SOURCE, "        self._requests.clear()\n", "", "requests outlive a connection"),
    Mutation(
        SOURCE,
        "        self._ended = False\n        self.state = _DIS",
        "        self.state = _DIS",
        "no end after a recovery",
    ),
    Mutation(
        SOURCE,
        "self._dirty = self._received.inverted()",
        "self._dirty = self._received.copy()",
        "what was not lost",
    ),
    Mutation(SOURCE, "if message.runs and received & self._dirty:", "if False:", "never sent"),
    Mutation(
        SOURCE, "        if self._there and not message.runs:\n", "        if False:\n", "loses it"
    ),
    Mutation(
        SOURCE, "        if first + count > self._pages:\n", "        if False:\n", "any page"
    ),
    Mutation(
        SOURCE, "        zero = data == ZERO_PAGE\n", "        zero = False\n", "zero pages in full"
    ),
    Mutation(
        SOURCE,
        "        self._control += [OpenReturnPath(), advise, RecvBitmap()]\n",
        "        self._control += [OpenReturnPath(), RecvBitmap()]\n",
        "the first was lost",
    ),
    Mutation(
        SOURCE,
        "SourceState.POSTCOPY: SourceState.PAUSED",
        "SourceState.POSTCOPY: SourceState.FAILED",
        "lost",
    ),
    Mutation(
        DESTINATION,
        "        if not self.runs and page in self._received:\n",
        "        if False:\n",
        "pages of a later pass are dropped",
    ),
    Mutation(
        DESTINATION, "if not self.runs and page in", "if page in", "discards what a guest wrote"
    ),
    Mutation(
        DESTINATION,
        "if page in self._received or page in self._requested:",
        "if page in self._received:",
        "asked for twice",
    ),
    Mutation(
        DESTINATION, "        self._requested.pop(page, None)\n", "", "asked for after it came"
    ),
    Mutation(DESTINATION, "        self._received.add(page)\n", "", "never received"),
    Mutation(
        DESTINATION,
        "            self._received.discard_run(first, count)\n",
        "",
        "stale is received",
    ),
    Mutation(
        DESTINATION,
        "        self._outbox.extend(RequestPages(page, 1) for page in self._requested)\n",
        "",
        "a task sleeps for ever after a loss",
    ),
    Mutation(DESTINATION, "        self._outbox.clear()\n", "", "answers outlive a connection"),
    Mutation(
        DESTINATION,
        "DestinationState.RUNNING if self.runs else DestinationState.DISCARD",
        "DestinationState.RUNNING",
        "no package after a recovery",
    ),
    Mutation(
        DESTINATION,
        "        for first, count in ranges:\n            self._check_end(first + count)\n",
        "",
        "half a discard",
    ),
    Mutation(
        DESTINATION,
        "                    self.state = DestinationState.FAILED\n",
        "",
        "listens for ever",
    ),
    Mutation(DESTINATION, "self._answer(Shut(REFUSED))", "pass", "refuses in silence"),
    Mutation(
        SOURCE, "            self.may_run_on = True\n", "", "gives up a guest that nobody has"
    ),
    Mutation(ARRIVAL, "                self._part()\n", "                pass\n", "hangs up first"),
    Mutation(
        DESTINATION,
        "            self._ended = True  # they may",
        "            pass  # they may",
        "no end",
    ),
    Mutation(
        DESTINATION,
        "        if not self._advised:\n            self._host",
        "        if True:\n            self._host",
        "discards a running guest",
    ),
    Mutation(
        DESTINATION,
        "        if not self.runs or page not in self._received:\n"
        "            self._sums.put(page, 1, sums)\n",
        "        self._sums.put(page, 1, sums)\n",
        "sums of what is not placed",
    ),
    Mutation(DESTINATION, "Shut(0 if intact else DAMAGED)", "Shut(0)", "all is well"),
    Mutation(LINK, "len(frame) * 8 * _NS", "len(frame) * _NS", "bytes a second"),
    Mutation(
        LINK,
        "        self._start(self._end)\n",
        "        self._start(self._events.now * self._speed.bandwidth)\n",
        "fractions add up",
    ),
    Mutation(LINK, "self._events.now + self._speed.delay", "self._events.now", "no delay"),
    Mutation(LINK, "        self._last = channel\n", "", "one channel gets it all"),
    Mutation(LINK, "        self.buffered[channel] -= len(frame)\n", "", "the buffer stays full"),
    Mutation(LINK, "        self._cuts += 1\n", "", "what was lost arrives"),
    Mutation(
        LINK,
        "        self._new_connection()\n        self.poke()\n",
        "        self.poke()\n",
        "old sequences",
    ),
    Mutation(LINK, "while self.forward.room(channel) and", "while", "no buffer"),
    Mutation(
        METRICS,
        "(nanoseconds // 1000).bit_length() - 1",
        "(nanoseconds // 1000).bit_length()",
        "buckets",
    ),
    Mutation(METRICS, "BUCKETS - 1)", "BUCKETS)", "beyond the last bucket"),
    Mutation(METRICS, "self.all = Stalls(vcpus)", "self.all = Stalls(1)", "one vCPU blocks all"),
    Mutation(
        METRICS,
        "                if self.vcpus[vcpu].change(-1, time):\n                    self.all",
        "                if True:\n                    self.all",
        "counts faults",
    ),
    Mutation(METRICS, "self._open.pop(page, ())", "self._open.get(page, ())", "resolved twice"),
    Mutation(METRICS, "-(-len(ordered) * percent // 100)", "len(ordered) * percent // 100", "rank"),
    # -- the record
    Mutation(RECORD, " if self._newest.get(n) is passage]", "]", "old content has arrived"),
    Mutation(RECORD, "!= pages[n - 1] + 1:", "< pages[n - 1] + 1:", "gaps change too"),
    Mutation(
        RECORD, "            _apply(self._before, forgotten)\n", "            pass\n", "a hole"
    ),
    Mutation(RECORD, "].time <= time:", "].time < time:", "one change too late"),
    Mutation(RECORD, "time if came is None else came", "time", "bytes come when they are taken"),
    Mutation(RECORD, "        self.forgotten += 1\n", "", "what is left out is not counted"),
    Mutation(RECORD, "[sum(row[n : n + 2])", "[max(row[n : n + 2])", "bytes are lost"),
    Mutation(
        RECORD, "                    waiting.popleft()\n", "                    break\n", "stuck"
    ),
    Mutation(
        RECORD,
        " if self._stages[n] == Stage.MISSING]",
        "]",
        "a page on the way is asked for",
    ),
    Mutation(
        RECORD,
        "if gfn - first_gfn in self._awaited:",
        "if True:",
        "pages that nobody waits for are placed",
    ),
    Mutation(RECORD, "Stage.MISSING if self._runs_there else", "", "a loss in post-copy"),
    Mutation(
        RECORD,
        "            self._newest.pop(page, None)\n",
        "            pass\n",
        "a page that was written on the way has arrived",
    ),
    Mutation(RECORD, "replace(passage) for", "passage for", "a record changes afterwards"),
    Mutation(RECORD, "lambda: vm.time + simulation.offset", "lambda: vm.time", "the guest's time"),
    Mutation(RECORD, "            at += 3\n", "            at += 4\n", "events are not found"),
    Mutation(GUEST, "        self.on_dirty(dirty)\n", "", "written pages stay arrived"),
    Mutation(
        SIMULATION,
        'self.vm.pause(StopReason.MOMENT, "every page is there")',
        "pass",
        "the end comes late",
    ),
    # -- lived through again
    Mutation(REPLAY, "run - source.time", "run - source.time + 1000", "pages come too early"),
    Mutation(
        REPLAY, "None if zero else self._read(page)", "self._read(page)", "a zero page is copied"
    ),
    Mutation(REPLAY, 'self._next = state["next"]', "pass", "going back brings no page back"),
    # -- outages
    Mutation(
        SIMULATION,
        "        if self.destination.runs:\n",
        "        if self.destination.state is DestinationState.RUNNING:\n",
        "what is needed without a connection is not asked for",
    ),
    Mutation(
        SIMULATION,
        "if self.source.state is SourceState.PAUSED:",
        "if True:",
        "a migration that has failed is resumed",
    ),
]
