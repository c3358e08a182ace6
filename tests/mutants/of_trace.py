"""Mistakes in the trace and its form on disk."""

from tests.mutants.mutation import Mutation

JSONL = "sdeiviz/trace/jsonl.py"
RECORD = "sdeiviz/trace/record.py"
EVENTS = "sdeiviz/trace/events.py"

MUTATIONS = [
    Mutation(JSONL, "VERSION: Final = 1", "VERSION: Final = 2", "the version of the form changes"),
    Mutation(
        JSONL,
        "if type(version) is not int or version != VERSION:",
        "if version != VERSION:",
        "version true is version 1",
    ),
    Mutation(
        JSONL,
        "if not isinstance(value, list) or len(value) != length:",
        "if not isinstance(value, list):",
        "a context of 17 registers",
    ),
    Mutation(
        JSONL,
        "if type(value) is not kind or (kind is int and value < 0):",
        "if not isinstance(value, kind) or (kind is int and value < 0):",
        "true is an index",
    ),
    Mutation(JSONL, "(kind is int and value < 0)", "(kind is int and value < -1)", "index -1"),
    Mutation(JSONL, '"-?0x[0-9a-f]{1,16}"', '"-?0x[0-9a-f]+"', "numbers of more than 64 bits"),
    Mutation(
        JSONL,
        "        while line := file.readline(_LONGEST_LINE):\n            number += 1\n",
        "        while line := file.readline(_LONGEST_LINE):\n",
        "the line's number",
    ),
    Mutation(
        JSONL,
        "except (ValueError, RecursionError):\n        raise",
        "except ValueError:\n        raise",
        "deep nesting is a traceback",
    ),
    Mutation(
        JSONL,
        "    except UnicodeDecodeError:\n        raise TraceError(f",
        "    except BufferError:\n        raise TraceError(f",
        "bytes are a traceback",
    ),
    Mutation(
        EVENTS,
        "range(0xC400_0020, 0xC400_0040)",
        "range(0xC400_0020, 0xC400_003F)",
        "the last call is no SDEI",
    ),
    Mutation(
        RECORD,
        "function = x0 & 0xFFFF_FFFF",
        "function = x0",
        "the function has 64 bits",
    ),
    Mutation(RECORD, "after - 4, function", "after, function", "calls at the next instruction"),
    Mutation(RECORD, "str(action), int(before)", "action, before", "enumerations in the trace"),
    Mutation(RECORD, "int(next(values))", "next(values)", "results that are enumerations"),
    Mutation(RECORD, "            self._written.clear()\n", "", "what was read comes again"),
    Mutation(
        RECORD, "del self._read()[length:]", "del self._events[length:]", "unread records stay"
    ),
    # -- a page fault of which the guest was not told has no token
    Mutation(
        JSONL,
        "if name in _HEX and value is not None:",
        "if name in _HEX and value:",
        "a zero is written in a form that is not read",
    ),
    Mutation(
        JSONL,
        "None if value is None and kind == int | None else",
        "None if value is None else",
        "an address may be missing",
    ),
]
