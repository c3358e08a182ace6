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
# # The claim: 41 to 68 per cent
#
# One idea: a percentage says nothing until you know of which quantity it is, over which window,
# and who paid for it.
#
# After this notebook you can
#
# - read a published gain: its quantity, its window, and what it leaves out;
# - estimate C's gain from three times, and say when the estimate fails;
# - tell a gain that was won from one that M paid for;
# - name what raises the gain, what lowers it, and guests that gain nothing;
# - run a sweep yourself, stop it, and let it go on.
#
# The text takes a quarter of an hour, with all outputs half an hour. The words of
# [03](03_async_page_fault.ipynb) and [04](04_postcopy.ipynb) are not explained again: M faults, C
# computes, the guest's scheduler is fair.
#
# ## Words
#
# - A requested page waits behind what the source's **socket buffer** holds, unless there is an
#   urgent channel. Cases that have one are called `preempt`.
# - The **window**, over which everything is counted, is from the guest's start on the destination
#   until its last page is there.
# - *Blocked* is blocktime as a share of the window: no vCPU could run.
#
# ## What was claimed
#
# Gavin Shan, in June 2022, of his talk at KVM Forum 2021: "41% to 68% improvement in live
# post-copy migration". The slides we could not find. He posted ([3] and (b) are tests in his
# mails):

# %%
from sdeiviz.classroom import drawing, table
from sdeiviz.experiment import load_postcopy
from sdeiviz.views import gains

parameters = load_postcopy()
rows = [(gains.span(p.low, p.high), p.measured, p.source) for p in gains.published(parameters)]
table("Published", ("gain", "of what", "source"), rows)

# %% [markdown]
# As a reviewer reads them:
#
# - **Which quantity?** 68 % is C's *rate*, units in a second, in version 3. 41 % may be one too,
#   or the 41.1 % by which M's *run time* fell in version 3 under swap (as in version 4, see 03),
#   where C's rate fell as well.
# - **Which window?** In version 2 M's whole run, 241 s without asynchronous page fault and 659
#   with; 10 s of migration are too little for 65 % over all. In version 3 it fits: M ran for 53 to
#   60 s, the migration took 57 to 63.
# - **How many faults?** Version 2 had 121 requests in 9.6 s without, 75 with. At 10 ms each, as
#   QEMU's took in 2022, 12.6 % was lost. C, which has half of the time, can gain 12.6 / 50 from
#   that: 25 %.
# - **Was it post-copy?** Versions 3 and 4 do not say.
# - **Who paid?** In version 2 M: its five passes took 2.7 times as long. In versions 3 and 4 not
#   M: beside C its time fell, by 7 to 10 and by 3 to 7 %. (M alone took 14 % longer in version 4,
#   which 100 faults cannot explain.)
#
# ## Predict: who pays?
#
# The guest of 03 once more, for 20 ms. M computes for 30 µs after each fault.

# %%
import sdeiviz
from sdeiviz.classroom import Prediction, course, swapping

near = sdeiviz.debug("kernel", **swapping("arm64-v4", latency=2_000))
asked = Prediction(course.NEAR, near)
asked

# %% [markdown]
# *Go and see* moves this debugger. Open its tab **Threads**: it shows who ran.

# %%
near

# %% [markdown]
# When you have decided:

# %%
import re

rows = []
for mode in ("sync", "arm64-v4"):
    session = sdeiviz.Session("kernel", **swapping(mode, latency=2_000))
    session.run()
    now = session.snapshot()
    done = dict(re.findall(r"^([MC])0: cpu 0, done (\d+)", now.console, re.M))
    blocked = f"{now.accounts[0]['blocked'] / 1000:,.0f} µs"
    rows.append((mode, f"{int(done['C']):,}", done["M"], blocked))
table("A page 2 µs away", ("mode", "C: units", "M: pages", "blocked"), rows)

# %% [markdown]
# C gains 52 %, well within the claim, and the guest as a whole next to nothing: 0.4 ms of 20 were
# blocked, and no more could be won. M paid the rest. At each fault it gives up the CPU for two
# microseconds. Some ten times it gets it back at once: who slept may catch up by half a slice.
# Then C keeps the CPU to the end of its slice, 3 ms. That is no gain of asynchronous page fault.
#
# So from here on M's pages stand beside C's rate. And what was **blocked**, divided by C's half,
# can be won; what is above that comes from M.
#
# ## One migration, here and now
#
# A guest of 72 MiB. M writes 64 of them, in random order, and computes for 10 µs a page. The link
# has 10 Gbit/s and 50 µs each way, and there is an urgent channel: the case `preempt_fast`. Time
# is virtual: nothing but the parameters matters. The cell makes two migrations, and keeps them in
# `mine.csv`.

# %%
from pathlib import Path

from sdeiviz.classroom import progress
from sdeiviz.experiment import Table, complete, jobs, migrate

work = jobs(parameters.migration("preempt_fast"), parameters, seeds=[1])
own = Table(Path("mine.csv"))
mine = list(complete(work, own, runner=migrate, progress=progress("Runs")))

# %% [markdown]
# This package holds 165 of them: twelve cases with three seeds, one of them in five modes, and ten
# sweeps. A seed is a moment at which the migration starts. What your computer has just measured
# must be among them, to the last digit:

# %%
from sdeiviz.experiment import compare, measured

kept = measured()
for row in mine:
    same = any(all(r[k] == row[k] for k in row if k != "result.host_seconds") for r in kept)
    units, pages, time = (int(row[f"result.{k}"]) for k in ("computed", "touched", "window"))
    print(f"{row['mode']:9} C {units:,} units, M {pages:,} pages in {time:,} ns; kept: {same}")
(line,) = compare(parameters.migration("preempt_fast"), mine)
print(f"C gains {gains.percent(line.gain)}, M's pages {gains.percent(line.pages)}")

# %% [markdown]
# ## All cases
#
# All other cases have a slower link: 1 Gbit/s, or what version 2 and 3 report. In `empty_buffer`
# nothing ever is in front of a requested page; in `vanilla` 1.2 MB are, and `preempt` is the same
# with an urgent channel. In `preempt_work` M computes for 50 µs a page, in `sequential` it writes
# in order.
#
# `v2` and `v3` have the throughput of Gavin Shan's migrations, one pass over all pages before the
# switch, and `v2` its 80 % of zeros. M's order is not known, so each is here twice. They are not
# his migrations: version 2's 121 requests would be 4 in our `v2`, 33 times smaller. It has 11, and
# in order 1,300.
#
# Parameters and expectations were written down before the first run, and never changed.

# %%
drawing(gains.TITLE, gains.svg(parameters, kept), gains.text(parameters, kept))

# %%
title = "The same and more in numbers (click)"
table(title, gains.COLUMNS, gains.rows(parameters, kept), folded=True)

# %% [markdown]
# Only the table has `four_to_one` (four Ms, bound +400 %), `m_alone` (no C), and, without
# asynchronous page fault, *a fault takes* and *blocked*. With it, the guest was told of 95 % of
# faults or more.
#
# Two cases fall within the claim, and `preempt_fast` with one seed. That is weak evidence either
# way: most parameters are assumed, the boxes are 15 to 70 points wide, and no case is what version
# 2 or 3 did.
#
# Where pages take long, the gain is the bound. `v2` is even above it: 52 % was blocked, so that C
# had less than half, and would have got it back after the window. Where M writes in order, the
# next page is about to come, and little or nothing is gained. In no run did M write over 1 % fewer
# pages. How many more is a sign and no size: `v2` writes 58 or 84, and seeds are far apart.
#
# Two more things do not fit. In our `v2` requests double, because M gets on; in the real one they
# fell. And version 3's M took 7 to 10 % less time; ours writes at least 47 % more pages, in order
# as many.
#
# Four cases came out above what we had expected, mostly from an event model without guest code.
# The reasons were added after the first run.

# %%
rows = [(case.name, case.outside) for case in parameters.migrations.values() if case.outside]
table("Why a case lies outside of the claim (click)", ("case", "reason"), rows, folded=True)

# %% [markdown]
# ## Where the number comes from
#
# Take one fault of M. Its page takes L. The host's work until the next fault takes n: some 12 µs
# for this one, and 2.8 µs for each page that had come unasked and is touched first. Between two
# faults M computes for w: more than its 10 µs a page, since many pages are there already. While
# the page is on its way C runs; while M computes it does not. So C has about L / (L + w + n) of
# the time. Without asynchronous page fault it has half. The ratio, minus 1:
#
# **gain ≈ (L - w - n) / (L + w + n)**
#
# When L is long it tends to +100 %, the bound f / m. When L is no longer than w + n, no gain is
# left.

# %%
table("An estimate from three times", gains.ESTIMATED, gains.estimates(parameters, kept))

# %% [markdown]
# Only `v2` is beyond what can be won (the last column), as it is above the bound.
#
# The estimate is 9 points too low for `preempt_work`; we do not know why. For `sequential` it
# forgets C's fair half. For the other two in order it is too high: part of n is done while the
# page is on its way.
#
# ## Sensitivity
#
# One thing is varied at a time, with one seed: that of the highest gain in `preempt` and
# `preempt_fast`. Between seeds C's gain moved by up to 7 points, at 10 Gbit/s by 23, with four Ms
# by 79; M's pages by hundreds.

# %%
from sdeiviz.views import sweeps

shown = [name for name in parameters.sweeps if name not in ("jump", "passes")]
drawing(sweeps.TITLE, sweeps.svg(parameters, kept, *shown), sweeps.text(parameters, kept))

# %% [markdown]
# - **Latency and buffer** raise it: a longer L. 12 MB lead above the bound, as in `v2`.
# - **Bandwidth** lowers it, to +67 % at 2.5 Gbit/s, and no further: from 10 on placing a page
#   takes longer than the wire, which we had not expected. The +79 % at 10 are this seed's; the
#   mean is +69.
# - **A notification** matters little until it takes 50 µs. We found no figure for arm64.
# - **Work** per page lowers it, from +90 to +28 %, and **order** decides most. We found neither in
#   any mail.
# - **Threads**: more Ms raise it, more Cs lower it, as the bound does.
#
# Not drawn, since C's gain moved by 5 points at most: passes of pre-copy, and whether the
# background goes on from a requested page.
#
# Bandwidth, work and notifications lead into the claimed band: a gain within it proves no set-up.
#
# ## Where C gains nothing
#
# Three of these were in 03, two here:
#
# - nobody else can run (`m_alone`), or C needs a lock that M holds: C lost two thirds;
# - the kernel touches the page: the fault is not told;
# - pages come in order, or are near.
#
# One is left: the host has other vCPUs for the CPU. The next cells sweep their number on a small
# guest, each vCPU with one M and one C, all on one CPU. They are a pattern for your own sweeps.
# Stop the second while its bar moves (a red traceback ends in `KeyboardInterrupt`) and run it
# again: it makes only the runs that `sweep.csv` lacks.

# %%
from dataclasses import replace

from sdeiviz.experiment import Sweep, sweep_jobs

small = parameters.set("workload.pages", 1024).set("workload.memory", 8)
small = small.set("link.buffer", 100_000).set("guest.slice", 750_000)
small = small.set("guest.tick", 1_000_000).set("guest.wakeup", 250_000)
sweep = Sweep("own", "preempt", "vcpus", (1, 2, 4), ("sync", "arm64-v4"))
small = replace(small, sweeps={"own": sweep})

# %%
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
    work, own = sweep_jobs("own", small), Table(Path("sweep.csv"))
    swept = list(complete(work, own, pool, runner=migrate, progress=progress("Runs")))
drawing("A sweep on a small guest", sweeps.svg(small, swept), sweeps.text(small, swept))

# %% [markdown]
# With two vCPUs C gains little, with four it loses, and M gains each time, with two other seeds
# too. While one vCPU waits the host runs another: with four, only 6 of 36 ms were blocked, and
# notifications took 3. So C gains where a CPU belongs to one vCPU.
#
# ## What is assumed
#
# What the next table calls "assumed", each with a range. Beyond that: the guest is our kernel, not
# Linux; two made-up threads are its work; 64 MiB stand for 4 GiB. The notifications, the scheduler
# and the faults are executed.

# %%
rows = [
    (name, f"{p.value:,.15g}", p.unit, p.source, p.why) for name, p in parameters.values.items()
]
title = "Every parameter and its source (click)"
table(title, ("name", "value", "unit", "source", "why"), rows, folded=True)

# %% [markdown]
# ## A solution in search of a problem?
#
# So Marc Zyngier called the series, and missed a workload ([00](00_start_here.ipynb)).
#
# - The claim is possible. A C gains 41 to 68 % where a fault takes some tenths of a millisecond
#   and M computes for some tens of microseconds, and more where it takes longer.
# - The claim is not reproduced. Order, work and window of the published runs are unknown. With
#   their throughput and zeros we get from -2 to +105 %, but at least three times version 2's
#   requests.
# - It is of a guest made for it: a C for every M, no lock, a CPU of its own. The only real
#   workload that we found on arm64, a kernel build under swap, took 9.7 to 9.9 % less time. On x86
#   there are a web server and a database in post-copy (Hirofuchi, Yamahata, Itoh 2015; their
#   figures we could not get), and +26 % for two such threads at 10 ms a fault (Kalyazin 2024).
#
# Post-copy has moved on: QEMU's urgent channel made faults of one thread 19 times shorter (10.7 to
# 0.57 ms), of 16 twice, and needs nothing of the guest. But our `preempt` has it, and still gains
# 79 %.
#
# ## What you have now
#
# - Beyond what was blocked, a gain is M's, or the window's.
# - Gain ≈ (L - w - n) / (L + w + n), over a long window at most f / m.
#
# Decide before you run:
#
# 1. In the first migration, `parameters.set("link.delay", 1_000_000)` for the second `parameters`:
#    what becomes of C's gain?
# 2. In the last sweep, `"c", (1, 3)` for `"vcpus", (1, 2, 4)`: what is the bound for three Cs?
# 3. A colleague reports 30 % less run time of M under swap. What do you ask for?
#
# Answers: L grows to 2 ms, and the gain to nearly +100 %. +33 %. C's rate and M's pages over one
# window, the order and the work per page, what was blocked, and how many CPUs there were.
