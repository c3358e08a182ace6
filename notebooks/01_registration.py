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
# # Registration: three locks
#
# One idea: an event reaches a guest only when three locks are open. Each lock has a call that
# opens it and a call that shuts it. A call that does not fit the event's state is refused.
#
# After this notebook you can
#
# - name the three locks and the call that opens each;
# - read the state of an event from the three bits that EVENT_STATUS returns;
# - say why a call is DENIED, and when it is INVALID_PARAMETERS instead;
# - keep three kinds of masking apart;
# - tell what becomes of an event that comes too early.
#
# Reading takes about twelve minutes. The words of [00: start here](00_start_here.ipynb) are used
# without another explanation. All is about the profile `kvm-v7`.

# %% [markdown]
# ## Words
#
# - Events have numbers. Event 0 is the one that software signals.
# - An event is **private** when every PE has its own handler and its own state for it. All events
#   of this series are private.
# - To **register** an event is to name its handler: the address to enter, and one argument that
#   the handler will be given.
# - A registered event is **enabled** or **disabled**.
# - It is **running** from the moment its handler is entered until the handler says that it is
#   done.
# - To **raise** an event is to say that it has happened. Software does it with EVENT_SIGNAL, the
#   host from outside. From then on it is **pending**, until it is delivered.
# - **Delivery** is what enters the handler.
# - A **masked** PE takes no events. PE_MASK masks it, PE_UNMASK unmasks it. A new PE is masked.

# %%
import sdeiviz

debug = sdeiviz.debug("registration")
debug

# %% [markdown]
# ## The way in
#
# Press **Next SDEI** and watch two panes: the state diagram (*Event state*) and the call log
# (*Calls and events*). The cells below do the same and print the end of the log.

# %%
from sdeiviz.views import log

for _ in range(4):
    debug.next_sdei()
print(log.text(debug.snapshot()))

# %% [markdown]
# First lock: a handler. The guest asked for the status of event 0, which was unregistered, and
# registered it. Of the five arguments three matter here: the event, the entry, the handler's
# argument. Flags and affinity say which PE gets an event that PEs share; a private event has no
# use for them.
#
# The answer 0 is SUCCESS. Answers below zero are errors:
#
# | x0 | name | meaning |
# |---|---|---|
# | -1 | NOT_SUPPORTED | there is no such call here |
# | -2 | INVALID_PARAMETERS | an argument makes no sense, in whatever state |
# | -3 | DENIED | the arguments are good, the state is wrong |
# | -5 | PENDING | done once the running handler has finished (a pending *event* is another thing) |

# %%
for _ in range(3):
    debug.next_sdei()
print(log.text(debug.snapshot(), 3))

# %% [markdown]
# Second lock: the event itself. Status 1 became 3. The status is made of three bits: 1
# registered, 2 enabled, 4 running. Eight combinations, of which six occur:

# %%
from sdeiviz.sdei.table import State

for state in State:
    print(f"{state.value}  {state.value:03b}  {state.title}")

# %% [markdown]
# 2 and 6 are missing, because nothing is enabled that is not registered. 4 occurs: the handler of
# an event may run on although the event has been unregistered meanwhile. Until it has finished,
# nothing can be registered in its place.
#
# No bit says that an event is pending. Whether one waits to be delivered, a guest cannot ask.

# %%
debug.next_sdei()
print(log.text(debug.snapshot(), 1))

# %% [markdown]
# Third lock: the PE, for all its events at once. From here on event 0 may arrive between any two
# instructions. Nobody raises it, so the guest goes on: it disables the event and unregisters it.

# %%
for _ in range(3):
    debug.next_sdei()
print(log.text(debug.snapshot(), 3))

# %% [markdown]
# ## Predict: a call in the wrong state
#
# The guest now makes a mistake, on purpose. It has unregistered event 0, and calls EVENT_ENABLE.

# %%
from sdeiviz.classroom import Prediction, course

refused = Prediction(course.REFUSED, debug)
refused

# %% [markdown]
# Choose, **Check**, and then **Go and see** (or `print(refused.answer("A"))` and `refused.go()`).
# When you have decided, run the next cell. It leads to the same moment from wherever you are.

# %%
while not debug.snapshot().stopped:
    debug.run()
debug.previous_sdei()
print(log.text(debug.snapshot(), 1))

# %% [markdown]
# The number was good, the state was not. In the log, the line below the call says which step is
# missing. It is worked out from the table that decides the call; the state diagram is drawn from
# the same table.
#
# Each call makes its checks in a fixed order. The first case that applies decides the answer. An
# event number is bad unless it is 0 or 1, and so are flags. In this series:
#
# | call | cases, in order |
# |---|---|
# | EVENT_REGISTER | bad number, bad flags: INVALID_PARAMETERS. Registered or running: DENIED |
# | EVENT_ENABLE, EVENT_DISABLE | bad number: INVALID_PARAMETERS. Not registered: DENIED |
# | EVENT_UNREGISTER | bad number: INVALID_PARAMETERS. Running: PENDING. Not registered: DENIED |
# | EVENT_STATUS | bad number: INVALID_PARAMETERS |
# | EVENT_SIGNAL | number not 0, or event not registered: INVALID_PARAMETERS |
# | PE_MASK, PE_UNMASK | none |
#
# If no case applies, the answer is SUCCESS, or the status that was asked for. Enabling what is
# enabled, or masking what is masked, is SUCCESS and changes nothing. An EVENT_UNREGISTER that
# answers PENDING has already taken the event out: the status is 4.

# %% [markdown]
# ## Predict: an event that comes too early
#
# The debugger lets you be the host. The next cell runs a new machine to its end, so that there is
# a past to change, and goes back to the moment when event 0 has just been enabled and the PE is
# still masked.

# %%
early = sdeiviz.debug("registration")
early.run()
early.start()
while early.snapshot().handlers[0].state is not State.ENABLED:
    early.next_sdei()
early

# %%
masked = Prediction(course.MASKED, early)
masked

# %% [markdown]
# When you have decided, be the host and raise event 0. From the host this is called *injection*:
# the button **Inject 0** does the same.

# %%
early.start()
while early.snapshot().handlers[0].state is not State.ENABLED:
    early.next_sdei()
if not early.snapshot().handlers[0].pending:  # not yet, in this recording
    early.inject_event(0)
early.next_sdei()
early.next_sdei()
print(log.text(early.snapshot(), 5))

# %% [markdown]
# The injection was not refused: the event became pending. It waited, and it did not show in the
# status, which is still 3. Then PE_UNMASK opened the last lock. First this call was answered.
# Then, before the instruction after its HVC ran, the handler was entered.
#
# You have changed the past. The debugger says "changed", and what followed in the old recording
# is gone.
#
# Here is the PSTATE that was interrupted. A capital letter is a flag or a mask that is set.

# %%
from sdeiviz.views import context

print(context.text(early.snapshot()).splitlines()[0])

# %% [markdown]
# D, A, I and F were all set, and the event came. So there are three ways to hold something back,
# and they are not the same:
#
# | what | changed by | holds back |
# |---|---|---|
# | PSTATE.DAIF | the guest; every exception sets it | interrupts, never an event |
# | the PE's mask | PE_MASK, PE_UNMASK | all events of this PE |
# | a disabled event | EVENT_DISABLE, EVENT_ENABLE | this one event |
#
# None of the three stops a handler that runs already.

# %% [markdown]
# This guest's handler has nothing to do. It makes one call, **EVENT_COMPLETE**, and the
# interrupted code goes on. How that works is the subject of the next notebook.

# %%
early.next_sdei()
print(log.text(early.snapshot(), 2))

# %% [markdown]
# ## Make your own mistake
#
# A debugger without widgets takes the same commands. This one stops before the first EVENT_ENABLE
# and writes another event number into x1.

# %%
other = sdeiviz.debug("registration", surface="text")
for _ in range(6):
    other.next_sdei()
other.step_back()
other.write_register("x1", 2)
other.step()
print(log.text(other.snapshot(), 2))

# %% [markdown]
# ## What you have now
#
# - Three locks: registered, enabled, unmasked. A registered event that is raised stays pending at
#   least until it is enabled and the PE is unmasked. One that is not registered cannot be raised.
# - Status 1, 2, 4: registered, enabled, running.
# - INVALID_PARAMETERS is about arguments, DENIED about the state.
# - DAIF does not hold events back.
#
# Two details where the specification differs from the series: in the specification PE_MASK
# answers 1 when the PE was not masked before; and EVENT_SIGNAL reaches any PE, not only the
# caller's own, and succeeds even where the event is not registered.
#
# Try it: run the last code cell again, but in place of its last three commands raise event 1 with
# `print(other.inject_event(1))`. The host is answered with Linux's error numbers, not with
# SDEI's: here -2 means "no such entry". Why is it told that?
#
# Next: [02: delivery](02_delivery.ipynb).
