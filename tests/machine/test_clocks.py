"""Every clock a guest can read comes from virtual time, however the run is cut."""

from itertools import pairwise

import pytest

from sdeiviz import VirtualMachine
from sdeiviz.cpu import core
from sdeiviz.machine.timer import GenericTimer
from sdeiviz.trace import ExceptionTaken
from tests.machine.guest import DATA, everything, guest, step_through
from tests.machine.machines import SMP

MASK64 = (1 << 64) - 1


@pytest.fixture(params=["native", "python", "copied registers", "stepped"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "copied registers":
        monkeypatch.setattr(core, "find_live_state", lambda uc, layout: None)
    return str(request.param)


def finish(code: str, way: str = "native", **registers: int) -> VirtualMachine:
    """Run a guest to its end."""
    vm = guest(code + "\n off").vm(clock="python" if way == "python" else "native")
    for name, value in registers.items():
        vm.write_register(name, value)
    if way == "stepped":
        step_through(vm, 100_000)
    else:
        vm.run(100_000)
    assert vm.stopped
    assert vm.stopped.reason == "power-off"
    return vm


@pytest.mark.parametrize("counter", ["cntvct_el0", "cntpct_el0"])
@pytest.mark.parametrize("into", ["x2", "x28", "x29", "x30"])
def test_a_counter_reads_the_virtual_time_of_its_instruction(
    counter: str, into: str, way: str
) -> None:
    """One instruction is a nanosecond, sixteen are a tick (62.5 MHz)."""
    for before in (0, 15, 16, 31, 32, 100):
        vm = finish(f"{'nop;' * before} mrs {into}, {counter}\n nop\n nop", way)
        assert vm.vcpus[0].x[int(into[1:])] == before // 16


def test_a_counter_goes_on_while_the_guest_waits(way: str) -> None:
    """The timer, a thousand ticks ahead, ends the wait: few of the 16,000 ns are instructions."""
    vm = finish(
        SMP
        + """
        gic_on
        enable 27
        mov x6, #1000
        mrs x2, cntvct_el0
        msr cntv_tval_el0, x6
        mov x6, #1
        msr cntv_ctl_el0, x6
        wfi
        mrs x3, cntvct_el0
        mrs x4, cntpct_el0
        """,
        way,
    )
    x = vm.vcpus[0].x
    assert (x[3] - x[2], x[4] - x[2]) == (1000, 1000)
    assert vm.index < 100


def test_a_counter_into_the_zero_register(way: str) -> None:
    vm = finish("nop;" * 40 + "mrs xzr, cntvct_el0\n mov x5, sp\n mov x6, xzr", way, sp=0x1230)
    assert (vm.vcpus[0].x[5], vm.vcpus[0].x[6], vm.vcpus[0].sp) == (0x1230, 0, 0x1230)


def test_every_reading_of_a_loop(way: str) -> None:
    vm = finish(
        """
        ldr x1, =DATA
        mov x2, #50
    again:
        mrs x3, cntvct_el0
        nop
        nop
        mrs x4, cntpct_el0
        stp x3, x4, [x1], #16
        subs x2, x2, #1
        b.ne again
        """,
        way,
    )
    words = memoryview(vm.memory[DATA : DATA + 800]).cast("Q").tolist()
    expected = [(2 + 7 * n + at) // 16 for n in range(50) for at in (0, 3)]
    assert words == expected


def test_the_frequency() -> None:
    assert finish("mrs x2, cntfrq_el0").vcpus[0].x[2] == 62_500_000


@pytest.mark.parametrize(("name", "offset"), [("v", 0), ("p", 0)])
def test_a_timer_compares_and_shows_it(name: str, offset: int, way: str) -> None:
    vm = finish(
        f"""
        mov x1, #4
        msr cnt{name}_cval_el0, x1      // at 1: fires at 64 ns
        mov x1, #1
        msr cnt{name}_ctl_el0, x1
        mrs x2, cnt{name}_ctl_el0       // at 4
        mrs x3, cnt{name}_tval_el0      // at 5: four ticks to go
        {"nop;" * 57}
        mrs x4, cnt{name}_ctl_el0       // at 63
        mrs x5, cnt{name}_ctl_el0       // at 64: now
        mrs x6, cnt{name}_tval_el0      // at 65
        {"nop;" * 20}
        mrs x7, cnt{name}_tval_el0      // at 86: a tick ago
        mov x1, #3
        msr cnt{name}_ctl_el0, x1
        mrs x8, cnt{name}_ctl_el0       // masked, and still fired
        mov x1, #2
        msr cnt{name}_ctl_el0, x1
        mrs x9, cnt{name}_ctl_el0       // switched off
        mrs x10, cnt{name}_cval_el0
        """,
        way,
    )
    x = vm.vcpus[0].x
    assert (x[2], x[3], x[4], x[5], x[6], x[7]) == (1, 4, 1, 5, 0, 0xFFFF_FFFF)
    assert (x[8], x[9], x[10]) == (7, 2, 4)


def test_tval_sets_cval_from_now(way: str) -> None:
    vm = finish(
        f"""
        {"nop;" * 159}
        mov x1, #5
        msr cntv_tval_el0, x1           // at 160, ten ticks
        mrs x2, cntv_cval_el0
        mov w1, #-3
        msr cntv_tval_el0, x1           // signed, 32 bits
        mrs x3, cntv_cval_el0
        mov x1, #-1
        msr cntp_tval_el0, x1
        mrs x4, cntp_cval_el0
        mrs x5, cntp_tval_el0
        """,
        way,
    )
    assert [*vm.vcpus[0].x[2:6]] == [15, 7, 9, 0xFFFF_FFFF]


def test_the_status_of_a_timer_is_not_written() -> None:
    vm = finish(
        """
        mov x1, #-1
        msr cntv_cval_el0, x1
        msr cntv_ctl_el0, x1            // ENABLE, IMASK, and bits that are no control
        mrs x2, cntv_ctl_el0
        """
    )
    assert vm.vcpus[0].x[2] == 3


def test_a_timer_set_to_before_power_on() -> None:
    vm = finish(
        """
        mov x1, #1
        msr cntv_ctl_el0, x1
        mov w1, #-2
        msr cntv_tval_el0, x1           // in tick 0
        mrs x2, cntv_cval_el0
        mrs x3, cntv_ctl_el0            // compared unsigned: far in the future
        """
    )
    assert [*vm.vcpus[0].x[2:4]] == [MASK64 - 1, 1]


def test_the_two_timers_are_two() -> None:
    vm = finish(
        "mov x1, #100\n msr cntv_cval_el0, x1\n mov x1, #7\n msr cntp_cval_el0, x1\n"
        "mov x1, #1\n msr cntp_ctl_el0, x1\n mrs x2, cntv_cval_el0\n mrs x3, cntv_ctl_el0\n"
        "mrs x4, cntp_cval_el0"
    )
    assert [*vm.vcpus[0].x[2:5]] == [100, 0, 7]


PHYSICAL, VIRTUAL = 2, 3
TVAL, CTL, CVAL = 0, 1, 2


@pytest.mark.parametrize(("timer", "intid"), [(PHYSICAL, 30), (VIRTUAL, 27)])
def test_the_line_of_a_timer(timer: int, intid: int) -> None:
    """High while enabled, not masked and due (Arm ARM D11); tick 100 is at 1600 ns."""
    made = GenericTimer()
    assert (made.deadline(), made.outputs(0)) == (None, {30: False, 27: False})
    made.write(timer, CVAL, 100, 0)
    assert (made.deadline(), made.outputs(10_000)) == (None, {30: False, 27: False})
    made.write(timer, CTL, 1, 0)
    assert made.deadline() == 1600
    assert not made.outputs(1599)[intid]
    assert made.outputs(1600) == {30: False, 27: False} | {intid: True}
    assert made.outputs(1 << 62)[intid]
    made.write(timer, CTL, 3, 0)
    assert (made.deadline(), made.outputs(1600)[intid]) == (None, False)
    assert made.read(timer, CTL, 1600) == 7, "masked, but its status shows"
    made.write(timer, CTL, 1, 0)
    made.write(timer, CVAL, 200, 1700)
    assert (made.deadline(), made.outputs(1700)[intid]) == (3200, False)
    made.write(timer, CTL, 0, 0)
    assert (made.deadline(), made.outputs(3200)[intid]) == (None, False)


def test_the_next_deadline_of_two_timers() -> None:
    made = GenericTimer()
    made.write(PHYSICAL, CVAL, 100, 0)
    made.write(VIRTUAL, TVAL, 50, 320)
    for timer in (PHYSICAL, VIRTUAL):
        made.write(timer, CTL, 1, 0)
    assert made.deadline() == 70 * 16
    assert made.outputs(70 * 16) == {30: False, 27: True}
    assert [made.deadline(after) for after in (1119, 1120, 1599, 1600)] == [1120, 1600, 1600, None]
    assert made.outputs(1600) == {30: True, 27: True}
    other = GenericTimer()
    other.load(made.save())
    assert (other.deadline(), other.outputs(1120)) == (1120, {30: False, 27: True})


@pytest.mark.parametrize(
    ("value", "deadline"),
    [(0, 0), ((1 << 64) - 1, ((1 << 64) - 1) * 16)],
    ids=["at once", "in 9 000 years"],
)
def test_deadlines_at_the_ends_of_time(value: int, deadline: int) -> None:
    made = GenericTimer()
    made.write(VIRTUAL, CVAL, value, 0)
    made.write(VIRTUAL, CTL, 1, 0)
    assert made.deadline() == deadline
    assert made.outputs(deadline)[27]
    assert not made.outputs(deadline - 1)[27]


# -- from EL0

AT_EL0 = """
    ldr x9, =vectors
    msr vbar_el1, x9
    msr cntkctl_el1, x20
    msr pmuserenr_el0, x21
    enter 0, user
user:
    {}
    svc #0
    all_vectors handler
handler:
    mrs x10, esr_el1
    mrs x11, elr_el1
"""

# CNTKCTL_EL1: EL0PCTEN 0, EL0VCTEN 1, EL0VTEN 8, EL0PTEN 9 (Arm ARM D13.8.15).
RIGHTS = {
    "cntpct_el0": 1 << 0,
    "cntvct_el0": 1 << 1,
    "cntfrq_el0": 1 << 0 | 1 << 1,
    "cntv_ctl_el0": 1 << 8,
    "cntv_cval_el0": 1 << 8,
    "cntv_tval_el0": 1 << 8,
    "cntp_ctl_el0": 1 << 9,
    "cntp_cval_el0": 1 << 9,
    "cntp_tval_el0": 1 << 9,
}


@pytest.mark.parametrize("register", RIGHTS)
def test_el0_reads_what_cntkctl_allows(register: str) -> None:
    code = AT_EL0.format(f"mrs x2, {register}")
    for bit in (0, 1, 8, 9):
        vm = finish(code, x20=1 << bit, x2=0x5555)
        allowed = bool(RIGHTS[register] & 1 << bit)
        assert (vm.vcpus[0].x[2] != 0x5555) is allowed
        taken = [e for e in vm.trace if isinstance(e, ExceptionTaken)]
        # EC 0x15 is the SVC after it, 0x18 the trapped MRS.
        assert taken[0].syndrome >> 26 == (0x15 if allowed else 0x18)
        assert taken[0].index == (11 if allowed else 10)


def test_el0_writes_what_cntkctl_allows() -> None:
    code = AT_EL0.format("msr cntv_cval_el0, x2\n mrs x3, cntv_cval_el0")
    for rights, value in ((1 << 8, 0x77), (1 << 9 | 3, 0)):
        vm = finish(code, x20=rights, x2=0x77)
        assert vm.vcpus[0].x[3] == value
        assert vm.vcpus[0].timer.read(3, 2, 0) == value


@pytest.mark.parametrize("register", ["s3_3_c14_c0_1", "s3_3_c14_c0_2", "cntfrq_el0"])
def test_counters_cannot_be_written(register: str) -> None:
    vm = finish(
        f"""
        ldr x9, =vectors
        msr vbar_el1, x9
        msr {register}, x9
        all_vectors handler
    handler:
        mrs x10, esr_el1
        """
    )
    assert vm.vcpus[0].x[10] == 0x0200_0000
    assert finish(f"mrs x2, {register}").vcpus[0].x[2] in (0, 62_500_000)


def test_what_is_no_timer_register_is_undefined() -> None:
    for encoding in ("s3_3_c14_c0_7", "s3_3_c14_c1_0", "s3_3_c14_c2_3", "s3_3_c14_c3_7"):
        for move in (f"mrs x2, {encoding}", f"msr {encoding}, x2"):
            vm = finish(
                f"ldr x9, =vectors\n msr vbar_el1, x9\n {move}\n"
                "all_vectors handler\n handler: mrs x10, esr_el1\n"
            )
            assert vm.vcpus[0].x[10] == 0x0200_0000


# -- the PMU

START = """
    mov x1, #1
    msr pmcr_el0, x1                    // E
    movn w1, #0
    msr pmcntenset_el0, x1              // all, at 3
"""


def test_the_pmu_counts_instructions_from_where_it_was_started(way: str) -> None:
    vm = finish(
        START
        + """
        mrs x2, pmccntr_el0             // at 4: started at 3
        nop
        mrs x3, pmccntr_el0
        mrs x4, pmevcntr0_el0
        mrs x5, pmevcntr3_el0
        mov x1, #2
        msr pmselr_el0, x1
        mrs x6, pmxevcntr_el0           // at 11
        mrs x29, pmccntr_el0
        mrs x30, pmccntr_el0
        mrs xzr, pmccntr_el0
        mrs x7, pmcntenset_el0
        mrs x8, pmcntenclr_el0
        """,
        way,
    )
    x = vm.vcpus[0].x
    assert [*x[2:7]] == [1, 3, 4, 5, 8]
    assert (x[29], x[30]) == (9, 10)
    assert (x[7], x[8]) == (0x8000_000F, 0x8000_000F)


def test_a_stopped_counter_keeps_its_value() -> None:
    vm = finish(
        START
        + """
        nop
        mov x1, #1 << 31
        msr pmcntenclr_el0, x1          // at 6
        nop
        mrs x2, pmccntr_el0
        nop
        mrs x3, pmccntr_el0
        mrs x4, pmevcntr1_el0           // at 11, runs on
        msr pmcntenset_el0, x1          // at 12
        mrs x5, pmccntr_el0
        msr pmcr_el0, xzr               // at 14: all stop
        nop
        mrs x6, pmccntr_el0
        mrs x7, pmevcntr1_el0
        """
    )
    assert [*vm.vcpus[0].x[2:8]] == [3, 3, 8, 4, 14 - 12 + 3, 14 - 3]


def test_counters_are_written_and_reset() -> None:
    vm = finish(
        START
        + """
        movn x1, #1
        msr pmccntr_el0, x1             // at 5: 2^64 - 2
        mrs x2, pmccntr_el0
        mrs x3, pmccntr_el0
        msr pmevcntr0_el0, x1           // at 8: 32 bits
        mrs x4, pmevcntr0_el0
        mov x1, #5                      // E, C
        msr pmcr_el0, x1                // at 11
        mrs x5, pmccntr_el0
        mov x1, #3                      // E, P
        msr pmcr_el0, x1                // at 14
        mrs x6, pmevcntr0_el0
        mrs x7, pmccntr_el0
        mrs x8, pmcr_el0
        """
    )
    x = vm.vcpus[0].x
    assert [*x[2:8]] == [MASK64, 0, 0xFFFF_FFFF, 1, 1, 5]
    # Arm (0x41), Cortex-A72 (2), four counters, and E; C and P read as zero.
    assert x[8] == 0x4102_2001


def test_registers_that_count_nothing_read_as_zero() -> None:
    vm = finish(
        START
        + """
        msr pmccfiltr_el0, x1
        mrs x2, pmccfiltr_el0
        msr pmevtyper0_el0, x1
        mrs x3, pmevtyper0_el0
        mrs x4, pmovsclr_el0
        mov x1, #31
        msr pmselr_el0, x1
        mrs x5, pmxevcntr_el0
        mrs x6, pmceid0_el0
        mrs x7, pmselr_el0
        """
    )
    assert [*vm.vcpus[0].x[2:8]] == [0, 0, 0, 0, 0, 31]


# PMUSERENR_EL0: EN 0, SW 1, CR 2, ER 3 (Arm ARM D13.4.17).
PMU_RIGHTS = {
    "pmccntr_el0": 1 << 0 | 1 << 2,
    "pmevcntr1_el0": 1 << 0,  # and ER, which this core does not know here
    "pmcr_el0": 1 << 0,
    "pmselr_el0": 1 << 0 | 1 << 3,
}


@pytest.mark.parametrize("register", PMU_RIGHTS)
def test_el0_reads_what_pmuserenr_allows(register: str) -> None:
    code = START + AT_EL0.format(f"mrs x2, {register}")
    for bits in (0, 1, 2, 4, 8):
        vm = finish(code, x21=bits, x2=0x5555)
        allowed = bool(PMU_RIGHTS[register] & bits)
        assert (vm.vcpus[0].x[2] != 0x5555) is allowed
        assert vm.vcpus[0].x[10] >> 26 == (0x15 if allowed else 0x18)


def test_pmuserenr_is_part_of_the_state() -> None:
    made = guest(START + AT_EL0.format("mrs x2, pmccntr_el0") + "\n off")
    vm = made.vm()
    vm.vcpus[0].x[21] = 1
    vm.run(9)
    other = made.vm()
    other.load(vm.save())
    other.run()
    vm.run()
    assert everything(other)[0] == everything(vm)[0]
    assert vm.vcpus[0].x[10] >> 26 == 0x15


# -- always the same


def test_two_runs_are_identical() -> None:
    code = """
        ldr x1, =DATA
        mov x2, #200
        mov x6, #1
        msr cntv_ctl_el0, x6
    again:
        mrs x3, cntvct_el0
        add x4, x3, x2
        msr cntv_cval_el0, x4
        mrs x5, cntv_ctl_el0
        stp x3, x5, [x1], #16
        subs x2, x2, #1
        b.ne again
        off
    """
    vms = [guest(code).vm() for _ in range(2)]
    for vm in vms:
        vm.run()
    assert everything(vms[0]) == everything(vms[1])


def test_time_goes_on_over_stops_and_never_back() -> None:
    made = guest("again: mrs x1, cntvct_el0\n nop\n b again")
    vm = made.vm()
    seen = []
    for count in (1, 47, 3, 16, 1000):
        vm.run(count * 3)
        seen.append(vm.vcpus[0].x[1])
        assert vm.vcpus[0].x[1] == (vm.index - 3) // 16
    assert all(one <= other for one, other in pairwise(seen))
    assert vm.time == vm.index
