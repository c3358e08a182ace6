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

# %%
# Click in this cell and press Shift+Enter. Then press the button "Next SDEI" that appears.
import sdeiviz

debug = sdeiviz.debug("registration")
debug

# %% [markdown]
# # Start here
#
# Above is a machine with a program in it, and a debugger around it. The button **Next SDEI** (or,
# after a click into the debugger, the key `n`) runs the program until something of SDEI happens.
# This notebook tells what SDEI is.
#
# First, the program asks the layer below it for something, with an instruction called `hvc`. An
# arrow marks the instruction that runs next. If it is right below the first `hvc`, that one has
# run, and the program has its answer. Press **Back** (`b`) and **Step** (`s`) a few times: the
# machine goes into its past and on again. The key `?` lists all keys.
#
# After this notebook you can
#
# - say what happens when a program calls its hypervisor, and who does which part;
# - find a call's number, its arguments and its answer in the registers;
# - go to any moment of a run, forward and back, and know why you may trust what you see there;
# - say what SDEI is for, and what was said against it.
#
# Reading takes twelve minutes or so. You should have seen some assembly before.
#
# No debugger above? Then write `sdeiviz.debug("registration", surface="text")` in the first cell,
# and move with `debug.next_sdei()`, `debug.step_back()`, `debug.step()`. `print(debug.text())`
# prints what the debugger would show.

# %% [markdown]
# ## The processor
#
# An arm64 processor runs **instructions** of four bytes, one after the other.
#
# - **Registers** hold what it works with: x0 to x30, 64 bits each. w0 is the lower half of x0. SP
#   points at the stack. PC is the address of the instruction that runs next.
# - **PSTATE** is the rest of what it must know to go on: the flags N, Z, C and V of the last
#   comparison, the level at which it runs, and the interrupt masks D, A, I and F, together called
#   **DAIF**. A mask that is set keeps one kind of interruption waiting: I the interrupts of
#   devices (IRQ), F a second, more urgent kind of them (FIQ), A errors of the memory system, D
#   debugging.
# - An **exception** makes the processor leave the running code and go on at an address that was
#   chosen beforehand, a **vector**. A device can be the cause (that is an interrupt), or a mistake
#   of the program, or an instruction that asks for it.
# - The **exception level** says how much the code may do: the higher the number, the more. EL0 is
#   for user programs, EL1 for the kernel of an operating system, EL2 for what controls kernels,
#   EL3 for firmware. An exception never goes to a level with a lower number. One that goes to EL1
#   leaves PC in **ELR_EL1** and PSTATE in **SPSR_EL1**; the instruction ERET goes back to what
#   they say.

# %% [markdown]
# ## Two programs on one processor
#
# - A **hypervisor** is the program at EL2. It lets several systems share one computer. In Linux
#   it is called **KVM**.
# - Each system gets a **virtual machine**. The software in it is the **guest**; the computer
#   underneath, with its own system, is the **host**.
# - A virtual machine has one or more virtual processors, each a **vCPU**. Arm's documents say
#   **PE**, processing element, for anything that runs instructions. This machine has one.
# - **HVC**, hypervisor call, is an instruction. At EL1 it causes an exception to EL2. At EL0 it
#   is not allowed. A guest cannot reach into its hypervisor; it can only ask, and this is how.
# - The **conduit** is the instruction by which a call is made. Here it is HVC. Where firmware
#   answers, it is SMC, secure monitor call; this hypervisor answers an SMC with "not supported".
#
# What is real here: the guest is an arm64 program in an ELF file, executed instruction by
# instruction by a processor emulator. At an HVC of the guest the emulator stops, and a hypervisor
# written in Python works out the answer, as KVM would with the patches described below. You can
# read it: it is the folder `sdei` of this package.

# %% [markdown]
# ## One call, slowly
#
# The next cell goes to the first call, and one step back: to just before it.

# %%
from sdeiviz.views import disassembly

debug.start()
debug.next_sdei()
debug.step_back()
print(disassembly.text(debug.snapshot(), before=3, after=2))

# %% [markdown]
# The arrow marks the line that is *about* to run. The line before it has loaded w0 with the
# number of the call. How to call is fixed by Arm's *SMC Calling Convention*, for HVC too: the
# number goes into w0, arguments follow from x1 on, the answer comes back in x0.
#
# The number is 0xC4000020, 32 bits. Bit 31 says that the call is done when it returns (other
# calls may return early, to be continued), bit 30 that arguments and answer have 64 bits. Bits 29
# to 24 hold 4, the owner: Arm's own standard services. The low 16 bits hold 0x20, the first of
# SDEI's numbers, SDEI_VERSION.
#
# Now run that one instruction, and print every register that it changed.

# %%
from sdeiviz.views import registers

debug.step()
now = registers.values(debug.snapshot().registers)
for name, was in registers.changes(debug.snapshot()).items():
    print(f"{name:>3}  {was:016x} -> {now[name]:016x}")

# %% [markdown]
# PC moved on by four bytes, and x0 holds the answer. Read it from the left: 0001 is the major
# version, 0001 the minor one, 564bcaa9 a number that stands for KVM. So: version 1.1, answered by
# KVM.
#
# Between these two instructions the hypervisor has run. The guest saw nothing of it but the
# answer.
#
# The debugger counts the instructions that the guest has run. This count, the **index**, names a
# **moment**: the state of the machine between two instructions. The debugger can go to each.

# %% [markdown]
# ## Predict
#
# Some instructions later the guest makes its second call. The next cell stops just before that
# HVC.

# %%
debug.next_sdei()
debug.step_back()
for name, value in debug.snapshot().registers.items()[:6]:
    print(f"{name}  {value:016x}")

# %% [markdown]
# x0 has the number of the call, x1 its argument. In between, the guest has printed the first
# answer; x2 to x5 are left over from that. What will this HVC change? Decide before you look:
# choose, press **Check**, and then **Go and see**.
#
# Without buttons: `print(second_call.answer("A"))`, then `second_call.go()`.

# %%
from sdeiviz.classroom import Prediction, course

second_call = Prediction(course.SECOND_CALL, debug)
second_call

# %% [markdown]
# When you have decided, run this cell.

# %%
debug.start()
debug.next_sdei()
debug.next_sdei()
debug.step_back()
debug.step()
now = registers.values(debug.snapshot().registers)
for name, was in registers.changes(debug.snapshot()).items():
    print(f"{name:>3}  {was:016x} -> {now[name]:016x}")

# %% [markdown]
# The call is SDEI_FEATURES. Its argument 0 asks how many interrupts of devices can be turned over
# to SDEI; the answer in x0, zero, means none. x3 became zero; x1 and x2 were zero already. KVM
# clears x1 to x3 whenever it answers an SDEI call. (The two calls that have no answer come in the
# third notebook.) The calling convention lets a call change x0 to x3. From x4 on everything must
# stay as it was.

# %% [markdown]
# ## Why you may trust the past
#
# This machine is deterministic. Its clock counts instructions, one nanosecond each, and nothing
# in it depends on the time of day. So the debugger need not store every step. Its **recording**
# consists of some states of the machine and of all that was done to it from outside. To go back,
# it loads such a state and runs again up to exactly that index. What you then see is no picture
# of the past, it is the machine.

# %%
here, before = debug.index, debug.snapshot().registers
debug.start()
debug.goto(here)
print("the same registers:", debug.snapshot().registers == before)

# %% [markdown]
# Every row of the **call log**, the pane that lists the calls, is a moment too: click it to go
# there. So is every mark on the bar below the buttons.

# %% [markdown]
# ## Why interrupt a kernel that does not want to be interrupted
#
# A kernel sets the masks DAIF while it does something that must not be interrupted. A network
# card can wait. Other things cannot:
#
# - the hardware has found broken memory, and the next instruction may use it;
# - a watchdog wants to know where a processor hangs, and it hangs with its masks set;
# - one processor crashes and must stop the others, whatever they do.
#
# PCs have an interrupt for this that no mask holds back, the **NMI** (non-maskable interrupt).
# arm64 had none for its first ten years.
#
# **SDEI**, the *Software Delegated Exception Interface*, needs no new hardware. It is a set of
# rules, Arm's document DEN0054 (issue C, of 2023, has version 1.1). Something happens: an
# **event**. A program with more rights than the kernel, which the kernel's masks do not bind,
# keeps a copy of what the kernel was doing and makes the processor go on in a **handler**, a
# routine that the kernel has named beforehand. When the handler has finished, the copy is put
# back. That program can be firmware under a kernel, or a hypervisor under a guest. We look at the
# second.
#
# There are nineteen calls. You have seen two: SDEI_VERSION and SDEI_FEATURES. Most names are used
# here without the SDEI_ in front.

# %% [markdown]
# ## The series that this course follows
#
# *Support SDEI Virtualization* is a series of patches for Linux by Gavin Shan. Version 1 was
# posted in August 2020, version 7, with 22 patches, in May 2022. The series lets KVM on arm64
# deliver two events: event 0, which software signals, and event 1, set aside for
# **asynchronous page fault**.
#
# Asynchronous page fault was the purpose. A virtual machine can move to another host and go on
# there before all its memory has arrived (*post-copy migration*). When the guest touches a page
# that is still on its way, its vCPU stands still. With asynchronous page fault the hypervisor
# tells the guest, at this very instruction, that the page will take a while: run something else.
# To tell it, the hypervisor must be able to interrupt the guest anywhere. Event 1 was to be this
# way into the guest.
#
# The series was never merged. The hypervisor here follows it, in one of two **profiles**. A
# profile is a set of switches, one for each point in which implementations of SDEI differ.
# `kvm-v7` is the series without those mistakes that would harm the host, or by which an event is
# lost, late or misplaced. `kvm-v7-literal` has these mistakes too. **All that these notebooks
# tell is about `kvm-v7`**, unless they name another profile or the specification.

# %% [markdown]
# ## What was said against it
#
# Marc Zyngier, who maintains KVM on arm64, answered version 7 in June 2022. He called it "a
# solution in search of a problem". His reasons, in our words:
#
# - Only asynchronous page fault would use it, and the maintainers of arm64 did not plan to take
#   that.
# - With asynchronous page fault, the memory management of a guest calls into one certain
#   hypervisor. The makers of other hypervisors would ask for the same.
# - Nobody on arm64 had asked for asynchronous page fault. x86 has it, and even there large
#   providers did not use it.
# - There were no measurements of a workload.
#
# Paolo Bonzini, who maintains KVM, disagreed: Linux has interfaces between guest and host that no
# architecture defines, the guest needs about twenty lines besides SDEI, and measurements had been
# posted. Sean Christopherson, who maintains KVM on x86, told that Google ran post-copy migration
# with asynchronous page fault switched off: its old form on x86 had been a mess, and Google had
# not looked at it since. In 2023 Gavin Shan said that the work was suspended.
#
# This course does not decide it for you. In the next notebook you see how many rules a guest must
# follow for one event. In the third you see what an event does to the code that it interrupts,
# and how one missing line loses an event. What asynchronous page fault gains is measured in
# the fourth, and while a guest moves in [05](05_the_claim.ipynb). Keep one question in mind: is
# such a way into the guest worth the rules that come with it?

# %% [markdown]
# ## What you have now
#
# - HVC takes the guest to its hypervisor, the answer is in x0, and the guest goes on after the
#   HVC.
# - An index names a moment of the recording; going there runs the machine again.
# - SDEI interrupts a guest whose masks are set. Whether KVM needed it is disputed.
#
# Try it: press **Continue** (`c`, or `debug.run()`), which runs the guest to its end. One call
# was refused; its answer is below zero. Find it in the call log.
#
# Next: [01: registration](01_registration.ipynb).
