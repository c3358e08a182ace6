"""The device tree: byte by byte, and as the device tree compiler and fdtget read it."""

import dataclasses
import shutil
import subprocess
from pathlib import Path

import pytest

from sdeiviz import Error
from sdeiviz.machine.devicetree import Node, Platform, device_tree, flatten, strings, u32, u64

ONE, EIGHT = (0,), tuple(range(8))
MACHINES = {
    "GICv2, 1 vCPU": Platform(gic=2, affinities=ONE),
    "GICv2, 8 vCPUs": Platform(gic=2, affinities=EIGHT),
    "GICv3, 1 vCPU": Platform(gic=3, affinities=ONE),
    "GICv3, 8 vCPUs": Platform(gic=3, affinities=EIGHT),
    "clusters": Platform(gic=3, affinities=(0, 1, 0x100, 0x1_0000, 0x1_0000_0000)),
    "everything": Platform(
        ram_size=1 << 33,
        psci="smc",
        sdei="smc",
        bootargs="console=ttyAMA0 quiet",
        initrd=(0x4800_0000, 0x4812_3457),
    ),
    "nothing": Platform(sdei=None, stdout=None),
}


def run(*command: str | Path) -> str:
    """What a tool prints; it has nothing to complain about."""
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


class Blob:
    """A blob in a file, for the tools to read."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path = path
        path.write_bytes(data)

    def source(self) -> str:
        """The tree as dtc writes it down, sorted."""
        return run("dtc", "-s", "-I", "dtb", "-O", "dts", self.path)

    def names(self, node: str) -> list[str]:
        """The names of a node's properties, or of its children."""
        return run("fdtget", "-p", self.path, node).split()

    def children(self, node: str) -> list[str]:
        return run("fdtget", "-l", self.path, node).split()

    def text(self, node: str, name: str) -> str:
        """A property's strings, with spaces between them."""
        return run("fdtget", "-t", "s", self.path, node, name).rstrip("\n")

    def cells(self, node: str, name: str) -> list[int]:
        return [int(cell, 16) for cell in run("fdtget", "-t", "x", self.path, node, name).split()]


def blob(platform: Platform, directory: Path) -> Blob:
    if not shutil.which("dtc") or not shutil.which("fdtget"):
        pytest.skip("no dtc and fdtget (Debian: apt install device-tree-compiler)")
    return Blob(directory / "machine.dtb", device_tree(platform))


# -- the format


def test_a_small_tree_byte_by_byte() -> None:
    tree: Node = {"child@1": {"reg": u32(1), "note": strings("ab")}, "empty": b"", "reg": u64(2)}
    structure = bytes.fromhex(
        "00000001 00000000"
        "00000003 00000000 00000000"
        "00000003 00000008 00000006 00000000 00000002"  # properties come before children
        "00000001 6368696c 64403100"
        "00000003 00000004 00000006 00000001"
        "00000003 00000003 0000000a 61620000"
        "00000002"
        "00000002"
        "00000009"
    )
    header = bytes.fromhex(
        "d00dfeed 000000a7 00000038 00000098 0000002800000011 00000010 00000000 0000000f 00000060"
    )
    assert flatten(tree) == header + bytes(16) + structure + b"empty\0reg\0note\0"


def test_the_empty_tree() -> None:
    assert flatten({}) == bytes.fromhex(
        "d00dfeed 00000048 00000038 00000048 00000028 00000011 00000010 00000000 00000000 00000010"
        "00000000 00000000 00000000 00000000 00000001 00000000 00000002 00000009"
    )


def test_values() -> None:
    assert u32(1, 0xFFFF_FFFF) == b"\0\0\0\1\xff\xff\xff\xff"
    assert u64(0x1_0000_0002) == b"\0\0\0\1\0\0\0\2"
    assert strings("hvc") == b"hvc\0"
    assert u32() == u64() == strings() == b""


@pytest.mark.parametrize("name", MACHINES)
def test_the_parts_follow_each_other_and_fill_the_blob(name: str) -> None:
    data = device_tree(MACHINES[name])
    words = [int.from_bytes(data[at : at + 4], "big") for at in range(0, 40, 4)]
    magic, total, structure, names, reservations, *versions, names_size, structure_size = words
    assert (magic, total, versions) == (0xD00DFEED, len(data), [17, 16, 0])
    assert (reservations, data[40:56], structure) == (40, bytes(16), 56)
    assert structure + structure_size == names
    assert names + names_size == total
    assert data[structure : structure + 8] == bytes.fromhex("0000000100000000")
    assert data[names - 8 : names] == bytes.fromhex("0000000200000009")
    assert data == device_tree(dataclasses.replace(MACHINES[name]))  # random in nothing


# -- what is refused


@pytest.mark.parametrize(
    ("platform", "message"),
    [
        (Platform(gic=4), "no GIC version 4: want 2 or 3"),  # type: ignore[arg-type]
        (Platform(affinities=()), "a GICv2 serves 1 to 8 vCPUs, not 0"),
        (Platform(affinities=tuple(range(9))), "a GICv2 serves 1 to 8 vCPUs, not 9"),
        (Platform(gic=3, affinities=tuple(range(124))), "a GICv3 serves 1 to 123 vCPUs, not 124"),
        (Platform(bootargs="a\0b"), r"bootargs 'a\x00b': want printable ASCII"),
        (Platform(bootargs="é"), "bootargs 'é': want printable ASCII"),
    ],
)
def test_what_cannot_be_described(platform: Platform, message: str) -> None:
    with pytest.raises(Error) as caught:
        device_tree(platform)
    assert str(caught.value) == message


# -- by other people's tools


@pytest.mark.parametrize("name", MACHINES)
def test_dtc_has_no_complaint_and_makes_the_same_tree_of_it(name: str, tmp_path: Path) -> None:
    ours = blob(MACHINES[name], tmp_path)
    source = tmp_path / "machine.dts"
    source.write_text(ours.source())
    again = tmp_path / "again.dtb"
    # Decompiled, a phandle is a mere number: the one thing that dtc has against such a source.
    run("dtc", "-W", "no-clocks_property", "-I", "dts", "-O", "dtb", "-o", again, source)
    assert Blob(again, again.read_bytes()).source() == source.read_text()


@pytest.mark.parametrize("affinities", [ONE, EIGHT], ids=["1 vCPU", "8 vCPUs"])
@pytest.mark.parametrize("gic", [2, 3])
def test_the_nodes_of_every_machine(gic: int, affinities: tuple[int, ...], tmp_path: Path) -> None:
    count = len(affinities)
    tree = blob(MACHINES[f"GICv{gic}, {count} vCPU{'s' * (count > 1)}"], tmp_path)
    assert set(tree.children("/")) == {
        "chosen", "memory@40000000", "cpus", "psci", "firmware", "timer", "intc@8000000",
        "apb-pclk", "pl011@9000000", "one-shot-timer@90d0000",
    }  # fmt: skip
    assert tree.cells("/", "#address-cells") == tree.cells("/", "#size-cells") == [2]
    assert tree.text("/", "compatible") == "linux,dummy-virt"
    assert tree.text("/", "model") == "sdeiviz"

    assert tree.text("/chosen", "stdout-path") == "/pl011@9000000"
    assert tree.cells("/chosen", "rng-seed") == [
        0x00010203, 0x04050607, 0x08090A0B, 0x0C0D0E0F, 0x10111213, 0x14151617, 0x18191A1B,
        0x1C1D1E1F,
    ]  # fmt: skip
    assert set(tree.names("/chosen")) == {"stdout-path", "rng-seed"}
    assert tree.text("/memory@40000000", "device_type") == "memory"
    assert tree.cells("/memory@40000000", "reg") == [0, 0x4000_0000, 0, 0x800_0000]

    assert tree.cells("/cpus", "#address-cells") == [2]
    assert tree.cells("/cpus", "#size-cells") == [0]
    assert tree.children("/cpus") == [f"cpu@{n}" for n in range(count)]
    for n in range(count):
        cpu = f"/cpus/cpu@{n}"
        assert tree.text(cpu, "device_type") == "cpu"
        assert tree.text(cpu, "compatible") == "arm,cortex-a72"
        assert tree.text(cpu, "enable-method") == "psci"
        assert tree.cells(cpu, "reg") == [0, n]

    assert tree.text("/psci", "compatible") == "arm,psci-1.0 arm,psci-0.2 arm,psci"
    assert tree.text("/psci", "method") == "hvc"
    assert tree.text("/firmware/sdei", "compatible") == "arm,sdei-1.0"
    assert tree.text("/firmware/sdei", "method") == "hvc"
    assert set(tree.names("/firmware/sdei")) == {"compatible", "method"}

    flags = {2: {1: 0x104, 8: 0xFF04}, 3: {1: 4, 8: 4}}[gic][count]
    assert tree.text("/timer", "compatible") == "arm,armv8-timer arm,armv7-timer"
    assert tree.cells("/timer", "interrupts") == [
        1, 13, flags, 1, 14, flags, 1, 11, flags, 1, 10, flags,
    ]  # fmt: skip
    assert "always-on" in tree.names("/timer")

    controller = "/intc@8000000"
    (phandle,) = tree.cells(controller, "phandle")
    assert tree.cells("/", "interrupt-parent") == [phandle]
    assert tree.cells(controller, "#interrupt-cells") == [3]
    assert "interrupt-controller" in tree.names(controller)
    distributor = [0, 0x0800_0000, 0, 0x1_0000]
    if gic == 2:
        assert tree.text(controller, "compatible") == "arm,cortex-a15-gic"
        assert tree.cells(controller, "reg") == [*distributor, 0, 0x0801_0000, 0, 0x1_0000]
    else:
        assert tree.text(controller, "compatible") == "arm,gic-v3"
        assert tree.cells(controller, "reg") == [*distributor, 0, 0x080A_0000, 0, 0x2_0000 * count]

    (clock,) = tree.cells("/apb-pclk", "phandle")
    assert clock != phandle
    assert tree.text("/apb-pclk", "compatible") == "fixed-clock"
    assert tree.cells("/apb-pclk", "clock-frequency") == [24_000_000]
    assert tree.cells("/apb-pclk", "#clock-cells") == [0]
    assert tree.text("/pl011@9000000", "compatible") == "arm,pl011 arm,primecell"
    assert tree.cells("/pl011@9000000", "reg") == [0, 0x0900_0000, 0, 0x1000]
    assert tree.cells("/pl011@9000000", "interrupts") == [0, 1, 4]
    assert tree.cells("/pl011@9000000", "clocks") == [clock, clock]
    assert tree.text("/pl011@9000000", "clock-names") == "uartclk apb_pclk"
    assert tree.text("/one-shot-timer@90d0000", "compatible") == "sdeiviz,one-shot-timer"
    assert tree.cells("/one-shot-timer@90d0000", "reg") == [0, 0x090D_0000, 0, 0x1000]


def test_affinities(tmp_path: Path) -> None:
    tree = blob(MACHINES["clusters"], tmp_path)
    cpus = ["cpu@0", "cpu@1", "cpu@100", "cpu@10000", "cpu@100000000"]
    assert tree.children("/cpus") == cpus
    reg = [tree.cells(f"/cpus/{cpu}", "reg") for cpu in cpus]
    assert reg == [[0, 0], [0, 1], [0, 0x100], [0, 0x1_0000], [1, 0]]


def test_what_may_be_there(tmp_path: Path) -> None:
    tree = blob(MACHINES["everything"], tmp_path)
    assert tree.cells("/memory@40000000", "reg") == [0, 0x4000_0000, 2, 0]
    assert tree.text("/psci", "method") == tree.text("/firmware/sdei", "method") == "smc"
    assert tree.text("/chosen", "bootargs") == "console=ttyAMA0 quiet"
    assert tree.cells("/chosen", "linux,initrd-start") == [0, 0x4800_0000]
    assert tree.cells("/chosen", "linux,initrd-end") == [0, 0x4812_3457]


def test_what_need_not_be_there(tmp_path: Path) -> None:
    tree = blob(MACHINES["nothing"], tmp_path)
    assert "firmware" not in tree.children("/")
    assert tree.names("/chosen") == ["rng-seed"]
