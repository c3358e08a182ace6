"""The command line: run or move a guest, read a trace, list profiles, check, open the notebooks."""

import argparse
import contextlib
import json
import os
import re
import sys
import textwrap
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from sdeiviz import __version__
from sdeiviz.errors import Error
from sdeiviz.trace import Reader, Record, Trace, TraceSink, load
from sdeiviz.trace.jsonl import encode, header_line

if TYPE_CHECKING:
    from sdeiviz.machine import VirtualMachine
    from sdeiviz.migration.record import Witness

EXIT_OK: Final = 0
EXIT_USAGE: Final = 2
EXIT_STOPPED: Final = 3
EXIT_BUDGET: Final = 4
EXIT_INTERRUPTED: Final = 130

_SUFFIXES: Final = {"K": 10, "M": 20, "G": 30}
_UNITS: Final = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Parameters
    ----------
    arguments
        What follows the program's name; None for the process's own.
    """
    parser = _parser()
    try:
        options, rest = parser.parse_known_args(arguments)
        if rest and options.command != "lab":
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        options.rest = rest
        return int(options.function(options))
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else EXIT_USAGE
    except Error as error:
        print(f"sdeiviz: {error}", file=sys.stderr)
        return EXIT_USAGE
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            print(f"sdeiviz: cannot write: {error.strerror}", file=sys.stderr)
        # What is still buffered cannot go anywhere either; say nothing more of it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return EXIT_STOPPED if isinstance(error, BrokenPipeError) else EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sdeiviz", description="A hypervisor you can watch: SDEI on a real arm64 core."
    )
    parser.add_argument("--version", action="version", version=f"sdeiviz {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run",
        help="run a guest; its console goes to stdout",
        description=_RUN,
        formatter_class=_Raw,
    )
    _add_machine(run)
    run.add_argument("--instructions", type=_number, metavar="N", help="stop after N instructions")
    run.add_argument(
        "--until", metavar="REGEX", type=_regex, help="stop when a line of the console matches"
    )
    run.add_argument("--trace", metavar="FILE", help="write every event as JSON Lines")
    run.set_defaults(function=_run)

    _add_migrate(commands)

    trace = commands.add_parser("trace", help="show a trace file as text")
    trace.add_argument("file", metavar="FILE")
    trace.set_defaults(function=_trace)

    profiles = commands.add_parser("profiles", help="list the profiles and what each knob means")
    profiles.set_defaults(function=_profiles)

    selfcheck = commands.add_parser("selfcheck", help="check that this installation works")
    selfcheck.set_defaults(function=_selfcheck)

    lab = commands.add_parser("lab", help="open the notebooks in JupyterLab, on a copy of your own")
    lab.add_argument(
        "directory",
        metavar="DIR",
        nargs="?",
        default="sdeiviz-notebooks",
        help="where the copy is, or goes",
    )
    lab.add_argument("--copy-only", action="store_true", help="only copy the notebooks")
    lab.set_defaults(function=_lab)
    return parser


def _add_machine(parser: argparse.ArgumentParser) -> None:
    """Add what says which machine a guest runs on."""
    parser.add_argument(
        "image",
        metavar="IMAGE|NAME",
        help="an ELF file, a flat image, or a bundled guest such as delivery",
    )
    parser.add_argument(
        "--load", type=_number, metavar="ADDR", help="load a flat image at this address"
    )
    parser.add_argument(
        "--entry", type=_number, metavar="ADDR", help="start here instead of at the image's entry"
    )
    parser.add_argument(
        "--memory",
        type=_size,
        metavar="SIZE",
        default=128 << 20,
        help="RAM, such as 64M (default 128M)",
    )
    parser.add_argument(
        "--vcpus", type=_number, metavar="N", default=1, help="number of vCPUs (default 1)"
    )
    parser.add_argument(
        "--quantum", type=_number, metavar="N", default=20_000, help="instructions of a vCPU's turn"
    )
    parser.add_argument("--gic", type=int, choices=(2, 3), default=2, help="version of the GIC")
    parser.add_argument(
        "--dtb",
        type=_number,
        metavar="ADDR",
        help="where the device tree goes (default: the start of RAM); x0 points at it",
    )
    parser.add_argument(
        "--append", metavar="TEXT", help="command line for a kernel, in the device tree"
    )
    parser.add_argument(
        "--profile", metavar="NAME", default="kvm-v7", help="SDEI profile (default kvm-v7)"
    )
    parser.add_argument(
        "--set",
        metavar="KNOB=VALUE",
        action="append",
        default=[],
        help="change one knob of the profile",
    )
    parser.add_argument(
        "--apf",
        metavar="MODE",
        help="let the host take RAM behind the image away, and treat a missing page like this:"
        " arm64-v4, arm64-v4-literal, irq-only, x86-rules, halt or sync",
    )
    parser.add_argument(
        "--latency",
        type=_duration,
        metavar="TIME",
        default=50_000,
        help="how long a missing page takes, such as 50us (virtual time; with --apf)",
    )
    parser.add_argument(
        "--resident", type=_number, metavar="PAGES", help="pages that may be there (with --apf)"
    )


def _add_migrate(commands: Any) -> None:
    migrate = commands.add_parser(
        "migrate",
        help="move a running guest to another process",
        description=_MIGRATE,
        formatter_class=_Raw,
    )
    sides = migrate.add_subparsers(dest="side", required=True, metavar="SIDE")
    serve = sides.add_parser("serve", help="let a guest come, and run it to its end")
    _add_machine(serve)
    serve.add_argument(
        "--listen",
        metavar="HOST:PORT",
        default="127.0.0.1:0",
        help="where to listen (default: this computer, any free port)",
    )
    serve.add_argument(
        "--userfault",
        choices=("emulated", "linux"),
        default="emulated",
        help="linux: let the system keep absent pages back",
    )
    serve.add_argument(
        "--patience",
        metavar="TIME",
        type=_duration,
        default=60_000_000_000,
        help="how long a source that was lost may stay away (default 60s)",
    )
    serve.set_defaults(function=_migrate_serve)
    to = sides.add_parser("to", help="run a guest, and hand it over while it runs")
    to.add_argument("address", metavar="HOST:PORT", help="where the other side listens")
    _add_machine(to)
    to.add_argument(
        "--after",
        metavar="TIME",
        type=_duration,
        default=0,
        help="let the guest run for so long first, such as 5ms (virtual time)",
    )
    to.add_argument(
        "--passes",
        metavar="N",
        type=_number,
        default=1,
        help="passes over RAM before the guest is handed over (default 1)",
    )
    to.add_argument(
        "--bandwidth",
        metavar="SIZE",
        type=_size,
        help="bytes a second, such as 100M, but for pages that are asked for",
    )
    to.add_argument(
        "--one-channel", action="store_true", help="no second connection for what is asked for"
    )
    to.add_argument(
        "--tries",
        metavar="N",
        type=_number,
        default=10,
        help="how often to try to reach a destination that was lost (default 10)",
    )
    to.set_defaults(function=_migrate_to)
    for parser in (serve, to):
        parser.add_argument(
            "--secret-file", metavar="FILE", help="a file that both sides have the same of"
        )
        parser.add_argument(
            "--timeout",
            metavar="TIME",
            type=_duration,
            default=10_000_000_000,
            help="silence after which a connection counts as lost (default 10s)",
        )
        parser.add_argument("--json", action="store_true", help="the report as one line of JSON")
        parser.add_argument(
            "--record",
            metavar="FILE",
            help="write what this side saw, to be drawn (sdeiviz.migration.recordfile.load)",
        )


_Raw = argparse.RawDescriptionHelpFormatter
_RUN: Final = """\
Run a guest until it powers off. Messages go to stderr.

exit code   0  powered off, or --until matched
            2  wrong usage or a bad file
            3  stopped otherwise, or powered off without the match
            4  --instructions used up
          130  Ctrl-C; the trace file is complete"""


_MIGRATE: Final = """\
Move a running guest from one process to another. Both are given the same machine options; where
there is no --apf, a missing page lets the vCPU wait. The console goes to stdout on the side where
the guest is; progress and, at the end, what it was like go to stderr.

exit code   as `run` has it for the side where the guest ends; 0 for the side that it has left"""


def _number(text: str) -> int:
    try:
        value = int(text, 0)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 <= value < 1 << 64:
        raise argparse.ArgumentTypeError(f"{text} is not an unsigned 64-bit number")
    return value


def _size(text: str) -> int:
    shift = _SUFFIXES.get(text[-1:].upper(), 0)
    return _number(text[:-1] if shift else text) << shift


def _duration(text: str) -> int:
    """Return nanoseconds."""
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)(ns|us|ms|s)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 50us or 1.5ms")
    return round(float(found[1]) * _UNITS[found[2]])


def _regex(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a regular expression: {error}") from None


class _Writer:
    """A trace that goes to a file as it happens."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._reader = Reader()

    def extend(self, record: Record, /) -> None:
        for event in self._reader.read(record):
            self._file.write(encode(event) + "\n")


@contextlib.contextmanager
def _sink(path: str | None, header: dict[str, Any]) -> Iterator[TraceSink]:
    """Open the trace file, if one is wanted."""
    if path is None:
        yield deque(maxlen=0)
        return
    try:
        file = open(path, "w", encoding="utf-8", newline="\n")  # noqa: SIM115  (closed below)
    except OSError as error:
        raise Error(
            f"{path}: cannot write the trace there ({error.strerror}); choose another file"
        ) from None
    with file:
        file.write(header_line(**header))
        yield _Writer(file)


def _machine(options: argparse.Namespace, default_apf: str | None = None) -> "VirtualMachine":
    """Return the machine that the options describe."""
    from sdeiviz.machine import Paging, VirtualMachine
    from sdeiviz.machine.latency import Constant
    from sdeiviz.sdei import profile

    rules = profile(options.profile)
    for assignment in options.set:
        rules = rules.set(assignment)
    apf = options.apf or default_apf
    paging = Paging(apf, Constant(options.latency), resident=options.resident) if apf else None
    return VirtualMachine(
        options.image,
        profile=rules,
        memory=options.memory,
        load_address=options.load,
        entry=options.entry,
        vcpus=options.vcpus,
        quantum=options.quantum,
        gic=options.gic,
        dtb=options.dtb,
        bootargs=options.append,
        paging=paging,
        trace=deque(maxlen=0),
    )


def _run(options: argparse.Namespace) -> int:
    vm = _machine(options)
    header = {
        "image": options.image,
        "profile": vm.profile.name,
        "set": options.set,
        "memory": options.memory,
        "vcpus": options.vcpus,
        "quantum": options.quantum,
        "gic": options.gic,
    }
    if options.apf:
        header |= {name: getattr(options, name) for name in ("apf", "latency", "resident")}
    header["sha256"] = vm.image.sha256
    vm.until = options.until
    with _sink(options.trace, header) as vm.trace:
        return _run_to_the_end(vm, options.instructions)


def _run_to_the_end(vm: "VirtualMachine", instructions: int | None = None) -> int:
    """Run a guest with its console on stdout; returns the exit code."""
    from sdeiviz.machine import StopReason

    vm.on_output = console = vm.on_output if isinstance(vm.on_output, _Stdout) else _Stdout()
    try:
        stop = vm.run(instructions)
    except KeyboardInterrupt:
        console.flush()
        print(f"sdeiviz: interrupted after {vm.index} instructions", file=sys.stderr)
        return EXIT_INTERRUPTED
    console.flush()
    if stop.reason is StopReason.MATCH or (stop.reason is StopReason.POWER_OFF and not vm.until):
        return EXIT_OK
    if stop.reason is StopReason.POWER_OFF:
        assert vm.until
        print(f"sdeiviz: powered off, and nothing matched {vm.until.pattern!r}", file=sys.stderr)
    else:
        print(f"sdeiviz: {stop.reason.value} at index {stop.index}: {stop.detail}", file=sys.stderr)
    return EXIT_BUDGET if stop.reason is StopReason.BUDGET else EXIT_STOPPED


# -- migration


def _migrate_serve(options: argparse.Namespace) -> int:
    from sdeiviz.migration.live import parse_address, serve

    host, port = parse_address(options.listen)
    witness = _witness(options.record)
    vm = _machine(options, "sync")
    vm.on_output = _Stdout()
    with serve(
        vm,
        host,
        port,
        secret=_secret(options.secret_file),
        timeout=options.timeout / 1e9,
        patience=options.patience / 1e9,
        userfault=options.userfault,
        progress=_Bar(),
        witness=witness,
    ) as serving:
        print(f"sdeiviz: listening on {serving.address}", file=sys.stderr, flush=True)
        try:
            result = serving.wait()
        finally:
            vm.on_output.flush()
            for refused in serving.refused:
                print(f"sdeiviz: not let in: {refused}", file=sys.stderr)
    _save(witness, options.record)
    _print_report(result, options.json)
    return _run_to_the_end(vm)


def _migrate_to(options: argparse.Namespace) -> int:
    from sdeiviz.machine import StopReason
    from sdeiviz.migration.live import MigrationError, migrate

    secret, witness = _secret(options.secret_file), _witness(options.record)
    vm = _machine(options, "sync")
    vm.on_output = console = _Stdout()
    if options.after:
        stop = vm.run_until(options.after)
        if stop.reason is not StopReason.BUDGET:
            console.flush()
            raise Error(f"the guest stopped before it was to be moved: {stop.detail}")
    try:
        result = migrate(
            vm,
            options.address,
            secret=secret,
            passes=options.passes,
            bandwidth=options.bandwidth,
            urgent=not options.one_channel,
            tries=options.tries,
            timeout=options.timeout / 1e9,
            progress=_Bar(),
            witness=witness,
        )
    except MigrationError as error:
        console.flush()
        if not error.may_run_on:
            raise
        print(f"sdeiviz: {error}; the guest runs on here", file=sys.stderr)
        return _run_to_the_end(vm)
    console.flush()
    _save(witness, options.record)
    _print_report(result, options.json)
    return EXIT_OK


def _witness(path: str | None) -> "Witness | None":
    """Return who is to see a migration, if a file for that is wanted and can be written."""
    from sdeiviz.migration.record import Witness

    if path is None:
        return None
    try:
        Path(path).touch()
    except OSError as error:
        raise Error(f"{path}: cannot write the record there ({error.strerror})") from None
    return Witness()


def _save(witness: "Witness | None", path: str | None) -> None:
    from sdeiviz.migration import recordfile

    if witness and path:
        recordfile.save(witness.record(), path)


def _secret(path: str | None) -> bytes | None:
    if path is None:
        return None
    try:
        return Path(path).read_bytes().strip()
    except OSError as error:
        raise Error(f"{path}: cannot read the secret ({error.strerror})") from None


class _Bar:
    """Shows on a terminal how far a migration is."""

    WIDTH: Final = 40

    def __init__(self) -> None:
        self._shows = bool(sys.stderr and sys.stderr.isatty())

    def __call__(self, progress: dict[str, Any]) -> None:
        if self._shows:
            part = progress["done"] / progress["pages"]
            bar = "#" * round(part * self.WIDTH)
            end = "\n" if progress["state"] in ("completed", "end") else ""
            print(
                f"\r{progress['state']:<10} [{bar:<{self.WIDTH}}] {part:4.0%}"
                f" {progress['bytes'] / 1e6:.0f} MB ",
                end=end,
                file=sys.stderr,
                flush=True,
            )


def _print_report(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(result), file=sys.stderr, flush=True)
        return
    times, faults, latency = result["times"], result["faults"], result["faults"]["latency"]
    rows = [("total", times["total"]), ("before the switch", times["precopy"])]
    rows += [("downtime", times["downtime"]), ("after the switch", times["postcopy"])]
    if result["side"] == "destination":
        rows += [("blocked", faults["blocktime"]), ("median latency", latency["p50"])]
        rows += [("99th percentile", latency["p99"]), ("longest latency", latency["longest"])]
    print(f"sdeiviz: migrated, as seen from the {result['side']} (wall time)", file=sys.stderr)
    for name, value in rows:
        if value is not None:
            print(f"  {name:<18} {value / 1e6:>12.3f} ms", file=sys.stderr)
    for bit, count in enumerate(latency["histogram"]):
        if count:
            print(f"  from {1 << bit:>7} us  {count:>12} pages asked for", file=sys.stderr)
    for name, count in (result["source"] or result["destination"]).items():
        print(f"  {name:<18} {count:>12}", file=sys.stderr)
    print(f"  {'bytes':<18} {sum(result['bytes']):>12}", file=sys.stderr)
    print(f"  {'connections lost':<18} {result['losses']:>12}", file=sys.stderr, flush=True)


class _Stdout:
    """Passes the guest's output on, byte by byte as it comes and at least line by line."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def __call__(self, byte: int) -> None:
        self._pending.append(byte)
        if byte == 0x0A or len(self._pending) >= 1024:
            self.flush()

    def flush(self) -> None:
        if self._pending and sys.stdout:
            sys.stdout.buffer.write(self._pending)
            sys.stdout.buffer.flush()
            self._pending.clear()


def _trace(options: argparse.Namespace) -> int:
    from sdeiviz.views.log import Log
    from sdeiviz.views.words import printable

    try:
        with open(options.file, encoding="utf-8") as file:
            header, events = load(file)
            log = Log()
            trace = list(events)
            log.several = any(event.vcpu for event in trace)
            log.follow(trace)
    except OSError as error:
        raise Error(f"{options.file}: cannot read it ({error.strerror})") from None
    except UnicodeDecodeError:
        raise Error(f"{options.file}: not a trace: it is not text") from None
    except Error as error:
        raise Error(f"{options.file}: {error}") from None
    print(f"{printable(str(header.get('image')))}, profile {printable(str(header.get('profile')))}")
    for entry in log.entries:
        whose = f"PE {entry.vcpu:<2} " if log.several else ""
        print(f"{entry.index:>10}  {whose}{entry.line()}")
        if entry.reason:
            print(f"{'':>12}  {entry.reason}")
    return EXIT_OK


def _profiles(options: argparse.Namespace) -> int:
    from sdeiviz.sdei.profiles import KNOBS, PROFILES, word

    rows = [["knob", *PROFILES]]
    rows += [[name, *(word(getattr(p, name)) for p in PROFILES.values())] for name in KNOBS]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    print(lines[0])
    for line, knob in zip(lines[1:], KNOBS.values(), strict=True):
        print(line)
        meaning = f"{knob.metadata['meaning']} [{knob.metadata['source']}]"
        for part in textwrap.wrap(meaning, 96):
            print(f"    {part}")
    print("\nplatform_events; event 0, private and normal, is everywhere")
    for profile in PROFILES.values():
        print(f"  {profile.name}")
        for event in profile.platform_events:
            kind = f"{'shared' if event.shared else 'private'}, {_priority(event.critical)}"
            behind = "" if event.interrupt is None else f", INTID {event.interrupt}"
            print(f"    {word(event.number)}  {kind}{behind}")
    return EXIT_OK


def _priority(critical: bool) -> str:
    return "critical" if critical else "normal"


def _selfcheck(options: argparse.Namespace) -> int:
    """Run a bundled guest on each clock and compare: proves core, dispatcher and package data."""
    from sdeiviz.machine import StopReason, VirtualMachine

    clocks, traces = [], []
    for clock in ("python", None):  # None: the best there is
        trace = Trace()
        vm = VirtualMachine("delivery", clock=clock, trace=trace)
        stop = vm.run(1_000_000)
        if stop.reason is not StopReason.POWER_OFF:
            print(
                f"sdeiviz: the guest 'delivery' ended with {stop.reason.value}: {stop.detail}",
                file=sys.stderr,
            )
            return EXIT_STOPPED
        clocks.append(vm.clock)
        traces.append(trace)
    if traces[0] != traces[-1]:
        print("sdeiviz: the two clocks give different traces", file=sys.stderr)
        return EXIT_STOPPED
    registers = "copied at each exit" if vm.vcpus[0].core.copies_registers else "in place"
    print(f"sdeiviz {__version__}: {len(traces[0])} events in {vm.index} instructions")
    native = "native" in clocks
    print("clock: python and native" if native else "clock: python; llvmlite would make it faster")
    print(f"registers: {registers}")
    return EXIT_OK


def _lab(options: argparse.Namespace) -> int:
    from sdeiviz.lab import copy_notebooks, launch

    directory = Path(options.directory)
    written = copy_notebooks(directory)
    if not options.copy_only:
        launch(directory, options.rest)
    print(f"{len(written)} files copied to {directory}")
    return EXIT_OK
