"""A machine's state as bytes, without pickle: a small encoding of plain values, strict in reading.

Each value is a tag and what belongs to it, big-endian::

    N F T           None, False, True
    i  u32  bytes   an integer: length, and two's complement as short as `n.bit_length() // 8 + 1`
    b  u32  bytes   bytes
    s  u32  bytes   a text in UTF-8
    l t  u32  ...   a list or tuple: how many, and the items
    d  u32  ...     a dict: how many, and keys and values by turns

There is one way to write a value and no other is read. Nothing else can be written: a value of
another type is a mistake of whoever saves it.
"""

import struct
from dataclasses import fields
from types import UnionType
from typing import Any, Final, get_args, get_origin, get_type_hints

from sdeiviz.errors import Error
from sdeiviz.machine import Stop, StopReason, VirtualMachine, VmState
from sdeiviz.machine import state as vm_state
from sdeiviz.machine.memory import PAGE, PAGE_SHIFT

MAX_BYTES: Final = 64 << 20
MAX_VALUES: Final = 1 << 20
"""How many values one may consist of: an empty list takes 5 bytes, and in memory many more."""
MAX_DEPTH: Final = 32
STATE_MAGIC: Final = b"SDEIVIZ STATE\n"
STATE_VERSION: Final = 1
"""Counts up with every change of what a state consists of."""

_LENGTH: Final = struct.Struct(">I")
_VERSION: Final = struct.Struct(">H")


class EncodingError(Error):
    """A value that cannot be written, or bytes that are none."""


class StateError(Error):
    """A state that this machine cannot take over."""


# -- plain values


def encode(value: Any) -> bytes:
    r"""Return a plain value as bytes.

    Raises
    ------
    EncodingError
        It is not plain, too big or too deep.

    Examples
    --------
    >>> encode({"x": -1})
    b'd\x00\x00\x00\x01s\x00\x00\x00\x01xi\x00\x00\x00\x01\xff'
    >>> decode(_)
    {'x': -1}
    """
    writer = _Writer()
    writer.write(value, 0)
    return bytes(writer.out)


class _Writer:
    """Puts values one after another."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.values = 0

    def write(self, value: Any, depth: int) -> None:
        self.values += 1
        _check(depth, self.values)
        kind = type(value)
        if value is None or kind is bool:
            self.out += _CONSTANTS[value]
        elif kind is int:
            size = value.bit_length() // 8 + 1
            self.sized(b"i", value.to_bytes(size, "big", signed=True))
        elif kind is bytes:
            self.sized(b"b", value)
        elif kind is str:
            try:
                self.sized(b"s", value.encode())
            except UnicodeEncodeError:
                raise EncodingError(f"{value!r:.40} is not Unicode text") from None
        elif kind in (list, tuple):
            self.out += (b"l" if kind is list else b"t") + _LENGTH.pack(len(value))
            for item in value:
                self.write(item, depth + 1)
        elif kind is dict:
            self.out += b"d" + _LENGTH.pack(len(value))
            for key, item in value.items():
                self.write(key, depth + 1)
                self.write(item, depth + 1)
        else:
            raise EncodingError(
                f"{value!r:.40} cannot be written: {kind.__name__} is no plain value"
            )

    def sized(self, tag: bytes, data: bytes) -> None:
        if len(self.out) + len(data) > MAX_BYTES:
            raise EncodingError(f"more than {MAX_BYTES} bytes")
        self.out += tag + _LENGTH.pack(len(data)) + data


_CONSTANTS: Final = {None: b"N", False: b"F", True: b"T"}


def _check(depth: int, values: int) -> None:
    if depth > MAX_DEPTH:
        raise EncodingError(f"values nested more than {MAX_DEPTH} deep")
    if values > MAX_VALUES:
        raise EncodingError(f"more than {MAX_VALUES} values")


def _shown(value: Any) -> str:
    """Return a value for an error's message: Python refuses to print very long integers."""
    try:
        return f"{value!r:.40}"
    except ValueError:
        return "a huge number"


def decode(data: bytes) -> Any:
    """Return the value that bytes hold.

    Raises
    ------
    EncodingError
        They are not exactly one value as `encode` writes it, or it is too big or too deep.
    """
    if len(data) > MAX_BYTES:
        raise EncodingError(f"more than {MAX_BYTES} bytes")
    reader = _Reader(data)
    value = reader.value(0)
    if reader.offset != len(data):
        raise EncodingError(f"{len(data) - reader.offset} bytes too many after a value")
    return value


class _Reader:
    """Goes through bytes once."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offset = 0
        self.values = 0

    def take(self, size: int) -> bytes:
        taken = self.data[self.offset : self.offset + size]
        if len(taken) != size:
            raise EncodingError(
                f"cut off at byte {len(self.data)}: {size - len(taken)} more wanted"
            )
        self.offset += size
        return taken

    def length(self) -> int:
        (length,) = _LENGTH.unpack(self.take(_LENGTH.size))
        assert isinstance(length, int)
        return length

    def value(self, depth: int) -> Any:
        self.values += 1
        _check(depth, self.values)
        tag = self.take(1)
        if tag in _KNOWN:
            return _KNOWN[tag]
        if tag == b"i":
            return self.integer()
        if tag == b"b":
            return self.take(self.length())
        if tag == b"s":
            try:
                return self.take(self.length()).decode()
            except UnicodeDecodeError:
                raise EncodingError(f"a text before byte {self.offset} is not UTF-8") from None
        if tag in (b"l", b"t"):
            items = [self.value(depth + 1) for _ in range(self.length())]
            return items if tag == b"l" else tuple(items)
        if tag == b"d":
            return self.dict(depth)
        raise EncodingError(f"byte {self.offset - 1}: no value begins with {tag!r}")

    def integer(self) -> int:
        size = self.length()
        value = int.from_bytes(self.take(size), "big", signed=True)
        if size != value.bit_length() // 8 + 1:
            raise EncodingError(
                f"an integer before byte {self.offset} is not as short as it can be"
            )
        return value

    def dict(self, depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for _ in range(self.length()):
            key = self.value(depth + 1)
            try:
                twice = key in found
            except TypeError:
                raise EncodingError(f"before byte {self.offset}: {_shown(key)} is no key") from None
            if twice:
                raise EncodingError(f"before byte {self.offset}: {_shown(key)} is there twice")
            found[key] = self.value(depth + 1)
        return found


_KNOWN: Final = {tag: value for value, tag in _CONSTANTS.items()}


# -- states


def encode_state(state: VmState) -> bytes:
    """Return a machine's state as bytes, with the pages of RAM that it has."""
    values = {field.name: getattr(state, field.name) for field in fields(VmState)}
    if isinstance(stop := state.stopped, Stop):
        values["stopped"] = (stop.reason.value, stop.detail, stop.index)
    return STATE_MAGIC + _VERSION.pack(STATE_VERSION) + encode(values)


def decode_state(data: bytes, shape: dict[str, Any] | None = None) -> VmState:
    """Return the state that bytes hold.

    Parameters
    ----------
    data
        What `encode_state` returned.
    shape
        What a state must have in common with a machine (`sdeiviz.machine.state.shape`); None to
        take any.

    Raises
    ------
    EncodingError
        The bytes are damaged.
    StateError
        It is no state, one of another version or of another machine.
    """
    start = len(STATE_MAGIC) + _VERSION.size
    if data[: len(STATE_MAGIC)] != STATE_MAGIC or len(data) < start:
        raise StateError("not the state of a machine: it does not begin as one")
    (version,) = _VERSION.unpack(data[len(STATE_MAGIC) : start])
    if version != STATE_VERSION:
        raise StateError(
            f"a state of version {version}; this sdeiviz reads version {STATE_VERSION}"
        )
    values = decode(data[start:])
    if not isinstance(values, dict) or values.keys() != _FIELDS.keys():
        raise StateError("the state of a machine with other parts")
    if shape is not None:
        check_shape(values["shape"], shape)
    values["stopped"] = _stop(values["stopped"])
    for name, kind in _FIELDS.items():
        if kind is not Any and not _is(values[name], kind):
            raise StateError(f"a state whose {name} is {_shown(values[name])}")
    for number, page in values["pages"].items():
        if type(number) is not int or number < 0 or type(page) is not bytes or len(page) != PAGE:
            raise StateError(f"a state whose page {_shown(number)} is no page")
    return VmState(**values)


_FIELDS: Final = get_type_hints(VmState)


def _is(value: Any, kind: Any) -> bool:
    """Tell whether a value has a type, as far as its outermost part goes."""
    if isinstance(kind, UnionType):
        return any(_is(value, each) for each in get_args(kind))
    return type(value) is (get_origin(kind) or kind)


def _stop(value: Any) -> Stop | None:
    if value is None:
        return None
    try:
        reason, detail, index = value
        if type(detail) is str and type(index) is int:
            return Stop(StopReason(reason), detail, index)
    except (TypeError, ValueError):
        pass
    raise StateError(f"a state that stopped for no known reason: {_shown(value)}")


def check_shape(theirs: Any, ours: dict[str, Any]) -> None:
    """Refuse a machine that has not all in common with this one that it must.

    Raises
    ------
    StateError
        It says what differs.
    """
    if theirs == ours:
        return
    if not isinstance(theirs, dict) or theirs.keys() != ours.keys():
        raise StateError("a machine that describes itself in other words than this one")
    differs = ", ".join(
        f"{name}: {_shown(theirs[name])}, here {ours[name]!r}"
        for name in ours
        if theirs[name] != ours[name]
    )
    raise StateError(f"a state of another machine ({differs})")


def restore(vm: VirtualMachine, state: VmState) -> None:
    """Put a machine into a state that came from outside, or leave it as it was.

    Pages of RAM that the state does not have stay as they are.

    Raises
    ------
    StateError
        It is a state of another machine, or one that no machine can be in.
    """
    check_shape(state.shape, vm_state.shape(vm))
    if any(number >= vm.memory.size >> PAGE_SHIFT for number in state.pages):
        raise StateError(f"a state with pages beyond {vm.memory.size:#x} bytes of RAM")
    before = vm_state.save(vm, state.pages)
    try:
        vm_state.load(vm, state)
    except _MISFIT as error:
        vm_state.load(vm, before)
        raise StateError(f"a state that no machine can be in ({error!r:.60})") from None


_MISFIT: Final = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError),
    *(struct.error, Error),
)
