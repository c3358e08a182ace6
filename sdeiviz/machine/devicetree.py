"""The device tree: how a guest that asks nobody finds out which machine it is on.

A tree is written as nested dictionaries, in which bytes are a property and a dictionary is a child,
and flattened as the Devicetree Specification v0.4 has it in chapter 5. What is in it follows the
bindings that the Linux kernel documents, and QEMU's `virt` for names and addresses.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from sdeiviz.errors import Error
from sdeiviz.machine import gicv2, gicv3, oneshot, uart
from sdeiviz.machine.gic import GICD_BASE, GICD_SIZE
from sdeiviz.machine.memory import DEFAULT_SIZE, RAM_BASE

Conduit = Literal["hvc", "smc"]
Node = Mapping[str, "bytes | Node"]
"""What a node consists of, by name."""

_MOST_PES: Final = {2: gicv2.MOST_PES, 3: gicv3.FIRST_REGION_PES}
"""By GIC version: what a GICv2 can address; how many redistributors fit below the UART."""

CLOCK_FREQUENCY: Final = 24_000_000
"""Of the clock that the UART is given, in Hz, as `virt` has it."""

# An interrupt takes three cells: kind, number, trigger (Linux binding arm,gic).
_SPI, _PPI = 0, 1
_LEVEL_HIGH: Final = 4
_TIMER_PPIS: Final = (13, 14, 11, 10)
"""Secure and non-secure physical, virtual and hypervisor timer: the binding's order."""
_UART_SPI: Final = 1

_INTERRUPT_CONTROLLER, _CLOCK = 1, 2
"""Phandles: how one node names another."""

_RNG_SEED: Final = bytes(range(32))
"""The same at each boot: a guest's randomness is part of what a run repeats."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What of a machine its device tree tells."""

    affinities: tuple[int, ...] = (0,)
    """Affinity of each vCPU: Aff3 and Aff2 to Aff0 of MPIDR_EL1, without its flag bits."""
    ram_base: int = RAM_BASE
    ram_size: int = DEFAULT_SIZE
    """In bytes."""
    gic: Literal[2, 3] = 2
    """Version of the interrupt controller."""
    psci: Conduit = "hvc"
    sdei: Conduit | None = "hvc"
    """How to call SDEI; None where the machine hides it."""
    bootargs: str | None = None
    """The kernel's command line."""
    initrd: tuple[int, int] | None = None
    """First address of the initial RAM disk, and the one after its last."""
    stdout: str | None = f"/pl011@{uart.BASE:x}"
    """Path of the node that is the console, or None for no answer."""


def device_tree(platform: Platform) -> bytes:
    """Return the flattened device tree of a machine.

    Parameters
    ----------
    platform
        The machine.

    Returns
    -------
    bytes
        The whole blob; a guest wants it at a multiple of eight bytes, its address in x0.

    Raises
    ------
    sdeiviz.Error
        No such GIC, one that cannot serve as many vCPUs, or a command line that is not plain text.

    Examples
    --------
    >>> device_tree(Platform())[:4].hex()
    'd00dfeed'
    """
    _check(platform)
    root: dict[str, bytes | Node] = {
        "#address-cells": u32(2),
        "#size-cells": u32(2),
        "interrupt-parent": u32(_INTERRUPT_CONTROLLER),
        "compatible": strings("linux,dummy-virt"),
        "model": strings("sdeiviz"),
        "chosen": _chosen(platform),
        f"memory@{platform.ram_base:x}": {
            "device_type": strings("memory"),
            "reg": u64(platform.ram_base, platform.ram_size),
        },
        "cpus": _cpus(platform),
        "psci": {
            "compatible": strings("arm,psci-1.0", "arm,psci-0.2", "arm,psci"),
            "method": strings(platform.psci),
        },
        "timer": {
            "compatible": strings("arm,armv8-timer", "arm,armv7-timer"),
            "interrupts": b"".join(_ppi(platform, number) for number in _TIMER_PPIS),
            "always-on": b"",
        },
        f"intc@{GICD_BASE:x}": _interrupt_controller(platform),
        "apb-pclk": {
            "compatible": strings("fixed-clock"),
            "#clock-cells": u32(0),
            "clock-frequency": u32(CLOCK_FREQUENCY),
            "clock-output-names": strings("clk24mhz"),
            "phandle": u32(_CLOCK),
        },
        f"pl011@{uart.BASE:x}": {
            "compatible": strings("arm,pl011", "arm,primecell"),
            "reg": u64(uart.BASE, uart.SIZE),
            "interrupts": u32(_SPI, _UART_SPI, _LEVEL_HIGH),
            "clocks": u32(_CLOCK, _CLOCK),
            "clock-names": strings("uartclk", "apb_pclk"),
        },
        f"one-shot-timer@{oneshot.BASE:x}": {
            "compatible": strings("sdeiviz,one-shot-timer"),
            "reg": u64(oneshot.BASE, oneshot.SIZE),
        },
    }
    if platform.sdei:
        # The same for every 1.x: SDEI_VERSION tells which (Linux binding arm,sdei).
        sdei = {"compatible": strings("arm,sdei-1.0"), "method": strings(platform.sdei)}
        root["firmware"] = {"sdei": sdei}
    return flatten(root)


def _check(platform: Platform) -> None:
    most, count = _MOST_PES.get(platform.gic), len(platform.affinities)
    if most is None:
        raise Error(f"no GIC version {platform.gic}: want 2 or 3")
    if not 1 <= count <= most:
        raise Error(f"a GICv{platform.gic} serves 1 to {most} vCPUs, not {count}")
    bootargs = platform.bootargs or ""
    if not bootargs.isascii() or not bootargs.isprintable():
        raise Error(f"bootargs {bootargs!r:.40}: want printable ASCII")


def _chosen(platform: Platform) -> Node:
    chosen = {"rng-seed": _RNG_SEED}
    if platform.stdout is not None:
        chosen["stdout-path"] = strings(platform.stdout)
    if platform.bootargs is not None:
        chosen["bootargs"] = strings(platform.bootargs)
    if platform.initrd is not None:
        start, end = platform.initrd
        chosen |= {"linux,initrd-start": u64(start), "linux,initrd-end": u64(end)}
    return chosen


def _cpus(platform: Platform) -> Node:
    cpus = {
        f"cpu@{affinity:x}": {
            "device_type": strings("cpu"),
            "compatible": strings("arm,cortex-a72"),
            "reg": u64(affinity),
            "enable-method": strings("psci"),
        }
        for affinity in platform.affinities
    }
    return {"#address-cells": u32(2), "#size-cells": u32(0), **cpus}


def _interrupt_controller(platform: Platform) -> Node:
    if platform.gic == 2:
        compatible, second, size = "arm,cortex-a15-gic", gicv2.GICC_BASE, gicv2.GICC_SIZE
    else:
        compatible, second = "arm,gic-v3", gicv3.GICR_BASE
        size = gicv3.GICR_STRIDE * len(platform.affinities)
    return {
        "compatible": strings(compatible),
        "reg": u64(GICD_BASE, GICD_SIZE, second, size),
        "#interrupt-cells": u32(3),
        "#address-cells": u32(0),
        "interrupt-controller": b"",
        "phandle": u32(_INTERRUPT_CONTROLLER),
    }


def _ppi(platform: Platform, number: int) -> bytes:
    """Each PE's own interrupt; for a GICv2 the binding adds which PEs have it, from bit 8."""
    pes = (1 << len(platform.affinities)) - 1 if platform.gic == 2 else 0
    return u32(_PPI, number, pes << 8 | _LEVEL_HIGH)


# -- values of properties (Devicetree Specification v0.4, 2.2.4)


def u32(*values: int) -> bytes:
    """Return cells.

    >>> u32(1, 2).hex(" ", 4)
    '00000001 00000002'
    """
    return struct.pack(f">{len(values)}I", *values)


def u64(*values: int) -> bytes:
    """Return numbers of two cells each.

    >>> u64(0x4000_0000).hex(" ", 4)
    '00000000 40000000'
    """
    return struct.pack(f">{len(values)}Q", *values)


def strings(*texts: str) -> bytes:
    r"""Return a list of strings, each with its zero byte.

    >>> strings("arm,pl011", "arm,primecell")
    b'arm,pl011\x00arm,primecell\x00'
    """
    return b"".join(text.encode() + b"\0" for text in texts)


# -- the flattened format (chapter 5)

_MAGIC: Final = 0xD00D_FEED
_VERSION, _LAST_COMPATIBLE = 17, 16
_BEGIN_NODE, _END_NODE, _PROPERTY, _END = 1, 2, 3, 9
_HEADER_SIZE: Final = 40
_NO_RESERVATIONS: Final = u64(0, 0)
"""The entry that ends the memory reservation block, here its only one."""


def flatten(root: Node) -> bytes:
    """Write a tree in the flattened format.

    Parameters
    ----------
    root
        The root node.
    """
    offsets: dict[str, int] = {}
    names = bytearray()

    def offset_of(name: str) -> int:
        if name not in offsets:
            offsets[name] = len(names)
            names.extend(strings(name))
        return offsets[name]

    def node(name: str, content: Node) -> bytes:
        properties = b"".join(
            u32(_PROPERTY, len(value), offset_of(key)) + _padded(value)
            for key, value in content.items()
            if isinstance(value, bytes)
        )
        children = b"".join(
            node(key, value) for key, value in content.items() if not isinstance(value, bytes)
        )
        return u32(_BEGIN_NODE) + _padded(strings(name)) + properties + children + u32(_END_NODE)

    structure = node("", root) + u32(_END)
    at_structure = _HEADER_SIZE + len(_NO_RESERVATIONS)
    at_names = at_structure + len(structure)
    header = u32(
        _MAGIC,
        at_names + len(names),
        at_structure,
        at_names,
        _HEADER_SIZE,  # where the reservations are
        _VERSION,
        _LAST_COMPATIBLE,
        0,  # boot_cpuid_phys: the first vCPU boots
        len(names),
        len(structure),
    )
    return header + _NO_RESERVATIONS + structure + bytes(names)


def _padded(data: bytes) -> bytes:
    """Fill up to a multiple of four bytes."""
    return data + bytes(-len(data) % 4)
