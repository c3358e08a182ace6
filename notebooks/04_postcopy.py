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
# # Post-copy: the guest first, its memory after it
#
# One idea: a guest can run on another host before its memory is there. What it touches is asked
# for, and comes first.
#
# After this notebook you can
#
# - tell when copying before the move cannot end, and what moving first gives up for that;
# - name the phases of a migration, and who says what in each;
# - follow a missing page from one host to the other and back, with asynchronous page fault and
#   without;
# - read blocktime and latency, and say what each of them hides;
# - tell what is lost with a connection, before and after the guest has moved.
#
# The text takes fifteen minutes, with all outputs forty. The words of
# [03](03_async_page_fault.ipynb) and before are used without another explanation.
#
# ## Words
#
# - A running guest moves from one host, the source, over a link to another, the destination.
# - **Pre-copy** sends the memory while the guest runs on the source. A page written after it was
#   sent is **dirty**: it has to be sent again.
# - **Downtime** is how long the guest runs nowhere.
#
# The guest is the one of 03, smaller: 1,024 pages of RAM. M writes 384 of them in random order and
# computes for 10 µs after each; C only computes. The link carries 1 Gbit/s, so that a page takes 33
# µs, and 50 µs are the way. Time is virtual, until the last section.
#
# ## Why not copy first?
#
# The first pass of pre-copy sends every page, each further one those that are dirty. Several
# passes, over this link and over one ten times as fast:

# %%
import sdeiviz
from sdeiviz.classroom import moving, table

rows = []
for bandwidth in (1_000_000_000, 10_000_000_000):
    guest = moving("sync", passes=6, bandwidth=bandwidth, time=200)
    guest.switch()
    left = guest.left()
    rest = f"{left[-1] * 4096 * 8 / bandwidth * 1000:.2f} ms"
    rows.append((f"{bandwidth:,} bit/s", ", ".join(map(str, left)), rest))
table("Dirty pages after each pass", ("link", "dirty", "to send the last takes"), rows)

# %% [markdown]
# M runs half of the time, and then writes a page every 11 µs: one in 22 µs on average. The slow
# link carries one in 33. During each pass M comes round to all its pages, so the next has as many
# to send, for ever. The fast link carries pages faster than M writes them: each pass is shorter,
# and leaves less.
#
# So compare **how fast pages become dirty with how fast they are sent**. If the first wins,
# pre-copy alone must stop the guest and send the rest. Here that is 13 ms of downtime; of a guest
# that always writes to 10 GB it is more than a minute.
#
# ## The guest first
#
# Post-copy stops the guest at once, and moves it without those pages. On the destination they are
# missing in stage 2, as if they had been swapped out. The names are QEMU's, or nearly:
#
# | what goes over the link | what it means | the destination is |
# |---|---|---|
# | Advise | post-copy will follow; every page is missing so far | ADVISE |
# | pages | one pass of pre-copy, for what is only read | |
# | Discard | the guest stands; these pages are dirty, forget them | DISCARD |
# | Listen, State, Run | in one: registers, devices; the guest runs here now | LISTEN, RUNNING |
# | ← RequestPages | a **page request**, on the **return path**: somebody needs this one | |
# | pages | those asked for first, and in between all others | |
# | Checksum, End | that was all; does it agree? | END |
#
# Sending "all others" unasked is the **background push**. It goes by the pages' numbers; after a
# page that was asked for it goes on with the neighbours. Of a page of zeros only the number is
# sent. Each missing page is sent once, so the end is certain.
#
# The guest, in two modes of 03. The player shows the second:

# %%
from sdeiviz.widgets import Player

waiting, told = moving("sync"), moving("arm64-v4")
for guest in (waiting, told):
    guest.migrate()
Player(told.record())

# %% [markdown]
# Play it, or move the slider with the arrow keys. One pass fills the map. Then the dirty pages are
# gone, and the guest runs over there. Single pages are asked for out of turn while the background
# goes on.
#
# All of it at one glance, time to the right, a red mark for each page request:

# %%
from sdeiviz.classroom import drawing
from sdeiviz.views.migration import pages

record = told.record()
drawing("Pages", pages.svg(record), pages.text(record))

# %% [markdown]
# ## The guest does not notice
#
# Once more, looked at every 2 ms. The fourth look is after pre-copy and move.

# %%
rows, counted = [], moving("arm64-v4")
for look in range(7):
    if look == 3:
        counted.switch()
    else:
        counted.run_until(counted.time + 2_000_000)
    where = "destination" if counted.arriving.running else "source"
    work, clocks = counted.work(), (counted.vm.time, counted.time)
    seen = (where, *(f"{time:,}" for time in clocks), f"{work.computed:,}", f"{work.touched:,}")
    rows.append((*seen, f"{work.errors}"))
table("Work", ("host", "guest's clock, ns", "link's", "C: units", "M: pages", "errors"), rows)

# %% [markdown]
# Both counters go on where they were. M finds on each page what it wrote there last, on whichever
# host that was: no errors. The guest's clock stands while the guest stands, for 0.83 ms; only the
# link's shows the gap. But M has become slow. Why?
#
# ## One page, with nobody told
#
# The debugger below stands on the destination, at the guest's arrival. It needs no source any more:
# it is known when each page came, and nothing else of the source can be seen from here.

# %%
there = sdeiviz.debug(waiting.session())
there

# %%
from sdeiviz.classroom import Prediction, course

fetched = Prediction(course.FETCHED, there)
fetched

# %% [markdown]
# When you have decided: the fault as the destination sees it. Its *store* is now the source.

# %%
from sdeiviz.views import fault

there.run()
steps = fault.life(there.snapshot().trace, 1)
there.goto(steps[0].index)
drawing("A fault that waits", fault.drawn(steps), fault.text_of(steps))

# %% [markdown]
# In the debugger's pane *Last fault* these steps are links: follow one. And the same page on its
# way:

# %%
from sdeiviz.views.migration import wire

record = waiting.record()
asked = next(moment for moment in record.moments if moment.kind == "fault")
lines = [line for line in wire.life(record, asked.page) if line.time >= asked.time]
drawing("Its way", wire.svg(lines), wire.text(lines))

# %% [markdown]
# The request needs 50 µs. Then this page is sent next. But sending means: into a socket, whose 64
# KiB were full of background. Nothing overtakes within a connection, so 17 pages arrive first. That
# wait, and not the way, is most of the latency.
#
# ## One page, and the guest is told

# %%
from IPython.display import display

inside = sdeiviz.debug(told.session())
inside.run()
trace = inside.snapshot().trace
steps = fault.life(trace, fault.number_of(trace, token=0x1000))
inside.goto(next(step.index for step in steps if "delivered" in step.words))
display(drawing("A fault that is told", fault.drawn(steps), fault.text_of(steps)))
inside

# %% [markdown]
# Step on: the handler ends, M sleeps, C runs. To the source both requests are alike. What differs
# is who waits for the answer: the vCPU itself, or a worker of the host.
#
# Not every fault can be told. The first one here was at EL1: on arrival the guest was told that all
# pages are ready (03 says why), and its kernel needed a missing page to take that interrupt.
#
# Both on one axis:

# %%
from sdeiviz.views.migration import vcpus

both = ("sync", waiting.record()), ("arm64-v4", told.record())
drawing("Both", vcpus.svg(*both), vcpus.text(*both))

# %% [markdown]
# ## What is counted
#
# A vCPU is blocked from the first missing page that it waits for until there is none. QEMU's
# **blocktime** counts while *all* vCPUs are blocked. A fault that a worker waits for blocks nobody.
#
# Below is a guest with two vCPUs in mode `sync`. Each has an M and a C. What is asked for comes by
# a faster way, explained below.

# %%
two = moving("sync", vcpus=2, urgent=True)
two.migrate()
shared = sdeiviz.debug(two.session())
shared

# %%
counts = Prediction(course.BLOCKTIME, shared)
counts

# %% [markdown]
# When you have decided: blocktime and more of the two guests before and of a third, whose source
# has a second connection, the **urgent channel**. On it goes only what was asked for (QEMU:
# *postcopy-preempt*).

# %%
from sdeiviz.views.migration import latency, summary

urgent = moving("sync", urgent=True)
urgent.migrate()
runs = *both, ("sync, urgent channel", urgent.record())
table("Three migrations", ("", *(name for name, _ in runs)), summary.rows(runs))

# %% [markdown]
# With asynchronous page fault there is no blocktime, but a page takes as long as before. Blocktime
# says how long nobody could run, **latency** how late a page was; neither tells the other. Downtime
# and total time are the same in all three: the link has to carry the same pages.

# %%
drawing("Latency", latency.svg(*runs), latency.text(*runs))

# %% [markdown]
# Each bar spans twice the time of the one before, as in QEMU. With an urgent channel a fault takes
# a round trip and little more. The exception: a page that lay in the other socket already. QEMU's
# developers measured a mean of 10.7 ms with one connection, and of 0.57 ms with two.

# %%
from sdeiviz.views.migration import traffic

alone = ("", runs[-1][1])
drawing("Traffic", traffic.svg(alone), traffic.text(alone))

# %% [markdown]
# The link is full nearly all the time. Requests are hardly anything.
#
# ## What breaks
#
# From the switch to the end the guest's memory is on two hosts, and neither has all of it.

# %%
cut = moving("arm64-v4", urgent=True)
cut.switch()
cut.lose_connection()
cut.finish()
torn = sdeiviz.debug(cut.session())
torn

# %%
unplugged = Prediction(course.CUT_OFF, torn)
unplugged

# %% [markdown]
# When you have decided: the life of the page that was on the wire.

# %%
record = cut.record()
lost = next(m for m in record.messages if m.delivered is None and m.channel == 1)
end = wire.life(record, lost.first)[-1].time
lines = [
    line
    for line in wire.span(record, lost.sent - 75_000, end)
    if line.passage is None or line.passage.first in (None, lost.first)
]
drawing("A connection is lost", wire.svg(lines), wire.text(lines))

# %% [markdown]
# Both sides pause the migration, not the guest. On a new connection the source asks what has come.
# The destination answers with its **received bitmap**, a bit for each page, and the source takes
# all others for dirty. So nobody needs to know what was lost on the wire. Open requests are made
# again, and M wakes up.
#
# And if the connection never comes back?

# %%
before, after = moving("sync"), moving("sync")
before.outage(before.time + 5_000_000)
after.switch()
after.outage(after.time + 2_000_000)
for guest, go_on in ((before, before.migrate), (after, after.finish)):
    try:
        go_on()
    except sdeiviz.Error as error:
        print(error, "- may it run at the source?", guest.source.may_run_on)

# %% [markdown]
# | lost | source | destination |
# |---|---|---|
# | before the switch | the guest, as without a migration | nothing: it runs on at the source |
# | after it | the missing pages: the guest runs until it needs one | the guest |
#
# With post-copy the second row lasts until the last page has come. That is the price of an end that
# is certain.
#
# ## The real thing
#
# Two processes and TCP, on this computer: the same messages, without a model of a link.

# %%
import subprocess
import sys

migrate = [sys.executable, "-m", "sdeiviz", "migrate"]
guest = ["kernel", "--memory", "4M", "--apf", "arm64-v4", "--append", "pages=384 time=100"]
pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
with subprocess.Popen([*migrate, "serve", *guest], **pipes) as there:
    address = there.stderr.readline().split()[-1]
    here = subprocess.run([*migrate, "to", address, *guest, "--after", "20ms"], **pipes)
    console, report = there.communicate()
print("here: ", here.stdout.splitlines()[0], "\nthere:", console.split(", ")[-1])
print(*(f"wall time: {line}" for line in report.splitlines()[1:5]), sep="\n")

# %% [markdown]
# The guest wrote the first line in one process, the last in the other. Run the cell again: the
# times differ. They are those of your computer and of Python; the guest is slower than any
# hardware, its network as fast as memory. So no claim should rest on them.
#
# How does a real host learn of missing pages? Linux has **userfaultfd**: a thread that touches one
# sleeps, and whoever serves the memory reads a message, puts the page there, and so wakes it. On
# the third guest's memory, which is used no more, if this system lets us:

# %%
from sdeiviz.migration.userfault import LinuxUserfault, UserfaultError

try:
    missing = LinuxUserfault(urgent.vm.memory.buffer)
    missing.discard(0, 1)
    missing.touch(0, "a thread")
    asleep = missing.wait(5) and missing.read()
    missing.copy(0, bytes(4096))
    missing.close()
    print("asleep over page", asleep[0].page, "until it was there:", *missing.woken())
except UserfaultError as error:
    print(error)

# %% [markdown]
# `sdeiviz migrate serve --userfault linux` serves its guest's memory like this.
#
# ## What you have now
#
# - Pre-copy ends if pages are sent faster than they become dirty. Post-copy always ends, and stakes
#   the guest on both hosts.
# - Advise, Discard, Listen, Run. Then requests overtake the background, but not a full socket.
# - Blocktime says how long nobody could run, latency how late a page was.
# - A lost connection costs time. A lost host costs the guest.
#
# Decide, then make a guest, `migrate()` it, and look at its `report()`:
#
# 1. `moving("sync", passes=0)`: how long does it all take now?
# 2. `moving("sync", buffer=1)`: which latency do most faults have, without an urgent channel?
# 3. `moving("arm64-v4", c=0)`: what becomes of blocktime, and what does M gain?
#
# Answers: half as long, for nearly all that the pass carried became dirty. 150 µs: the socket is
# empty. Blocktime is 0, and M gains nothing: the vCPU is idle instead.
#
# Next: [05: the claim](05_the_claim.ipynb).
