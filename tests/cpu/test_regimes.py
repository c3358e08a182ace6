"""Exact stops where the guest changes its level or its tables between two instructions.

To stop inside a block the core runs a cut copy of it. The copy has to be gone afterwards, also
where its address then leads nowhere, and nothing may be looked up that the guest would not.
"""

import random
from collections.abc import Callable, Mapping

import pytest

from sdeiviz import VirtualMachine
from tests.machine.guest import (
    ALL_READ,
    DATA,
    KERNEL,
    TABLES,
    USER_CODE,
    USER_DATA,
    Guest,
    everything,
    guest,
    step_through,
)

HEAD = """
    ldr x1, =vectors
    msr vbar_el1, x1
    ldr x19, =DATA
    mov x9, #60
    mmu_on
"""


def check(made: Guest, pages: Mapping[int, int], marks: tuple[str, ...] = ()) -> None:
    """Cut a run in every way: stepped, at random, and with single steps at certain places."""

    def fresh(clock: str = "native") -> VirtualMachine:
        return made.vm(pages, clock=clock)

    reference = fresh()
    assert reference.run(20_000).reason == "power-off"
    end, expected = reference.index, everything(reference)

    def compare(run: Callable[[VirtualMachine], None], clock: str = "native") -> None:
        vm = fresh(clock)
        run(vm)
        assert everything(vm) == expected

    compare(lambda vm: vm.run() and None, "python")
    compare(lambda vm: step_through(vm, end))
    for seed in range(1, 7):
        dice = random.Random(seed)

        def stumble(vm: VirtualMachine, dice: random.Random = dice, far: int = 2 * seed) -> None:
            while not vm.stopped:
                vm.run(dice.randint(1, far))

        compare(stumble, "python" if seed == 6 else "native")
    for mark in marks:
        for more in (1, 2, 3):

            def stop_there(vm: VirtualMachine, mark: str = mark, more: int = more) -> None:
                vm.run(1)
                while vm.vcpus[0].pc != made[mark]:
                    vm.run(1)
                for _ in range(more):
                    vm.run(1)
                vm.run()

            compare(stop_there)


def test_a_fault_in_code_that_the_handler_cannot_execute() -> None:
    """Each second time round the load faults; each time it stands in the same block."""
    made = guest(
        HEAD
        + """
        enter 0, user
        all_vectors handler
    handler:
        subs x9, x9, #1
        b.eq out
        mrs x18, esr_el1
        lsr w18, w18, #26
        cmp w18, #0x15
        b.eq 1f
        mrs x18, elr_el1
        add x18, x18, #4
        msr elr_el1, x18
    1:  eret
    out: off
        .ltorg
        .align 12
    user:
        add x1, x1, #1
        tst x1, #1
        csel x4, x19, xzr, eq
        ldr x3, [x4]
        add x5, x5, #1
        ldr x3, [x4]
        add x6, x6, #1
        svc #0
        b user
        """
    )
    check(made, {made["user"]: USER_CODE, DATA: USER_DATA, 0: 0})


def test_eret_at_the_end_of_a_page() -> None:
    made = guest(
        HEAD
        + """
        ldr x0, =user
        msr elr_el1, x0
        msr spsr_el1, xzr
        b leave
        all_vectors handler
    handler:
        subs x9, x9, #1
        b.ne leave
        off
        .ltorg
        .align 12
        .space 0xffc
    leave:
        eret
    user:
        add x1, x1, #1
        add x2, x2, x1
        svc #0
        b user
        """
    )
    assert made["user"] % 4096 == 0
    check(made, {made["user"]: USER_CODE}, ("leave", "user"))


def test_eret_to_the_next_instruction() -> None:
    made = guest(
        HEAD
        + """
        b go
        all_vectors handler
    handler:
        subs x9, x9, #1
        b.ne 1f
        off
    1:  ldr x0, =go
        br x0
        .ltorg
        .align 12
    go:
        msr spsr_el1, xzr
        adr x0, after
        msr elr_el1, x0
    leave:
        eret
    after:
        add x1, x1, #1
        add x2, x2, #1
        svc #0
        """
    )
    check(made, {made["go"]: ALL_READ}, ("leave", "after"))


def test_eret_to_where_el0_cannot_execute() -> None:
    """The abort's PC lies in the block that ends in the ERET: all of that was executed."""
    made = guest(
        HEAD
        + """
        b go
        all_vectors handler
    handler:
        subs x9, x9, #1
        b.ne go
        off
        .ltorg
        .align 12
    go:
        adr x0, inside
        msr elr_el1, x0
        msr spsr_el1, xzr
        isb
        nop
    inside:
        add x1, x1, #1
        nop
    leave:
        eret
        """
    )
    vm = made.vm({})
    vm.run()
    # Sixteen to get there, eight up to and with the ERET, and the abort.
    first = next(iter(vm.trace))
    assert (first.index, hex(first.syndrome)) == (16 + 8 + 1, "0x8200000f")
    check(made, {}, ("leave",))


def test_a_page_that_code_takes_away_under_itself() -> None:
    """The TLBI is the last instruction of a page that is gone after it."""
    made = guest(
        HEAD
        + """
        ldr x20, =TABLES + 0x2000
        ldr x21, =fading
        ubfx x22, x21, #12, #9
        add x20, x20, x22, lsl 3
        ldr x23, [x20]
    again:
        str x23, [x20]
        dsb sy
        tlbi vmalle1
        isb
        ldr x0, =fading
        br x0
        .ltorg
        .align 12
        .space 0xfe8
    start_of_the_end:
    fading:
        nop
        str xzr, [x20]
        dsb sy
        nop
        nop
    last:
        tlbi vmalle1
    here:
        add x1, x1, #1
        add x2, x2, #1
        add x3, x3, #1
        subs x9, x9, #1
        b.ne again
        off
        all_vectors handler
    handler:
        b handler
        """
    )
    assert made["here"] % 4096 == 0
    check(made, {}, ("last", "here"))


def test_tables_swapped_under_running_code() -> None:
    """Both tables map the code; data is at one place in one, at another in the other."""
    made = guest(
        HEAD
        + """
        ldr x20, =TABLES
        ldr x21, =DATA + 0x10000
        mov x22, x20
        mov x23, x21
        mov x24, #7
    again:
        str x24, [x19]
        add x24, x24, #5
        msr ttbr0_el1, x23
        tlbi vmalle1
        isb
        ldr x3, [x19]
        add x4, x4, x3
        mov x25, x22
        mov x22, x23
        mov x23, x25
        subs x9, x9, #1
        b.ne again
        off
        all_vectors handler
    handler:
        b handler
        """
    )

    def fresh(clock: str = "native") -> VirtualMachine:
        vm = made.vm({}, clock=clock)
        second = DATA + 0x10000
        for page in range(3):
            table = bytearray(vm.memory[TABLES + page * 0x1000 : TABLES + page * 0x1000 + 0x1000])
            if page < 2:
                # The next level's table is the copy.
                at = 8 if page == 0 else 0
                link = int.from_bytes(table[at : at + 8], "little") - TABLES + second
                table[at : at + 8] = link.to_bytes(8, "little")
            else:
                entry = (DATA - 0x4000_0000 >> 12) * 8
                moved = int.from_bytes(table[entry : entry + 8], "little") + 0x8000
                table[entry : entry + 8] = moved.to_bytes(8, "little")
            vm.memory[second + page * 0x1000 : second + page * 0x1000 + 0x1000] = bytes(table)
        return vm

    reference = fresh()
    assert reference.run(10_000).reason == "power-off"
    for stride in (1, 2, 3, 5, 11):
        vm = fresh("python" if stride == 5 else "native")
        while not vm.stopped:
            vm.run(stride)
        assert everything(vm) == everything(reference)
    assert reference.memory[DATA : DATA + 8] != reference.memory[DATA + 0x8000 : DATA + 0x8008]


@pytest.mark.parametrize("where", ["EL1", "EL0"])
def test_wfi_at_every_place_before_a_stop(where: str) -> None:
    """Unicorn stops at an address by a WFI of its own: it must not be taken for the guest's."""
    for before in range(4):
        made = guest(
            HEAD
            + f"enter {5 if where == 'EL1' else 0}, code\n all_vectors handler\n handler: off\n"
            + f".ltorg\n .align 12\n code: {'nop;' * before} wfi\n nop\n svc #1\n"
        )
        pages = {made["code"]: KERNEL if where == "EL1" else USER_CODE}
        for cut in range(1, before + 3):
            vm = made.vm(pages)
            while vm.vcpus[0].pc != made["code"]:
                vm.run(1)
            first = vm.index
            stop = vm.run(cut)
            if cut <= before:
                assert (stop.reason, vm.vcpus[0].pc) == ("budget", made["code"] + 4 * cut)
            else:
                assert (stop.reason, vm.index - first) == ("wfi", before + 1)
                assert vm.vcpus[0].pc == made["code"] + 4 * before + 4
