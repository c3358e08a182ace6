"""Small guests, each with something that could make a core miscount, and their counts by hand."""

from typing import NamedTuple

VECTORS = """
    ldr x1, =vectors
    msr vbar_el1, x1
"""
"""Two instructions."""
SKIP = """
    all_vectors skip
skip:
    mrs x17, elr_el1
    add x17, x17, #4
    msr elr_el1, x17
    eret
"""
"""Five instructions, the branch in the vector among them, and on after what faulted."""
RETURN = """
    all_vectors return
return:
    eret
"""
"""Two instructions, and on where ELR says."""


class Animal(NamedTuple):
    """A guest that ends in an endless loop, a WFI or power-off."""

    source: str
    events: list[tuple[str, int]]
    """Type and index of every event of its trace."""
    end: int
    """Index to run to; the machine stops there by itself or is told to."""


ZOO = {
    "straight code": Animal("nop\n" * 30 + "off", [("Hypercall", 32), ("Stopped", 32)], 32),
    "a loop": Animal(
        "mov x1, #20\n again: sub x1, x1, #1\n cbnz x1, again\n off",
        [("Hypercall", 1 + 40 + 2), ("Stopped", 43)],
        43,
    ),
    "a loop of one instruction": Animal("nop\n forever: b forever", [], 50),
    "a branch at the start to the next instruction": Animal(
        "b next\n next: b after\n after: off", [("Hypercall", 4), ("Stopped", 4)], 4
    ),
    "back into its own block": Animal(
        """
        mov x1, #5
        nop
        inner: nop
        nop
        subs x1, x1, #1
        b.ne inner
        off
        """,
        [("Hypercall", 2 + 20 + 2), ("Stopped", 24)],
        24,
    ),
    "faults in the middle of a block": Animal(
        VECTORS
        + """
        ldr x2, =0x10000000
        nop
        ldr x3, [x2]
        nop
        nop
        str x3, [x2, #8]
        udf #1
        brk #1
        nop
        off
        """
        + SKIP,
        [
            ("ExternalAbort", 5),
            ("ExceptionTaken", 5),
            ("ExternalAbort", 5 + 5 + 3),
            ("ExceptionTaken", 13),
            ("ExceptionTaken", 13 + 5 + 1),
            ("ExceptionTaken", 19 + 5 + 1),
            ("Hypercall", 25 + 5 + 3),
            ("Stopped", 33),
        ],
        33,
    ),
    "SVC by SVC": Animal(
        VECTORS + "svc #1\n svc #2\n nop\n svc #3\n off" + RETURN,
        [
            ("ExceptionTaken", 3),
            ("ExceptionTaken", 3 + 2 + 1),
            ("ExceptionTaken", 6 + 2 + 2),
            ("Hypercall", 10 + 2 + 2),
            ("Stopped", 14),
        ],
        14,
    ),
    "HVC by HVC": Animal(
        "ldr x4, =0xc4000020\n mov x0, x4\n hvc #0\n mov x0, x4\n hvc #1\n hvc #2\n nop\n off",
        [
            ("Hypercall", 3),
            ("HypercallResult", 3),
            ("Hypercall", 5),
            ("HypercallResult", 5),
            ("Hypercall", 6),
            ("HypercallResult", 6),
            ("Hypercall", 9),
            ("Stopped", 9),
        ],
        9,
    ),
    "SMC, and registers that trap": Animal(
        """
        nop
        smc #0
        mrs x1, pmccntr_el0
        mrs x2, mdscr_el1
        msr oslar_el1, xzr
        nop
        mrs x3, cntvct_el0
        msr cntv_cval_el0, x3
        nop
        off
        """,
        [("Hypercall", 2), ("HypercallResult", 2), ("Hypercall", 11), ("Stopped", 11)],
        11,
    ),
    "the UART in the middle of a block": Animal(
        """
        ldr x1, =UART
        mov w2, #'o'
        strb w2, [x1]
        mov w2, #'k'
        strb w2, [x1], #0
        mov w2, #10
        nop
        strb w2, [x1]
        ldr w3, [x1, #0x18]
        ldr w4, [x1, #0x18]
        off
        """,
        [("Console", 8), ("Hypercall", 12), ("Stopped", 12)],
        12,
    ),
    "WFI": Animal("nop\n wfi\n nop", [("WaitForInterrupt", 2), ("Stopped", 2)], 2),
    "an exception whose vector is the next block": Animal(
        """
        ldr x1, =after
        sub x1, x1, #0x200
        msr vbar_el1, x1
        b before
        .ltorg
        .align 11
        .space 0x1f0
        before:
        nop
        nop
        nop
        svc #0
        after: nop
        mrs x2, esr_el1
        off
        """,
        [("ExceptionTaken", 8), ("Hypercall", 12), ("Stopped", 12)],
        12,
    ),
    "a subroutine": Animal(
        "mov x20, #6\n again: bl sub\n subs x20, x20, #1\n b.ne again\n off\n sub: nop\n ret",
        [("Hypercall", 1 + 6 * 5 + 2), ("Stopped", 33)],
        33,
    ),
    "instructions that change how the core runs": Animal(
        """
        isb
        msr daifclr, #2
        msr daifset, #2
        msr spsel, #0
        msr spsel, #1
        tlbi vmalle1
        dsb sy
        ic iallu
        isb
        mrs x1, nzcv
        msr nzcv, x1
        yield
        wfe
        sev
        sevl
        clrex
        msr contextidr_el1, x1
        nop
        off
        """,
        [("Hypercall", 20), ("Stopped", 20)],
        20,
    ),
    "over the end of a page": Animal(
        f"b far\n {'nop;' * 4} .align 12\n .space 0x3f8\n far: nop\n nop\n nop\n nop\n"
        " b further\n .align 12\n .space 0xff0\n further: nop\n nop\n nop\n svc #0"
        + VECTORS
        + "svc #7\n off"
        + RETURN,
        # VBAR is 0 at first; the machine stops where its vector cannot be fetched.
        [
            ("ExceptionTaken", 10),
            ("ExternalAbort", 11),
            ("ExceptionTaken", 11),
            ("Stopped", 11),
        ],
        11,
    ),
    "code that writes code": Animal(
        """
        ldr x1, =spot
        ldr w2, =0x91000463   // add x3, x3, #1
        mov x5, #4
        again:
        str w2, [x1]
        dc cvau, x1
        dsb ish
        ic ivau, x1
        dsb ish
        isb
        spot: nop
        add w2, w2, #0x400
        subs x5, x5, #1
        b.ne again
        off
        """,
        [("Hypercall", 3 + 4 * 10 + 2), ("Stopped", 45)],
        45,
    ),
    "down to EL0 and back": Animal(
        VECTORS
        + """
        enter 0x60000000, user
        .ltorg
        user:
        nop
        cmp x5, #3
        b.eq last
        add x5, x5, #1
        mrs x3, vbar_el1
        svc #0
        b user
        last: svc #1
        """
        + """
        all_vectors handler
        handler:
        mrs x16, esr_el1
        cbz w16, out
        lsr w16, w16, #26
        cbz w16, undefined
        cmp x5, #3
        b.eq out
        eret
        undefined:
        mrs x17, elr_el1
        add x17, x17, #4
        msr elr_el1, x17
        eret
        out: off
        """,
        # A round: five at EL0 up to the trapped read, nine for it, then SVC and its way back.
        [
            ("ExceptionTaken", 7 + 5),
            ("ExceptionTaken", 12 + 9 + 1),
            ("ExceptionTaken", 22 + 8 + 1 + 5),
            ("ExceptionTaken", 36 + 9 + 1),
            ("ExceptionTaken", 46 + 8 + 1 + 5),
            ("ExceptionTaken", 60 + 9 + 1),
            ("Hypercall", 70 + 7 + 2),
            ("Stopped", 79),
        ],
        79,
    ),
    "an event that it signals itself": Animal(
        """
        ldr x2, =handler
        mov x1, #0
        mov x3, #0x51
        mov x4, #0
        call 0xc4000021
        mov x1, #0
        call 0xc4000022
        call 0xc400002c
        mov x1, #0
        call 0xc400002f
        nop
        off
        .ltorg
        handler:
        mov x5, #1
        call 0xc4000025
        """,
        [
            ("Hypercall", 6),
            ("HandlerStateChanged", 6),
            ("HypercallResult", 6),
            ("Hypercall", 9),
            ("HandlerStateChanged", 9),
            ("HypercallResult", 9),
            ("Hypercall", 11),
            ("MaskChanged", 11),
            ("HypercallResult", 11),
            ("Hypercall", 14),
            ("EventRaised", 14),
            ("HypercallResult", 14),
            ("HandlerStateChanged", 14),
            ("EventDelivered", 14),
            ("Hypercall", 17),
            ("HandlerStateChanged", 17),
            ("EventCompleted", 17),
            ("Hypercall", 20),
            ("Stopped", 20),
        ],
        20,
    ),
    "exclusives and SIMD": Animal(
        """
        fpu_on
        ldr x1, =DATA
        mov x2, #5
        again:
        ldxr x3, [x1]
        add x3, x3, #1
        stxr w4, x3, [x1]
        cbnz w4, again
        fmov d0, x3
        fadd d1, d1, d0
        ins v2.d[1], x3
        str q2, [x1, #16]!
        sub x1, x1, #16
        subs x2, x2, #1
        b.ne again
        off
        """,
        [("Hypercall", 3 + 2 + 5 * 11 + 2), ("Stopped", 62)],
        62,
    ),
}
