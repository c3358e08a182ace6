"""The PL011 as a guest meets it: every register, every width, every form of load and store."""

import re

import pytest

from sdeiviz import Session, VirtualMachine
from sdeiviz.abi import esr
from sdeiviz.machine import StopReason
from sdeiviz.machine.uart import Pl011
from sdeiviz.trace import Console, ExceptionTaken, ExternalAbort
from tests.machine.guest import EL1_WRITES, PXN, UART, Guest, everything, guest
from tests.machine.machines import SMP

ALL_ONES = (1 << 64) - 1


def run(code: str, **registers: int) -> VirtualMachine:
    """Run a few instructions with x1 at the UART and the registers given; then power off.

    An access goes two ways to the device: where it is stepped to, and in a free run.
    """
    made = guest(code + "\n end: off\n")
    stepped, free = made.vm(), made.vm()
    for vm in (stepped, free):
        vm.vcpus[0].x[1] = UART
        for name, value in registers.items():
            vm.vcpus[0].write_register(name, value)
    while stepped.vcpus[0].pc != made["end"] and not stepped.stopped:
        assert stepped.run(1).reason == "budget"
    free.vcpus[0].core.breakpoints = (made["end"],)
    free.run(1000)
    assert everything(free) == everything(stepped)
    return stepped


def read(code: str, **registers: int) -> int:
    """Return x0 after a load into it, which had all ones."""
    return run(code, x0=ALL_ONES, **registers).vcpus[0].x[0]


# Offset, value at reset, and the bits that keep what is written (Arm DDI0183, table 3-1).
CONTROL = {
    "IBRD": (0x24, 0, 0xFFFF),
    "FBRD": (0x28, 0, 0x3F),
    "LCR_H": (0x2C, 0, 0xFF),
    "CR": (0x30, 0x300, 0xFFFF),
    "IFLS": (0x34, 0x12, 0x3F),
    "IMSC": (0x38, 0, 0x7FF),
}
READ_ONLY = {
    "DR": (0x00, 0),
    "FR, nothing to read and room to write": (0x18, 0x90),
    "RIS": (0x3C, 0),
    "MIS": (0x40, 0),
    "PeriphID0": (0xFE0, 0x11),
    "PeriphID1": (0xFE4, 0x10),
    "PeriphID2": (0xFE8, 0x14),
    "PeriphID3": (0xFEC, 0x00),
    "PCellID0": (0xFF0, 0x0D),
    "PCellID1": (0xFF4, 0xF0),
    "PCellID2": (0xFF8, 0x05),
    "PCellID3": (0xFFC, 0xB1),
    "a hole": (0x48, 0),
    "between two registers": (0xFF1, 0),
}


@pytest.mark.parametrize(("offset", "value"), READ_ONLY.values(), ids=READ_ONLY)
def test_registers_to_read(offset: int, value: int) -> None:
    for load in ("ldr w0", "ldrh w0", "ldrb w0"):
        assert read(f"add x2, x1, #{offset:#x}\n {load}, [x2]") == value


@pytest.mark.parametrize(("offset", "reset", "bits"), CONTROL.values(), ids=CONTROL)
def test_control_registers_keep_the_bits_that_exist(offset: int, reset: int, bits: int) -> None:
    assert read(f"ldr w0, [x1, #{offset}]") == reset
    value = 0xFFFF_FFFF_A5C3_9669
    store = f"str w2, [x1, #{offset}]\n"
    assert read(f"{store} ldr w0, [x1, #{offset}]", x2=value) == value & bits
    assert read(f"{store} ldrh w0, [x1, #{offset}]", x2=value) == value & bits & 0xFFFF
    assert read(f"{store} ldrb w0, [x1, #{offset}]", x2=value) == value & bits & 0xFF
    # A store is as wide as it says: the rest of its register does not come along.
    assert read(f"strb w2, [x1, #{offset}]\n ldr w0, [x1, #{offset}]", x2=value) == 0x69 & bits
    assert read(f"strh w2, [x1, #{offset}]\n ldr w0, [x1, #{offset}]", x2=value) == 0x9669 & bits


def test_writes_to_what_is_read_only_do_nothing() -> None:
    vm = run("mov w2, #0x7f\n str w2, [x1, #0x18]\n str w2, [x1, #0x44]\n str w2, [x1, #0xfe0]")
    assert (vm.console, vm.save().uart) == ("", run("nop").save().uart)


# PCellID1 reads 0xF0, so sign extension shows; the identification's top byte is 0xB1.
SIGNED = {
    "ldrsb w0": 0x0000_0000_FFFF_FFF0,
    "ldrsb x0": 0xFFFF_FFFF_FFFF_FFF0,
    "ldrsh w0": 0xF0,
    "ldrsh x0": 0xF0,
    "ldrsw x0": 0xF0,
    "ldursb x0": 0xFFFF_FFFF_FFFF_FFF0,
    "ldrb w0": 0xF0,
    "ldur w0": 0xF0,
    "ldtrsb x0": 0xFFFF_FFFF_FFFF_FFF0,
    "ldarb w0": 0xF0,
    "ldar w0": 0xF0,
}


@pytest.mark.parametrize("load", SIGNED)
def test_loads_that_extend_the_sign(load: str) -> None:
    assert read(f"add x2, x1, #0xff4\n {load}, [x2]") == SIGNED[load]


@pytest.mark.parametrize(
    ("load", "value"), [("ldrsh w0", 0xFFFF_8001), ("ldrsh x0", ALL_ONES - 0x7FFE)]
)
def test_sixteen_bits_that_extend_the_sign(load: str, value: int) -> None:
    assert read(f"str w2, [x1, #0x24]\n {load}, [x1, #0x24]", x2=0x8001) == value


# Base before, base after (both relative to the UART), and which register that is.
WRITE_BACK = {
    "ldr w0, [x2, #4]!": (0xFE0, 0xFE4),
    "ldr w0, [x2, #-8]!": (0xFEC, 0xFE4),
    "ldr w0, [x2], #255": (0xFE4, 0xFE4 + 255),
    "ldr w0, [x2], #-256": (0xFE4, 0xEE4),
    "ldrb w0, [x2], #1": (0xFE4, 0xFE5),
    "ldrsb x0, [x2, #1]!": (0xFE3, 0xFE4),
    "ldrh w0, [x2], #2": (0xFE4, 0xFE6),
    "ldur w0, [x2, #4]": (0xFE0, 0xFE0),
    "ldr w0, [x2, x3]": (0xFE0, 0xFE0),
    "ldr w0, [x2, w3, uxtw]": (0xFE0, 0xFE0),
    "ldtr w0, [x2, #4]": (0xFE0, 0xFE0),
}


@pytest.mark.parametrize("base", ["x2", "sp"])
@pytest.mark.parametrize("load", WRITE_BACK)
def test_the_base_is_written_back_or_not(load: str, base: str) -> None:
    before, after = WRITE_BACK[load]
    vm = run(load.replace("x2", base), **{base: UART + before}, x3=4)
    vcpu = vm.vcpus[0]
    assert vcpu.x[0] == 0x10  # PeriphID1
    assert (vcpu.sp if base == "sp" else vcpu.x[2]) == UART + after
    assert (vcpu.x[3], vm.index) == (4, 1)


def test_the_base_of_a_store_is_written_back() -> None:
    vm = run("strb w0, [x2], #1\n strb w0, [sp, #-1]!", x0=0x41, x2=UART, sp=UART + 1)
    assert (vm.console, vm.vcpus[0].x[2], vm.vcpus[0].sp) == ("AA", UART + 1, UART)


def test_el1t_writes_back_the_stack_pointer_it_uses() -> None:
    vm = run("msr spsel, #0\n mov sp, x1\n strb w0, [sp], #1\n msr spsel, #1", x0=0x42, sp=0x1000)
    assert (vm.console, vm.vcpus[0].core["sp_el0"], vm.vcpus[0].sp) == ("B", UART + 1, 0x1000)


def test_a_base_that_wraps_around() -> None:
    """Only by a register offset can a base be far from the UART; post-index adds to the base."""
    assert run("ldr w0, [x2], #-1", x2=UART).vcpus[0].x[2] == UART - 1


def test_the_zero_register() -> None:
    vm = run("strb wzr, [x1]\n str wzr, [x1, #0x24]\n ldr wzr, [x1, #0x30]", x30=7)
    assert vm.uart.output == b"\0"
    assert (vm.vcpus[0].x[30], vm.vcpus[0].sp, vm.index) == (7, 0, 3)


def test_a_read_into_the_zero_register_takes_the_character() -> None:
    made = guest("ldr wzr, [x1]\n ldrb w2, [x1]\n ldr w3, [x1, #0x18]\n off")
    vm = made.vm()
    vm.send_console("xyz")
    vm.vcpus[0].x[1] = UART
    vm.run(2)
    assert vm.vcpus[0].x[2] == ord("y")
    vm.run(1)
    assert vm.vcpus[0].x[3] == 0x80  # RX is not empty
    assert vm.save().uart["input"] == b"z"


def test_every_general_register_can_be_the_one() -> None:
    for n in range(31):
        base = "x1" if n != 1 else "x2"
        registers = {"x2": UART} if n == 1 else {}
        code = f"strb w{n}, [{base}]\n ldr w{n}, [{base}, #0x30]"
        registers |= {f"x{n}": 0xFFFF_0041} if n != 1 else {"x1": 0xFFFF_0041}
        vm = run(code, **registers)
        assert (vm.console, vm.vcpus[0].x[n]) == ("A", 0x300)


# -- refused: an external abort to the guest, and an event that says why

REFUSED = {
    "ldr x0, [x1]": ("32 bits", 0x9600_0010),
    "str x0, [x1]": ("32 bits", 0x9600_0050),
    "ldp w0, w2, [x1]": ("single", 0x9600_0010),
    "stp w0, w2, [x1]": ("single", 0x9600_0050),
    "ldxr w0, [x1]": ("single", 0x9600_0010),
    "ldr d0, [x1]": ("single", 0x9600_0010),
    "str q0, [x1]": ("single", 0x9600_0050),
    "dc zva, x1": ("single", 0x9600_0050),
}
NOWHERE = {
    "no device": 0x0700_0000,
    "after the UART": 0x0900_1000,
    "before RAM": 0x3FFF_FFFC,
    "after RAM": 0x4010_0000,
    "where our tables are": 0x40_0000_0000,
    "beyond the tables' reach": 0x100_0000_0000,
}


def aborting(code: str) -> Guest:
    return guest(f"""
        ldr x9, =vectors
        msr vbar_el1, x9
        nop
    spot:
        {code}
        nop
        all_vectors handler
    handler:
        off
    """)


def abort(code: str, **registers: int) -> tuple[Guest, VirtualMachine, list[object]]:
    made = aborting(code)
    vm = made.vm()
    vm.vcpus[0].x[1] = UART
    for name, value in registers.items():
        vm.vcpus[0].write_register(name, value)
    assert vm.run(100).reason == "power-off"
    return made, vm, [e for e in vm.trace if isinstance(e, ExternalAbort | ExceptionTaken)]


@pytest.mark.parametrize("code", REFUSED)
def test_what_a_device_refuses(code: str) -> None:
    why, syndrome = REFUSED[code]
    made, vm, events = abort(code, cpacr_el1=3 << 20)
    spot = made["spot"]
    refused, taken = events
    assert isinstance(refused, ExternalAbort)
    assert (refused.index, refused.pc, refused.ipa) == (4, spot, UART)
    assert refused.write is bool(syndrome & 0x40)
    assert why in refused.reason
    vector = made["vectors"] + 0x200
    assert taken == ExceptionTaken(4, 4, 0, vector, syndrome, UART, spot, 0x3C5)
    assert (vm.console, vm.vcpus[0].x[1], vm.vcpus[0].x[0]) == ("", UART, 0x8400_0008)


@pytest.mark.parametrize("write", [False, True], ids=["load", "store"])
@pytest.mark.parametrize("address", NOWHERE.values(), ids=NOWHERE)
def test_where_nothing_is(address: int, write: bool) -> None:
    # The abort comes before the write-back.
    code = f"{'str' if write else 'ldr'} w0, [x1], #4"
    made, vm, events = abort(code, x1=address)
    spot, vector = made["spot"], made["vectors"] + 0x200
    assert events == [
        ExternalAbort(4, 4, 0, spot, address, write, "nothing is there"),
        ExceptionTaken(
            4, 4, 0, vector, 0x9600_0050 if write else 0x9600_0010, address, spot, 0x3C5
        ),
    ]
    assert vm.vcpus[0].x[1] == address


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        (UART, "a device holds no instructions"),
        (0x0700_0000, "nothing is there"),
        (0x0800_0000, "a device holds no instructions"),
        (0x4010_0000, "nothing is there"),
    ],
)
def test_instructions_are_fetched_from_ram_only(address: int, reason: str) -> None:
    made, _, events = abort("br x1", x1=address)
    vector = made["vectors"] + 0x200
    assert events == [
        ExternalAbort(5, 5, 0, address, address, False, reason),
        ExceptionTaken(5, 5, 0, vector, 0x8600_0010, address, address, 0x3C5),
    ]


@pytest.mark.parametrize(
    ("code", "syndrome"),
    [
        ("ldr w0, [x1]", 0x9200_0010),
        ("strb w0, [x1]", 0x9200_0050),
        ("br x1", 0x8200_0010),
    ],
)
def test_from_el0_it_is_an_abort_from_a_lower_level(code: str, syndrome: int) -> None:
    made = guest(f"""
        ldr x9, =vectors
        msr vbar_el1, x9
        enter 0x40000000, spot
    spot:
        {code}
        all_vectors handler
    handler:
        off
    """)
    vm = made.vm()
    vm.vcpus[0].x[1] = 0x0A00_0000
    vm.run()
    taken = [e for e in vm.trace if isinstance(e, ExceptionTaken)]
    assert [(e.syndrome, e.address, e.pstate) for e in taken] == [
        (syndrome, 0x0A00_0000, 0x4000_0000)
    ]
    assert taken[0].vector == made["vectors"] + 0x400
    assert vm.vcpus[0].core["far_el1"] == 0x0A00_0000


def test_el0_may_use_the_uart_where_stage_1_lets_it() -> None:
    made = guest("""
        ldr x9, =vectors
        msr vbar_el1, x9
        enter 0, user
    user:
        mov w0, #'u'
        strb w0, [x1]
        ldrsb x2, [x1, #0xff4]
        svc #0
        all_vectors handler
    handler:
        off
    """)
    vm = made.vm()
    vm.vcpus[0].x[1] = UART
    vm.run()
    assert (vm.console, vm.vcpus[0].x[2]) == ("u", ALL_ONES - 15)


@pytest.mark.parametrize("clock", ["native", "python"])
@pytest.mark.parametrize("step", [1, 1000])
def test_the_base_is_written_back_where_code_can_be_executed_and_not_read(
    clock: str, step: int
) -> None:
    made = guest("""
        ldr x9, =vectors
        msr vbar_el1, x9
        ldr x2, =UART + 0xfe0
        mmu_on
        enter 0, user
        all_vectors end
    end:
        off
        .align 12
    user:
        ldr w3, [x2, #4]!
        ldr w4, [x2], #8
        svc #0
    """)
    vm = made.vm({made["user"]: EL1_WRITES | PXN}, clock=clock)
    while not vm.stopped:
        vm.run(step)
    assert [*vm.vcpus[0].x[2:5]] == [UART + 0xFEC, 0x10, 0x10]
    taken = [e for e in vm.trace if isinstance(e, ExceptionTaken)]
    assert [e.syndrome >> 26 for e in taken] == [esr.Class.SVC]


def test_a_table_walk_that_leads_nowhere() -> None:
    """The abort names the table's page, and the level of the walk (status 0b0101LL)."""
    made = guest("""
        ldr x9, =vectors
        msr vbar_el1, x9
        mmu_on
        nop
        all_vectors handler
    handler:
        off
    """)
    vm = made.vm({})
    # The level-2 table would be in the UART.
    level1 = 0x400F_0000
    vm.memory[level1 + 8 : level1 + 16] = (UART | 0b11).to_bytes(8, "little")
    assert vm.run(100).reason == "vector"
    aborts = [e for e in vm.trace if isinstance(e, ExternalAbort)]
    assert [(e.ipa, e.reason) for e in aborts] == [(UART, "no translation table can be there")] * 2
    taken = [e for e in vm.trace if isinstance(e, ExceptionTaken)]
    assert [hex(e.syndrome) for e in taken] == ["0x86000016"] * 2


# -- the console

TYPING = """
    ldr x1, =UART
    ldr x2, =text
1:  ldrb w3, [x2], #1
    cbz w3, 2f
    strb w3, [x1]
    b 1b
2:  str w3, [x1, #0x24]
    off
text:
    .asciz "one\\n\\ntwo\\r\\nhalf"
"""


def test_lines_in_the_trace_and_bytes_as_they_come() -> None:
    vm = guest(TYPING).vm()
    heard = bytearray()
    vm.on_output = heard.append
    vm.run()
    assert heard == b"one\n\ntwo\r\nhalf"
    assert vm.console == heard.decode()
    lines = [e for e in vm.trace if isinstance(e, Console)]
    assert [e.text for e in lines] == ["one", "", "two", "half"]
    # Two instructions, then four a character: the third is the store, which ends here.
    assert [e.index for e in lines[:3]] == [2 + 4 * n + 3 for n in (3, 4, 9)]
    assert lines[3].index == vm.index


def test_a_control_register_is_no_output() -> None:
    vm = guest("ldr x1, =UART\n str w1, [x1, #0x24]\n str w1, [x1, #0x30]\n off").vm()
    heard: list[int] = []
    vm.on_output = heard.append
    vm.run()
    assert heard == []


@pytest.mark.parametrize(
    ("pattern", "index", "console"),
    [
        ("on", 2 + 4 + 3, "on"),
        ("^one$", 2 + 8 + 3, "one"),
        ("tw", 2 + 24 + 3, "one\n\ntw"),
        ("^hal", 2 + 48 + 3, "one\n\ntwo\r\nhal"),
        ("al", 2 + 48 + 3, "one\n\ntwo\r\nhal"),
    ],
)
def test_until_the_console_matches(pattern: str, index: int, console: str) -> None:
    vm = guest(TYPING).vm()
    vm.until = re.compile(pattern)
    stop = vm.run()
    assert (stop.reason, stop.index, vm.index, vm.console) == ("match", index, index, console)
    vm.until = None
    assert vm.run().reason == "power-off"
    assert [e.text for e in vm.trace if isinstance(e, Console)] == ["one", "", "two", "half"]


def test_no_match_runs_to_the_end() -> None:
    vm = guest(TYPING).vm()
    vm.until = re.compile("one two")
    assert vm.run().reason == "power-off"


def test_a_log_shows_a_line_when_it_is_written_and_not_before() -> None:
    made = guest(TYPING)
    session = Session(made.path, load_address=0x4008_0000, memory=1 << 20)
    session.run()
    newline = 2 + 4 * 3 + 3
    session.goto(newline - 1)
    assert session.snapshot().now == 0
    session.step()
    assert session.snapshot().now == 1


RECEIVE = (
    SMP
    + """
    use_vectors
    gic_on
    enable 33
    ldr x1, =GICD + 0x800 + 33
    mov w0, #1
    strb w0, [x1]
    ldr x21, =UART
    mov w0, #0x10               // RXIM
    str w0, [x21, #0x38]
    msr daifclr, #2
sleep: wfi
    b sleep
handler:
    acknowledge
    ldr w20, [x21, #0x40]       // MIS
    ldr w22, [x21]              // DR
    ldr w23, [x21, #0x3c]       // RIS
    off
    all_vectors handler
"""
)


def test_input_interrupts_a_guest_that_sleeps() -> None:
    vm = guest(RECEIVE).vm()
    assert vm.run(1000).reason is StopReason.WFI
    vm.send_console("k")
    assert vm.run(1000).reason is StopReason.POWER_OFF
    assert (vm.vcpus[0].x[20], vm.vcpus[0].x[22], vm.vcpus[0].x[23]) == (0x10, ord("k"), 0)


def test_input_that_nobody_waits_for_wakes_nobody() -> None:
    vm = guest("sleep: wfi\n b sleep").vm()
    stop = vm.run(1000)
    assert stop.reason is StopReason.WFI
    vm.send_console("k")
    assert vm.run(1000) == stop


def test_a_character_sent_raises_an_interrupt_until_it_is_cleared() -> None:
    uart = Pl011()
    lines: list[tuple[int, bool]] = []
    uart.on_line = lambda intid, level: lines.append((intid, level))
    uart.write(0x38, 0x20)  # TXIM
    assert (uart.read(0x3C), lines[-1]) == (0, (33, False))
    uart.write(0x00, ord("k"))
    assert (uart.read(0x3C), uart.read(0x40), lines[-1]) == (0x20, 0x20, (33, True))
    uart.write(0x38, 0)
    assert (uart.read(0x3C), uart.read(0x40), lines[-1]) == (0x20, 0, (33, False))
    uart.write(0x44, 0x10)  # another interrupt's bit
    assert uart.read(0x3C) == 0x20
    uart.write(0x44, 0x20)
    assert uart.read(0x3C) == 0
