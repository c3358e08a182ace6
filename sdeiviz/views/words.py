"""Numbers, calls and answers in the words that every view uses.

Symbol names, source lines and console output come from the guest's file and from the guest. They
may hold anything, so each passes through `printable` before it is shown.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from sdeiviz.abi import apf, psci
from sdeiviz.abi.sdei import Call, Result, call_of
from sdeiviz.abi.smccc import MASK32, signed
from sdeiviz.sdei.table import State

Names = Mapping[int, str]
"""Symbol names by address."""

PAGE_SHIFT: Final = 12
"""Pages are of 4 KiB."""
_ENDLESS: Final = 120
_HIDDEN: Final = (
    # Controls; characters that change the direction of what follows, or that have no width.
    *range(0x20),
    *range(0x7F, 0xA0),
    *(0xAD, 0x61C, 0xFEFF),
    *range(0x200B, 0x2010),
    *range(0x2028, 0x202F),
    *range(0x2060, 0x2070),
    *range(0xD800, 0xE000),
)
_VISIBLE: Final = {
    code: chr(0x2400 + code) if code < 0x20 else "\N{REPLACEMENT CHARACTER}" for code in _HIDDEN
} | {0x7F: "\N{SYMBOL FOR DELETE}"}
_KEEP_LINES: Final = {
    code: sign for code, sign in _VISIBLE.items() if code not in (0x09, 0x0A, 0x0D)
}


def printable(text: str, limit: int = _ENDLESS) -> str:
    r"""Return one line of foreign text with everything visible and of bounded length.

    >>> printable("a\x1b[31mb")
    'a␛[31mb'
    """
    shown = text.translate(_VISIBLE)
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}\N{HORIZONTAL ELLIPSIS}"


def printable_lines(text: str) -> str:
    """Return foreign text of many lines: as long as it was, all but line ends and tabs visible."""
    return text.translate(_KEEP_LINES)


def digits(value: int) -> str:
    """Return a register's 16 digits.

    >>> digits(0x4008_0000)
    '0000000040080000'
    """
    return f"{value:016x}"


def number(value: int) -> str:
    """Return a small number as people say it, a larger one in hexadecimal.

    >>> number(7), number(0x4008_0000)
    ('7', '0x40080000')
    """
    return str(value) if value < 10 else f"{value:#x}"


def event(number: int) -> str:
    """Return an event's number as its definition gives it.

    >>> event(0), event(804), event(0x4040_0001)
    ('0', '804', '0x40400001')
    """
    return str(number) if number < 10_000 else f"{number:#x}"


def interrupt(intid: int) -> str:
    """Return an interrupt's kind and number.

    >>> interrupt(5), interrupt(27), interrupt(71)
    ('SGI 5', 'PPI 27', 'SPI 71')
    """
    return f"{'SGI' if intid < 16 else 'PPI' if intid < 32 else 'SPI'} {intid}"


def place(address: int, names: Names) -> str:
    """Return a symbol's name where one begins at an address, else the address."""
    return printable(names[address], 40) if names.get(address) else f"{address:#x}"


def duration(nanoseconds: int) -> str:
    """Return virtual time in a unit that keeps it short.

    >>> duration(37), duration(1_360), duration(2_000_000)
    ('37 ns', '1.36 µs', '2 ms')
    """
    for unit, size in (("s", 10**9), ("ms", 10**6), ("µs", 10**3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.2f}".rstrip("0").rstrip(".") + f" {unit}"
    return f"{nanoseconds} ns"


def page(gfn: int) -> str:
    """Return a guest page by its address.

    >>> page(0x48123)
    'page 0x48123000'
    """
    return f"page {gfn << PAGE_SHIFT:#x}"


def token(value: int) -> str:
    """Return what the guest knows a fault by: a counter above the vCPU's number.

    >>> token(0x3001), token(0xFFFF_FFFF)
    ('0x3001', 'all')
    """
    return "all" if value == apf.WAKE_ALL else f"{value:#x}"


def apportion(amounts: Sequence[int], units: int) -> list[int]:
    """Share out units in proportion to amounts; none is lost (largest remainder).

    >>> apportion([1, 1, 1], 100), apportion([0, 0], 100)
    ([34, 33, 33], [0, 0])
    """
    whole = sum(amounts)
    if not whole:
        return [0] * len(amounts)
    shares = [amount * units // whole for amount in amounts]
    by_remainder = sorted(range(len(amounts)), key=lambda n: -(amounts[n] * units % whole))
    for n in by_remainder[: units - sum(shares)]:
        shares[n] += 1
    return shares


def percentages(amounts: Sequence[int]) -> list[str]:
    """Return what parts amounts are of their sum; the percentages sum up to 100.

    >>> percentages([2, 1]), percentages([0])
    (['66.7 %', '33.3 %'], ['0 %'])
    """
    tenths = apportion(amounts, 1000)
    return [f"{part / 10:.1f} %" if part else "0 %" for part in tenths]


def count(amount: int, noun: str) -> str:
    """Return an amount with its noun.

    >>> count(1, "event"), count(2, "event")
    ('1 event', '2 events')
    """
    return f"{amount:,} {noun}{'' if amount == 1 else 's'}"


def function_name(function: int) -> str:
    """Return the name of the call a function identifier means.

    >>> function_name(0xC400_0021), function_name(0x8400_0008), function_name(5)
    ('EVENT_REGISTER', 'PSCI SYSTEM_OFF', 'call 0x5')
    """
    call = call_of(function)
    if call is not None:
        return f"SDEI_{call.name}" if call is Call.VERSION else call.name
    try:
        return f"PSCI {psci.Function(function).name.removesuffix('_64')}"
    except ValueError:
        return f"call {function & MASK32:#x}"


def apf_call(function: int, arguments: Sequence[int]) -> str:
    """Return a call for async page fault, "" where a function identifier means another.

    >>> apf_call(0x8600_0002, (4, 0x4010_0041, 0)), apf_call(0x8600_0042, (4, 0, 0))
    ('ASYNC_PF ENABLE(control=0x40100041)', 'ASYNC_PF IRQ_ACK()')
    """
    if function == apf.VENDOR_HYP_UID:
        return "VENDOR_HYP UID()"
    if function == apf.VENDOR_HYP_FEATURES:
        return "VENDOR_HYP FEATURES()"
    known = {apf.ASYNC_PF: tuple(apf.Call), apf.ASYNC_PF_IRQ_ONLY: apf.IRQ_ONLY_CALLS}
    if function not in known:
        return ""
    number, low, high = (argument & MASK32 for argument in arguments[:3])
    if number >= len(known[function]):
        return f"ASYNC_PF {number:#x}()"
    call = known[function][number]
    control = f"control={high << 32 | low:#x}" if call is apf.Call.ENABLE else ""
    return f"ASYNC_PF {call.name}({control})"


def apf_answer(result: int) -> str:
    """Return what x0 means after a call for async page fault.

    >>> apf_answer(0), apf_answer(0xFFFF_FFFF_FFFF_FFFE)
    ('0 SUCCESS', '-2 NOT_REQUIRED')
    """
    value = signed(result)
    return f"{value} {apf.Result(value).name}" if value in set(apf.Result) else f"{result:#x}"


def answer(call: Call | None, result: int, *, raw: bool = False) -> str:
    """Return what x0 means after a call.

    Parameters
    ----------
    call
        The SDEI call, None for another one.
    result
        x0, unsigned.
    raw
        It is a register's value, however much it looks like an error (EVENT_CONTEXT).

    Examples
    --------
    >>> answer(Call.EVENT_ENABLE, 0xFFFF_FFFF_FFFF_FFFD)
    '-3 DENIED'
    >>> answer(Call.EVENT_STATUS, 3)
    '3 enabled'
    """
    value = signed(result)
    if raw:
        return f"{result:#x}"
    if value < 0:
        name = next((r.name for r in (*Result, *psci.Result) if r == value), "")
        return f"{value} {name}".rstrip() if value > -100 else f"{result:#x}"
    if call is Call.VERSION:
        return f"{value >> 48 & 0x7FFF}.{value >> 32 & 0xFFFF}, vendor {value & MASK32:#x}"
    if call is Call.INTERRUPT_BIND:
        return event(value)
    if call is Call.EVENT_STATUS and value in set(State):
        return f"{value} {State(value).title}"
    if call is None or call in (
        Call.EVENT_STATUS,
        Call.EVENT_CONTEXT,
        Call.EVENT_GET_INFO,
        Call.FEATURES,
    ):
        return number(value)
    return "0 SUCCESS" if value == 0 else number(value)
