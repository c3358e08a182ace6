"""Mistakes in the drawings of a migration."""

from tests.mutants.mutation import Mutation

PAGES = "sdeiviz/views/migration/pages.py"
MOMENTS = "sdeiviz/views/migration/moments.py"
TRAFFIC = "sdeiviz/views/migration/traffic.py"
VCPUS = "sdeiviz/views/migration/vcpus.py"
LATENCY = "sdeiviz/views/migration/latency.py"
WIRE = "sdeiviz/views/migration/wire.py"
SUMMARY = "sdeiviz/views/migration/summary.py"
PLAYER = "sdeiviz/views/migration/player.py"
GAINS = "sdeiviz/views/gains.py"
SWEEPS = "sdeiviz/views/sweeps.py"

MUTATIONS = [
    Mutation(PAGES, "whole[row][one + 1][stage] += 1", "whole[row][one][stage] += 1", "twice"),
    Mutation(PAGES, "        if other < columns:\n", "        if False:\n", "the last column"),
    Mutation(PAGES, "if start <= time < end\n", "if start <= time\n", "marks beyond the box"),
    Mutation(
        PAGES,
        "partial[row][other][stage] += last - other * length",
        "partial[row][other][stage] += length",
        "a stage lasts to the end of its column",
    ),
    Mutation(
        PAGES,
        "for x, held in enumerate([*row, None]):",
        "for x, held in enumerate(row):",
        "a run to the end",
    ),
    Mutation(MOMENTS, "if new != old else None", "if new == old else None", "what stays is drawn"),
    Mutation(MOMENTS, "        last = [*shown]\n", "", "all of a film is drawn against its first"),
    Mutation(MOMENTS, "(Stage.REQUESTED, Stage.IN_FLIGHT)", "()", "rare stages are lost"),
    Mutation(MOMENTS, "{100 * n / frames:.2f}%", "{100 * n / (frames + 1):.2f}%", "too early"),
    Mutation(MOMENTS, "prefers-reduced-motion: reduce", "prefers-contrast: more", "it moves on"),
    Mutation(TRAFFIC, "min(n // group, count - 1)", "n // group", "bytes after the end"),
    Mutation(TRAFFIC, "max(record.bandwidth or 1, ", "min(record.bandwidth or 1, ", "the scale"),
    Mutation(TRAFFIC, "return amount * 8 *", "return amount *", "bytes for bits"),
    Mutation(
        TRAFFIC,
        "sums = [below + amount for below, amount",
        "sums = [amount for below, amount",
        "channels over each other",
    ),
    Mutation(VCPUS, "end if run is None else run", "end", "it stands for ever"),
    Mutation(VCPUS, "if stall.vcpu == vcpu\n", "if True\n", "all vCPUs are blocked alike"),
    Mutation(VCPUS, "if stall.halted else", "if not stall.halted else", "halted is blocked"),
    Mutation(
        VCPUS, "min(until, end))\n            for", "until)\n            for", "beyond the span"
    ),
    Mutation(PLAYER, "waited |= asked[n]", "waited = asked[n]", "a request is seen once"),
    Mutation(PLAYER, "not in (Stage.ARRIVED, Stage.ZERO)}", "}", "a request is seen for ever"),
    Mutation(PLAYER, "min(100, 100 * rate", "max(0, 100 * rate", "a link that is more than full"),
    Mutation(LATENCY, "[*WHO.values()][not up]", "[*WHO.values()][up]", "whose bar it is"),
    Mutation(LATENCY, "1 << number - power", "2 << number - power", "buckets' names"),
    Mutation(LATENCY, "sum(column)", "max(column)", "one vCPU's"),
    Mutation(
        WIRE,
        "start, end = (WIRE, SOURCE) if arrives",
        "start, end = (SOURCE, WIRE) if arrives",
        "answers go back",
    ),
    Mutation(WIRE, "0 if arrives else 2", "2", "placed before it arrives"),
    Mutation(WIRE, "found.sort(key=lambda one: one[:2])", "pass", "in no order"),
    Mutation(WIRE, "first <= page < first + passage.count", "first <= page", "others' messages"),
    Mutation(WIRE, "return lines[:MOST]", "return lines[:]", "a diagram of any length"),
    Mutation(WIRE, "or line.end != WIRE or", "or line.start != WIRE or", "no bars"),
    Mutation(WIRE, "queue[0] <= passage.sent", "False", "all are before a page for ever"),
    Mutation(WIRE, "lines[0].time) / 2 and", "lines[0].time) and", "no wait is named"),
    Mutation(WIRE, "lost and passage.delivered is not None", "False", "a page that came"),
    Mutation(WIRE, "max(end, bars[-1][1])", "end", "a bar ends with what was sent last"),
    Mutation(SUMMARY, "sum(r['bytes'][1:])", "sum(r['bytes'])", "all bytes are urgent"),
    Mutation(GAINS, "- _LOW) * _PLOT", "+ _LOW) * _PLOT", "dots at another gain"),
    Mutation(GAINS, "percent(2 * old", "percent(old", "half of what can be won"),
    Mutation(GAINS, "latency - work - host) / (", "latency - work) / (", "messages cost nothing"),
    Mutation(GAINS, "if mean <= edge", "if mean", "marks beyond the edge"),
    Mutation(GAINS, "span(line.fewest, line.most)}", "percent(line.pages)}", "M without its seeds"),
    Mutation(GAINS, "case.c and case.m == case.c", "case.c", "any bound is drawn as one"),
    Mutation(GAINS, "[CLAIM, *parameters.published]", "parameters.published", "no claim"),
    Mutation(SWEEPS, "high - min(ratio, high)", "high - ratio", "points above the panel"),
    Mutation(SWEEPS, '"beyond" if out else kind', "kind", "what is beyond looks like the top"),
    Mutation(SWEEPS, "if limit == 1", "if limit", "the claim of any number of threads"),
    Mutation(SWEEPS, "if what not in _KINDS:", "if True:", "a line from one order to another"),
    Mutation(SWEEPS, "bound(case.m, case.c)", "bound(of.m, of.c)", "the bound stays"),
    Mutation(
        SWEEPS,
        'else f"{value / size:g}"',
        'else f"{value:g}"',
        "nanoseconds that are called microseconds",
    ),
]
