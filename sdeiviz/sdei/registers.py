"""The SDEI state of a vCPU as KVM's pseudo firmware registers: how it migrates (v7 patch 19).

There are ten of them, and they may be set in any order: whatever cannot have its effect yet is kept
until it can. An event that is enabled but not registered, or a context that nobody was interrupted
with, is such a thing.
"""

import errno
import os
import struct
from typing import Final

from sdeiviz.abi.kvm import SdeiRegister, register_size
from sdeiviz.errors import Error
from sdeiviz.sdei.delivery import Delivery
from sdeiviz.sdei.events import EVENTS, EventContext, EventHandler, SdeiVcpu, VcpuSdei
from sdeiviz.sdei.table import State

_ACTION: Final = "SET_ONE_REG"
_CONTEXT: Final = struct.Struct("<20Q")
_HANDLER: Final = struct.Struct("<2Q")
_EVENT_BITS: Final = (1 << len(EVENTS)) - 1

_HANDLERS: Final = (
    SdeiRegister.EVENT_HANDLER_0,
    SdeiRegister.EVENT_HANDLER_1,
    SdeiRegister.EVENT_HANDLER_2,
    SdeiRegister.EVENT_HANDLER_3,
)


class RegisterError(Error):
    """A register that cannot be read or set; ``errno`` holds what KVM answers."""

    def __init__(self, number: int, what: str) -> None:
        super().__init__(f"{what} ({errno.errorcode[number]}: {os.strerror(number)})")
        self.errno = number


def reg_list() -> tuple[int, ...]:
    """Return the identifiers of the registers in the order in which KVM lists them.

    >>> [hex(register) for register in reg_list()][:5:4]
    ['0x6040000000140004', '0x6030000000140008']
    """
    return tuple(map(int, SdeiRegister))


def get_one_reg(dispatcher: Delivery, vcpu: SdeiVcpu, register: int) -> bytes:
    """Read a register (KVM_GET_ONE_REG, `kvm_sdei_get_reg`).

    EVENT_CONTEXT reads as zero while no handler runs, where KVM still has the context of the last.

    Raises
    ------
    RegisterError
        ENOENT: there is no such register, or the profile has none.
    """
    known = _known(dispatcher, register)
    sdei = vcpu.sdei
    if known in _HANDLERS:
        handler = _handler(sdei, known)
        return _HANDLER.pack(handler.entry, handler.argument) if handler else bytes(16)
    if known is SdeiRegister.EVENT_CONTEXT:
        data = _CONTEXT.pack(*_context(sdei))
        return data.ljust(256, b"\0") if dispatcher.profile.whole_context_register else data
    return _value(sdei, known).to_bytes(8, "little")


def set_one_reg(dispatcher: Delivery, vcpu: SdeiVcpu, register: int, data: bytes) -> None:
    """Set a register (KVM_SET_ONE_REG, `kvm_sdei_set_reg`).

    Parameters
    ----------
    dispatcher
        The machine's.
    vcpu
        Whose register.
    register
        Its identifier.
    data
        Its value, little-endian; of EVENT_CONTEXT the first 160 bytes are enough.

    Raises
    ------
    RegisterError
        ENOENT as in `get_one_reg`; EFAULT: too few bytes; EINVAL: too many, or with
        `strict_register_values` a value that means nothing.
    """
    known = _known(dispatcher, register)
    strict = dispatcher.profile.strict_register_values
    sdei = vcpu.sdei
    size = register_size(known)
    if len(data) > size:
        raise RegisterError(errno.EINVAL, f"{known.name} has {size} bytes, not {len(data)}")
    if known in _HANDLERS:
        handler = _handler(sdei, known)
        if handler:
            handler.entry, handler.argument = _HANDLER.unpack(_enough(known, data, 16))
        elif strict and any(data):
            raise RegisterError(errno.EINVAL, f"{known.name} is reserved: it is zero")
    elif known is SdeiRegister.EVENT_CONTEXT:
        _set_context(sdei, _CONTEXT.unpack(_enough(known, data, 160)[:160]))
    else:
        value = int.from_bytes(_enough(known, data, 8), "little")
        if strict:
            _check(known, value)
        if known is SdeiRegister.PE_STATE:
            dispatcher.set_mask(vcpu, value != 0)
        elif known is SdeiRegister.EVENT_PENDING:
            for handler, bit in zip(_handlers(sdei), _bits(value), strict=True):
                handler.pending = bit
        else:
            _set_states(dispatcher, vcpu, known, value)
        asks = known in (SdeiRegister.PE_STATE, SdeiRegister.EVENT_PENDING)
        if asks and not sdei.masked and _value(sdei, SdeiRegister.EVENT_PENDING):
            sdei.requested = True


def _known(dispatcher: Delivery, register: int) -> SdeiRegister:
    if dispatcher.profile.migration_registers and register in reg_list():
        return SdeiRegister(register)
    raise RegisterError(errno.ENOENT, f"no SDEI register {register:#x}")


def _enough(register: SdeiRegister, data: bytes, size: int) -> bytes:
    if len(data) < size:
        raise RegisterError(
            errno.EFAULT, f"{register.name} is read from {size} bytes; {len(data)} are there"
        )
    return data


def _check(register: SdeiRegister, value: int) -> None:
    """Refuse what means nothing, as reviewers of the series asked for (D5)."""
    if register is SdeiRegister.PE_STATE:
        good = value <= 1
    else:
        good = not value & ~_EVENT_BITS
    if register is SdeiRegister.EVENT_RUNNING and value.bit_count() > 1:
        good = False
    if not good:
        raise RegisterError(errno.EINVAL, f"{register.name} cannot be {value:#x}")


def _handlers(sdei: VcpuSdei) -> list[EventHandler]:
    return [sdei.handlers[event] for event in EVENTS]


def _handler(sdei: VcpuSdei, register: SdeiRegister) -> EventHandler | None:
    number = _HANDLERS.index(register)
    return sdei.handlers[number] if number in EVENTS else None


def _bits(value: int) -> list[bool]:
    """Return a bit for each event; what is above them is nobody's."""
    return [bool(value >> event & 1) for event in EVENTS]


def _value(sdei: VcpuSdei, register: SdeiRegister) -> int:
    """Return the value of a register of 64 bits."""
    if register is SdeiRegister.PE_STATE:
        return int(sdei.masked)
    value = sdei.early_enabled if register is SdeiRegister.EVENT_ENABLED else 0
    for handler in _handlers(sdei):
        bit = {
            SdeiRegister.EVENT_REGISTERED: handler.state & 1,
            SdeiRegister.EVENT_ENABLED: handler.state >> 1 & 1,
            SdeiRegister.EVENT_RUNNING: handler.state >> 2,
            SdeiRegister.EVENT_PENDING: int(handler.pending),
        }[register]
        value |= bit << handler.event
    return value


def _set_states(dispatcher: Delivery, vcpu: SdeiVcpu, register: SdeiRegister, value: int) -> None:
    """Set one of the three bits of the events' states; enabled counts once registered."""
    sdei = vcpu.sdei
    if register is SdeiRegister.EVENT_RUNNING:
        context = _context(sdei)
    for handler, bit in zip(_handlers(sdei), _bits(value), strict=True):
        registered, running = handler.state & 1, handler.state >> 2
        enabled = (handler.state >> 1 | sdei.early_enabled >> handler.event) & 1
        if register is SdeiRegister.EVENT_REGISTERED:
            registered = int(bit)
        elif register is SdeiRegister.EVENT_ENABLED:
            enabled = int(bit)
        else:
            running = int(bit)
        sdei.early_enabled &= ~(1 << handler.event)
        if enabled and not registered:
            sdei.early_enabled |= 1 << handler.event
        after = State(running << 2 | (enabled & registered) << 1 | registered)
        if after is not handler.state:
            change = (handler.event, _ACTION, handler.state, after)
            dispatcher.emit(("HandlerStateChanged", vcpu.number, *change))
            handler.state = after
    if register is SdeiRegister.EVENT_RUNNING:
        # Of two that run, which cannot be, the one with the lower number completes first.
        running_events = [event for event in reversed(EVENTS) if sdei.handlers[event].state & 4]
        sdei.contexts = [EventContext(event, 0, 0, bytes(144)) for event in running_events]
        _set_context(sdei, context)


def _context(sdei: VcpuSdei) -> tuple[int, ...]:
    if sdei.contexts:
        context = sdei.contexts[-1]
        return (context.pc, context.pstate, *context.x)
    return sdei.early_context or (0,) * 20


def _set_context(sdei: VcpuSdei, values: tuple[int, ...]) -> None:
    """Set the interrupted context of the running handler, or of the one that will be."""
    pc, pstate, *x = values
    for context in sdei.contexts:
        context.pc, context.pstate = pc, pstate
        context.registers = struct.pack("<18Q", *x)
    sdei.early_context = () if sdei.contexts or not any(values) else values
