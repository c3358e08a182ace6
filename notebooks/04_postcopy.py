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
# The text takes twelve minutes, with all outputs forty.
#
# ## Words
#
# - A running guest moves from one host, the source, over a link to another, the destination.
# - **Pre-copy** sends the memory while the guest runs on the source. A page written after it was
#   sent is **dirty**: it has to be sent again.
# - **Downtime** is how long the guest runs nowhere.
#
# The guest is the one of [03](03_async_page_fault.ipynb), smaller: 1,024 pages of RAM, from
# 0x40000000 on. M writes 384 of them in random order and computes for some 9 µs after each; C only
# computes. The link carries 1 Gbit/s, a page in 33 µs, and each way takes 50 µs more. Time is
# virtual, until the last section.
#
# ## Why not copy first?
#
# `moving` makes a guest with both hosts, here one that runs for 200 ms. `switch()` makes the passes
# of pre-copy and moves it; `left()` tells how many pages were dirty after each pass. Over this
# link, and over one ten times as fast:

# %%
import sdeiviz
from sdeiviz.classroom import moving, table

rows = []
for bandwidth in (1_000_000_000, 10_000_000_000):
    guest = moving("sync", passes=4, bandwidth=bandwidth, time=200)
    guest.switch()
    left = guest.left()
    rest = f"{left[-1] * 4096 * 8 / bandwidth * 1000:.2f} ms"
    rows.append((f"{bandwidth:,} bit/s", ", ".join(map(str, left)), rest))
table("Dirty pages after each pass", ("link", "dirty", "to send the last takes"), rows)

# %% [markdown]
# The first pass sends every page, each further one those that are dirty. M has half of the time and
# writes one page in some 20 µs. The slow link carries one in 33: during each pass M comes round to
# all its 384 pages, and the kernel to 7 of its own, for ever. The fast link carries one in 3.3 µs,
# and the destination places one in 4: each pass is shorter, and leaves less.
#
# So compare **how fast pages become dirty with how fast they are sent**. If they become dirty
# faster, pre-copy must at last stop the guest and send the rest: 13 ms of downtime here, more than
# a minute for a guest that always writes to 10 GB.
#
# ## The guest first
#
# Post-copy makes one pass, stops the guest, and moves it without the dirty pages. On the
# destination they are missing in stage 2, as if they had been swapped out. The names are QEMU's, or
# nearly:
#
# | phase | what goes over the link | what it means |
# |---|---|---|
# | pre-copy | Advise | post-copy will follow |
# | pre-copy | pages | one pass over all |
# | downtime | Discard | these pages are dirty: throw away what you have of them |
# | downtime | Listen, State, Run | in one: be ready to ask for pages; registers and devices; go |
# | post-copy | ← RequestPages | a **page request**, on the **return path**: one is needed |
# | post-copy | pages | those asked for first, in between all others |
# | post-copy | Checksum, End | that was all; does its sum agree with yours? |
#
# Sending "all others" unasked is the **background push**. It goes by the pages' numbers; where a
# page was asked for, it goes on behind that one. Of a page of zeros only the number is sent. Each
# missing page is sent once, so the end is certain.
#
# The guest, in two modes of 03. The player shows the first:

# %%
from sdeiviz.widgets import Player

waiting, told = moving("sync"), moving("arm64-v4")
for guest in (waiting, told):
    guest.migrate()
Player(waiting.record())

# %% [markdown]
# Play it, or move the slider with the arrow keys. Pre-copy fills the map. In downtime the dirty
# pages show; they are missing when the guest runs over there. A page that was asked for has an
# outline until it is here; PE 0 is blocked meanwhile. The link is full but for pages of zeros.
#
# All of it at one glance, a square for each page request:

# %%
from sdeiviz.classroom import drawing
from sdeiviz.views.migration import pages

record = waiting.record()
drawing("Pages", pages.svg(record), pages.text(record))

# %% [markdown]
# ## The guest does not notice
#
# Looked at every 6 ms, which is a slice of M and one of C. The third look is at the arrival.

# %%
rows, counted = [], moving("arm64-v4")
for look in range(5):
    if look == 2:
        counted.switch()
    else:
        counted.run_until(counted.time + 6_000_000)
    where = "destination" if counted.arriving.running else "source"
    work, clocks = counted.work(), (counted.vm.time, counted.time)
    seen = (where, *(f"{time:,}" for time in clocks), f"{work.computed:,}", f"{work.touched:,}")
    rows.append((*seen, f"{work.errors}"))
clocks = "the guest's clock, ns", "the link's clock, ns"
table("Work", ("host", *clocks, "C: units", "M: pages", "errors"), rows)

# %% [markdown]
# Both counters go on. M finds on each page what it wrote there last, on whichever host: no errors.
# The guest's clock stands during downtime; only the link's shows these 0.83 ms. Most of them are a
# queue: Discard and State wait behind pages sent before. (Without pre-copy it is 0.10 ms.) But on
# the destination C has become fast and M slow. Why?
#
# ## One page, and nobody is told
#
# The debugger below stands at the guest's arrival. The source is gone: its pages are replayed
# (see the table *Pages*).

# %%
from sdeiviz.classroom import Prediction, course

there = sdeiviz.debug(waiting.session())
fetched = Prediction(course.FETCHED, there)
fetched

# %%
there

# %% [markdown]
# When you have decided: the fault as the destination sees it, whose *store* is now the source, and
# the same page on its way.

# %%
from sdeiviz.views import fault
from sdeiviz.views.migration import wire

there.run()
steps = fault.life(there.snapshot().trace, 1)
there.goto(steps[0].index)
drawing("A fault that waits", fault.drawn(steps), fault.text_of(steps))

# %%
lines = wire.life(record)
drawing("Its way", wire.svg(lines), wire.text(lines))

# %% [markdown]
# The destination needs 6.7 µs to ask, the request 50 to get there. Then this page is sent next. But
# sending means: into a socket of 64 KiB, full of background. Nothing overtakes within a connection:
# 17 pages are before it, 15 in the socket and two on the wire. **That wait, and not the way, is
# most of the latency.**
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
# In the debugger's table *Last fault* these steps are links. Follow them: the handler ends, M
# sleeps, C runs. The source sees no difference; here a worker of the host waits, not the vCPU.
#
# Both on one axis:

# %%
from sdeiviz.views.migration import vcpus

both = ("sync", waiting.record()), ("arm64-v4", told.record())
drawing("Both", vcpus.svg(*both), vcpus.text(*both))

# %% [markdown]
# The gap at 21 ms is C's slice: C needs no page. The one cross of arm64-v4 is a fault at EL1, where
# nobody can be told; its page had just come, so the wait was 0 ns. Its first page-ready is the
# message to everybody (03): whoever slept on the other host wakes here.
#
# ## What is counted
#
# A vCPU is blocked from the first missing page that it waits for until it waits for none. QEMU's
# **blocktime** counts while *all* vCPUs are blocked. A fault that a worker waits for blocks nobody.
#
# Here are two vCPUs, and a source with a second connection, the **urgent channel** (QEMU:
# *postcopy-preempt*): only what was asked for goes there, past the full socket.

# %%
two = moving("sync", vcpus=2, urgent=True)
two.migrate()
counts = Prediction(course.BLOCKTIME)
counts

# %% [markdown]
# When you have decided:

# %%
record = two.record()
begin = record.stalls[0].begin
span = begin - 20_000, begin + 300_000
shown = ("sync, two vCPUs", record)
drawing("Two vCPUs", vcpus.svg(shown, span=span), vcpus.text(shown, span=span))

# %% [markdown]
# The guests so far, and one with one vCPU and an urgent channel:

# %%
from sdeiviz.views.migration import latency, summary

urgent = moving("sync", urgent=True)
urgent.migrate()
runs = *both, ("sync, urgent", urgent.record()), ("sync, urgent, two vCPUs", record)
done = [guest.work_since_switch() for guest in (waiting, told, urgent, two)]
units = "C: units since the switch", *(f"{work.computed:,}" for work in done)
written = "M: pages since the switch", *(f"{work.touched:,}" for work in done)
rows = [units, written, *summary.rows(runs)]
table("Four migrations", ("", *(name for name, _ in runs)), rows)

# %% [markdown]
# Asynchronous page fault takes away all blocktime: C does 40 % more, and M gets to twice as many
# pages, though each takes as long. The urgent channel cuts latency to less than a third, but
# blocktime only by a third, since M gets further and needs more pages. **Blocktime says how long
# nobody could run, latency how late a page was.** Total time hardly changes: the link carries the
# same pages.

# %%
drawing("Latency", latency.svg(*runs[:3]), latency.text(*runs[:3]))

# %% [markdown]
# Each bar spans twice the time of the one before, as in QEMU. With an urgent channel a fault takes
# a round trip and little more; one page took over 256 µs: it lay in the full socket already.
# QEMU's developers measured a mean of 10.7 ms with one connection, and of 0.57 ms with two.
#
# ## What breaks
#
# From the switch to the end the guest's memory is on two hosts, and neither has all of it.

# %%
cut = moving("arm64-v4", urgent=True)
cut.switch()
cut.lose_connection()
cut.finish()
unplugged = Prediction(course.CUT_OFF)
unplugged

# %% [markdown]
# When you have decided: the life of the page that was on the wire.

# %%
lines = wire.recovery(cut.record())
drawing("A connection is lost", wire.svg(lines), wire.text(lines))

# %% [markdown]
# Both sides pause the migration, not the guest. On a new connection (OpenReturnPath, Advise) the
# source asks what has come. The destination answers with its **received bitmap**, a bit for each
# page: all others are to be sent, whatever was lost. After Resume, open requests are made again.
#
# And if the connection never comes back?

# %%
before, after, rows = moving("sync"), moving("sync"), []
before.outage(before.time + 5_000_000)
after.switch()
after.outage(after.time + 2_000_000)
for guest, go_on in ((before, before.migrate), (after, after.finish)):
    try:
        go_on()
    except sdeiviz.Error as error:
        rows.append((str(error), "yes" if guest.source.may_run_on else "no"))
table("Lost for good", ("error", "may the guest run on at the source?"), rows)

# %% [markdown]
# | a host fails | lost with the source | lost with the destination |
# |---|---|---|
# | before the switch | the guest, as without a migration | nothing: it runs on at the source |
# | after it | the missing pages: the guest runs until it needs one | the guest |
#
# The second row lasts until the last page has come: the price of an end that is certain.
#
# ## The real thing
#
# Two processes and TCP, on this computer: the same messages, no model of a link.

# %%
from sdeiviz.classroom import two_processes

options = "--memory", "4M", "--apf", "arm64-v4", "--append", "pages=384 time=100"
console, report = two_processes("kernel", *options)
first, *_, last = console.splitlines()
print(f"on the source:      {first}\non the destination: {last}")
print(*(f"wall time: {line}" for line in report.splitlines()[1:5]), sep="\n")

# %% [markdown]
# Run the cell again: the times differ. They are your computer's and Python's, so no claim should
# rest on them. Even the guest's own window may differ by some ns: its pages come when they come.
#
# How does a real host learn of missing pages? Linux has **userfaultfd**: a thread that touches one
# sleeps, and whoever serves the memory reads a message, puts the page there, and so wakes it.
# `sdeiviz migrate serve --userfault linux` serves its guest's memory like this.
#
# ## What you have now
#
# - Pre-copy ends if pages are sent faster than they become dirty. Post-copy always ends; until then
#   the guest needs both hosts.
# - Requests overtake the background, but not a full socket.
# - A lost connection costs time. A lost host costs the guest, or what it still needs.
#
# Decide, then make a guest, `migrate()` it, and `print(summary.text(("", guest.record())))`:
#
# 1. `moving("sync", passes=0)`: how long does it all take now?
# 2. `moving("sync", buffer=1)`: which latency do most faults have, without an urgent channel?
# 3. `moving("arm64-v4", c=0)`: what becomes of blocktime, and what does M gain?
#
# Answers: half as long, for nearly all that the pass carried became dirty. 150 µs: the socket is
# empty. Blocktime is 0, and M gains nothing: the vCPU is idle instead.
#
# Next: [05: the claim](05_the_claim.ipynb).
