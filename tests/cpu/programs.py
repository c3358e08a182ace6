"""Random programs: words of every kind of instruction, as bytes to put behind a prologue."""

from functools import lru_cache
from pathlib import Path

from hypothesis import strategies as st

from tests.machine.guest import guest

INSTRUCTIONS = """
    add x1, x2, x3
    adds x4, x1, #5
    subs x2, x2, #1
    eor x3, x3, x1, ror 7
    mul x5, x1, x4
    udiv x7, x5, x2
    csinc x9, x3, x4, lt
    cmp x1, x2
    ccmp x1, x4, #3, ne
    mov x1, #0
    mov x2, #3
    mov x11, sp
    str x1, [x19]
    ldr x2, [x19, #8]
    ldrsb x4, [x19, #3]
    strb w1, [x19, #5]
    stp x1, x2, [x19, #32]
    ldp x3, x4, [x19, #16]
    str x5, [x19, #40]!
    ldr x6, [x19], #-40
    ldxr x12, [x19]
    stxr w13, x1, [x19]
    clrex
    ldr w14, [x20, #0x18]
    strb w1, [x20]
    ldrsb x15, [x20, #0xff0]
    str w2, [x20, #0x24]
    ldr w16, [x20, #0x24]
    ldr w16, [x21], #4
    str wzr, [x21], #-4
    ldr x16, [x20]
    stp w1, w2, [x20]
    ldr x17, [x22]
    str x17, [x22, #8]
    mrs x1, cntvct_el0
    mrs x29, cntpct_el0
    mrs xzr, cntvct_el0
    mrs x3, cntv_tval_el0
    mrs x3, cntv_ctl_el0
    msr cntv_cval_el0, x1
    msr cntv_ctl_el0, x2
    mrs x4, pmccntr_el0
    msr pmcr_el0, x1
    msr pmcntenset_el0, x2
    mrs x5, pmevcntr1_el0
    mrs x6, currentel
    mrs x7, nzcv
    msr nzcv, x1
    msr daifclr, #3
    msr daifset, #2
    msr tpidr_el0, x3
    mrs x9, esr_el1
    mrs x9, far_el1
    msr spsel, #0
    msr spsel, #1
    isb
    dsb sy
    yield
    wfe
    tlbi vmalle1
    ic iallu
    dc zva, x19
    svc #1
    brk #7
    udf #0
    hvc #0
    smc #0
    mrs x1, mdscr_el1
    eret
    ret
    br x1
    mrs x0, s3_3_c14_c0_7
    hlt #5
    fmov d1, x1
    fadd d2, d1, d2
    fdiv d3, d2, d1
    fmov x3, d2
    msr fpcr, x1
    mrs x3, fpsr
    prfm pldl1keep, [x19]
    movz x0, #0x2c
    movz x0, #0x2f
    movz x0, #0x25
    movk x0, #0xc400, lsl 16
    movz w0, #0x8400, lsl 16
    wfi
"""

# Whatever goes wrong is stepped over, and counted. x18 and x27 to x30 are its own.
PROLOGUE = """
    ldr x0, =vectors
    msr vbar_el1, x0
    ldr x19, =DATA
    ldr x20, =UART
    ldr x21, =UART + 0xff0
    ldr x22, =0x10000000
    fpu_on
    mov x0, #3
    msr cntkctl_el1, x0
    ldr x0, =0x40098000
    msr sp_el0, x0
    mov sp, x0
    // Event 0 is registered and enabled, with a handler that completes at once.
    mov x1, #0
    ldr x2, =event
    mov x4, #0
    call 0xc4000021
    mov x1, #0
    call 0xc4000022
    MMU
    ldr x30, =body
    enter SPSR, body
event:
    add x26, x26, #1
    call 0xc4000025
    b event
    .ltorg
    .align 11
    .global vectors
vectors:
    .rept 16
    .align 7
    mrs x18, esr_el1
    lsr w18, w18, #26
    cmp w18, #0x15
    mrs x18, elr_el1
    b.eq 1f
    add x18, x18, #4
1:  and x18, x18, #~3
    msr elr_el1, x18
    mrs x27, cntvct_el0
    add x28, x28, #1
    eret
    .endr
    .align 12
    .global body
body:
"""
BODY = 0x4008_1000


@lru_cache(maxsize=4)
def words(more: str = "") -> tuple[int, ...]:
    """Every instruction above, and more."""
    code = guest(INSTRUCTIONS + more).path.read_bytes()
    return tuple(int.from_bytes(code[at : at + 4], "little") for at in range(0, len(code), 4))


def prologue(level: int, mmu: bool) -> bytes:
    """Return the code that leads to `BODY`, at EL0 or EL1."""
    made = guest(
        PROLOGUE.replace("MMU", "mmu_on" if mmu else "").replace("SPSR", "5" if level else "0")
    )
    assert made["body"] == BODY
    return made.path.read_bytes()


def write(directory: Path, code: bytes) -> Path:
    """Write a flat image."""
    path = directory / "program.bin"
    path.write_bytes(code)
    return path


@st.composite
def bodies(draw: st.DrawFn, most: int = 60, more: str = "") -> bytes:
    """Draw a program: instructions, and branches to anywhere in it."""
    count = draw(st.integers(2, most))

    def branch(at: int) -> st.SearchStrategy[int]:
        offset = st.integers(-at, count - at)
        register = st.integers(1, 9)
        return st.one_of(
            st.builds(lambda o: 0x1400_0000 | o & 0x3FF_FFFF, offset),
            st.builds(lambda o: 0x9400_0000 | o & 0x3FF_FFFF, offset),
            st.builds(
                lambda o, c: 0x5400_0000 | (o & 0x7_FFFF) << 5 | c, offset, st.integers(0, 13)
            ),
            st.builds(
                lambda o, r, n: 0xB400_0000 | n << 24 | (o & 0x7_FFFF) << 5 | r,
                offset,
                register,
                st.integers(0, 1),
            ),
            st.builds(
                lambda o, r, b: 0x3600_0000 | b << 19 | (o & 0x3FFF) << 5 | r,
                offset,
                register,
                st.integers(0, 31),
            ),
        )

    body = [
        draw(branch(at) if draw(st.integers(0, 3)) == 0 else st.sampled_from(words(more)))
        for at in range(count)
    ]
    body.append(0x1400_0000)  # and stay here
    return b"".join(word.to_bytes(4, "little") for word in body)
