# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Delivery: in between two instructions
#
# One idea: delivery saves PC, PSTATE and x0 to x17 of the running code, no more and no less, and
# goes on in the handler. All else is up to the handler.
#
# After this notebook you can
#
# - tell at which instruction a raised event is delivered;
# - tell which registers the hypervisor has saved, and which the handler must keep;
# - compare the two ways out of a handler;
# - raise an event from the host, and read what the host is told;
# - show how one missing line loses an event.
#
# Reading takes about fifteen minutes. The words of [00](00_start_here.ipynb) and
# [01](01_registration.ipynb) are used without another explanation. All is about the profile
# `kvm-v7`, unless another is named.

# %% [markdown]
# ## Words
#
# - The **interrupted context** is what delivery saves: PC, PSTATE and x0 to x17 of the code that
#   the event interrupted. The hypervisor keeps it in its own memory, not on a stack of the guest.
# - **EVENT_CONTEXT** lets the handler read the saved x0 to x17, one at a time.
# - **EVENT_COMPLETE** ends the handler and puts the interrupted context back.
# - **EVENT_COMPLETE_AND_RESUME** ends it too, and goes to an address of the handler's choice.
# - ELR_EL1 and SPSR_EL1, once more: where an exception to EL1 leaves PC and PSTATE, and what ERET
#   at EL1 goes back to.
# - There are two stack pointers, SP_EL0 and SP_EL1. PSTATE says which one SP means. A handler
#   always begins on SP_EL1.
# - **VBAR_EL1** holds the address of the guest's table of vectors. An IRQ that interrupts EL1
#   itself enters at offset 0x280 (if EL1 was on SP_EL1).

# %%
import sdeiviz

debug = sdeiviz.debug("delivery")
debug

# %% [markdown]
# The guest works in two rounds, with two handlers. In the first it registers event 0 with the
# argument 0x51, enables it, unmasks its PE, puts 0x1234 into x4 and signals the event to itself.
# The cell stops just before this last HVC.

# %%
from sdeiviz.views import disassembly

while debug.snapshot().masked:
    debug.next_sdei()
debug.next_sdei()
debug.step_back()
print(disassembly.text(debug.snapshot(), before=3, after=2))

# %% [markdown]
# ## Predict
#
# Two questions before you step. *Check* both before you *Go and see*: the moment that answers the
# first gives part of the second away.

# %%
from sdeiviz.classroom import Prediction, course

signalled = Prediction(course.SIGNALLED, debug)
signalled

# %%
zeroed = Prediction(course.ZEROED, debug)
zeroed

# %% [markdown]
# When you have decided, step. The next cell goes to the moment one step later by itself.

# %%
from sdeiviz.views import context, log

debug.start()
while not debug.snapshot().contexts:
    debug.next_sdei()
print(log.text(debug.snapshot(), 2))

# %% [markdown]
# One instruction, one index, three things in this order: the event became pending; the call was
# answered; the event was delivered. The guest is at the first instruction of the handler. The
# code after the HVC has not run. The answer for it, 0, is in the interrupted x0.
#
# The next cell prints the interrupted context beside the live registers.

# %%
print(context.text(debug.snapshot()))

# %% [markdown]
# The four live values that matter: x0 the event, x1 the argument from EVENT_REGISTER, x2 the
# interrupted PC, x3 the interrupted PSTATE. The live PSTATE says EL1h, that is EL1 on SP_EL1, with
# D, A, I and F set; in this guest the interrupted one says the same. The flags are still those of
# the interrupted code.
#
# | | saved by the hypervisor | at the handler's first instruction |
# |---|---|---|
# | x0 to x3 | yes | event, argument, PC, PSTATE |
# | x4 to x17 | yes | zero in this series; untouched in the specification |
# | x18 to x30 | no | untouched |
# | PC, PSTATE | yes | the entry; EL1 with all masked |
# | SP, both of them | no | untouched |
# | ELR_EL1, SPSR_EL1 | no | untouched |
#
# The last row is why an event may come in the middle of an interrupt handler: ELR_EL1 and
# SPSR_EL1 still say where that one has to return. The row before it has a price: the handler runs
# on whatever SP_EL1 is, good or not.

# %% [markdown]
# ## Where the series departs from the specification
#
# The specification gives x4 to x17 to the handler as they were. The posted code writes zeros, and
# so does `kvm-v7`. This difference is D9; all of them are numbered in `sdei/profiles.py` of this
# package. What the hypervisor saves is the same either way. But a handler that takes the live x4
# for the interrupted one is then wrong. Linux's own handler does that: it asks EVENT_CONTEXT only
# for the first few registers, and sees zeros in place of the others. This guest reads x4 in both
# ways. Its console, first under `kvm-v7`, then with this one switch turned:

# %%
from sdeiviz.sdei import profile

untouched = profile("kvm-v7").set("keep_x4_to_x17=on")
for rules in ("kvm-v7", untouched):
    other = sdeiviz.debug("delivery", profile=rules, surface="text")
    other.run()
    lines = other.snapshot().console.splitlines()
    print(*(line for line in lines if "handler: x4" in line), sep="\n")

# %% [markdown]
# ## The first way out
#
# The handler looks around and makes its last call. The cell stops right after it and prints x4
# and x30 there, and one step back, in the handler.

# %%
debug.start()
while not debug.snapshot().contexts:
    debug.next_sdei()
while debug.snapshot().contexts:
    debug.next_sdei()
print(log.text(debug.snapshot(), 3))
for where in ("after", "before"):
    live = debug.snapshot().registers
    print(f"{where:>6}: pc {live.pc:x}, x4 {live.x[4]:x}, x30 {live.x[30]:x}")
    debug.step_back()

# %% [markdown]
# EVENT_COMPLETE and EVENT_COMPLETE_AND_RESUME are the two calls that never write an answer, or
# zeros into x1 to x3. EVENT_COMPLETE does not return to the handler: x0 to x17, PSTATE and PC
# become the interrupted ones, all in one step, and the state goes from 7 to 3. The hypervisor did
# not touch x30. It is the interrupted one because the handler stored it first and loaded it back
# last. It had to: printing is a function call, and a function call changes x30.
#
# Step forward over EVENT_COMPLETE, and back again. The handler is there with its registers, as if
# it had not ended yet.

# %% [markdown]
# ## The second way out
#
# In its second round the guest registers another handler. That one ends with
# EVENT_COMPLETE_AND_RESUME and names the guest's IRQ vector, VBAR_EL1 + 0x280.

# %%
debug.start()
while not debug.snapshot().console.endswith("to the IRQ vector\n"):
    debug.next_sdei()
now = debug.snapshot().registers
print(log.text(debug.snapshot(), 2))
print(f"pc      {now.pc:x} = VBAR_EL1 + {now.pc - now.vbar_el1:#x}")
print(f"elr_el1 {now.elr_el1:x}   spsr_el1 {now.spsr_el1:x}   x4 {now.x[4]:x}")

# %% [markdown]
# The event is complete: its state is 3, and x0 to x17 are the interrupted ones. But the processor
# is where an IRQ would have led, at EL1 with D, A, I and F set, and ELR_EL1 and SPSR_EL1 say
# where and how to go on. What these two held before is lost. To the guest it looks as if an IRQ
# had been taken at the interrupted instruction.
#
# A kernel wants it to look so. Its handler can do almost nothing: the event may have interrupted
# the kernel anywhere, even while it held a lock on its data. The code behind its IRQ vector can
# wake up programs and switch between them. Linux resumes there whenever the interrupted code could
# have taken an IRQ, and only then: such code does not rely on ELR_EL1 and SPSR_EL1, since an IRQ
# overwrites them.
#
# The interrupted code has a name in the source. Run until the ERET has led back to it:

# %%
debug.toggle_breakpoint("interrupted_again")
debug.start()
debug.run()
debug.toggle_breakpoint("interrupted_again")
print(disassembly.text(debug.snapshot(), before=1, after=1))

# %% [markdown]
# ## Be the host
#
# While the debugger stands still, so does the vCPU, and you can raise an event between any two
# instructions. The host is answered with Linux's error numbers: 0; -2, ENOENT, where the event is
# not registered; -16, EBUSY, for an *immediate* injection that could not be delivered at once.
# Immediate means: now or not at all.

# %%
host = sdeiviz.debug("delivery", surface="text")
while host.snapshot().masked:
    host.inject_event(0, immediate=True)
    host.next_sdei()
host.inject_event(0, immediate=True)
print(log.text(host.snapshot()))

# %% [markdown]
# Four attempts. The event was not registered; registered, but not enabled; enabled, but the PE
# was masked; and then it came through, and interrupted code that had signalled nothing.
#
# An immediate injection is refused, too, while any event is pending or any handler runs. One that
# is not immediate is refused only for an event that is not registered. Otherwise it makes the
# event pending. Pending is a bit and not a count: what is raised twice before its delivery is
# delivered once.

# %% [markdown]
# ## One missing line
#
# The hypervisor looks for an event to deliver only after a *request*, which is made by the call
# or injection that makes an event deliverable. When a handler completes, an event may have become
# pending meanwhile. By its own description the series then tries delivery again, but the code of
# version 7 makes no request: D2. `kvm-v7` mends it. This machine has that one mistake back:

# %%
defective = profile("kvm-v7").set("request_after_complete=off")
lossy = sdeiviz.debug("delivery", profile=defective)
while not lossy.snapshot().contexts:
    lossy.next_sdei()
lossy

# %% [markdown]
# The first handler has just been entered. Now the host raises event 0 a second time. Later, in
# its second round, the guest will call EVENT_UNREGISTER.

# %%
lost = Prediction(course.LOST, lossy)
lost

# %% [markdown]
# When you have decided, raise it.

# %%
lossy.start()
while not lossy.snapshot().contexts:
    lossy.next_sdei()
if not lossy.snapshot().handlers[0].pending:  # not yet, in this recording
    lossy.inject_event(0)
while lossy.snapshot().handlers[0].pending:
    lossy.next_sdei()
print(log.text(lossy.snapshot(), 6))

# %% [markdown]
# Raised, never delivered, and nobody was told: EVENT_UNREGISTER drops what is pending. After
# EVENT_COMPLETE the event was enabled and pending, the PE was unmasked, and no handler ran. But
# nothing had made a request, so the hypervisor did not look. Signalling again would not have
# helped: EVENT_SIGNAL makes a request only where the event was not pending before.
#
# Under `kvm-v7-literal`, with all mistakes of the posted code, the same second event ends
# differently. There EVENT_UNREGISTER does not drop what is pending (D4). In the second round the
# guest checks where it was interrupted, and prints what it finds:

# %%
literal = sdeiviz.debug("delivery", profile="kvm-v7-literal", surface="text")
while not literal.snapshot().contexts:
    literal.next_sdei()
literal.inject_event(0)
literal.run()
_, heading, rest = literal.snapshot().console.partition("round two")
print(heading + rest)

# %% [markdown]
# FAIL: the event of the first round was delivered in the second, to another handler, right after
# EVENT_ENABLE, where the guest did not expect it. PASS is the event that the guest then signals
# to itself. D2 and D4 are two small gaps, each harmless in most runs, and both found by reading
# the posted code.

# %% [markdown]
# ## What you have now
#
# - Delivery comes after the answer and before the next instruction.
# - Saved: PC, PSTATE, x0 to x17. The rest belongs to the interrupted code.
# - EVENT_COMPLETE goes back. EVENT_COMPLETE_AND_RESUME makes it look as if an IRQ had been taken.
# - Pending is one bit. An event is delivered when the hypervisor looks for one, so every change
#   that makes an event deliverable must make the hypervisor look.
#
# As to the question of the first notebook: you have seen the rules that a way into the guest
# needs, and two ways to get them wrong. What it is worth depends on what is sent through it: that
# is the subject of the next notebook.
#
# Try it: in `lossy`, go back to the moment right after EVENT_COMPLETE, where the event is enabled
# and still pending. Raise it there once more. Is that one delivery or two?
#
# Next: [03: asynchronous page fault](03_async_page_fault.ipynb).
