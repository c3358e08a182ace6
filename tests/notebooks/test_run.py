"""Every notebook runs from top to bottom in a fresh kernel, offline, small, and always the same.

But for what says of itself that it is wall time.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tests.notebooks.notebook import COURSE, read

SECONDS = 30
"""For any one cell; a whole notebook takes about two."""
PEAK_MIB = 600

# Run in the kernel before the first cell.
OFFLINE = """
import sys
def _offline(event, arguments):
    if event == "socket.getaddrinfo" and arguments[0] in (None, "", "localhost", "127.0.0.1"):
        return
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        raise OSError(f"offline: {arguments[0]}")
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1"):
            raise OSError(f"offline: {address[0]}")
sys.addaudithook(_offline)
"""

# What the text around the cells speaks of, in the order in which it appears.
SHOWN = {
    "00_start_here": (
        "hvc #0",
        "x0  00000000c4000020 -> 00010001564bcaa9",
        "x0  00000000c4000030",
        "x3  00010001564bcaa9 -> 0000000000000000",
        "the same registers: True",
    ),
    "01_registration": (
        "EVENT_STATUS(event=0) = 0 unregistered",
        "EVENT_REGISTER(event=0",
        "EVENT_STATUS(event=0) = 1 registered",
        "EVENT_STATUS(event=0) = 3 enabled",
        "7  111  enabled, running",
        "PE_UNMASK() = 0 SUCCESS",
        "EVENT_UNREGISTER(event=0) = 0 SUCCESS",
        "EVENT_ENABLE(event=0) = -3 DENIED",
        "EVENT_REGISTER would make it registered.",
        "host injects event 0   [event 0 pending]",
        "EVENT_STATUS(event=0) = 3 enabled",
        "PE_UNMASK() = 0 SUCCESS",
        "event 0 delivered",
        "DAIF EL1h",
        "event 0 completed",
        "EVENT_ENABLE(event=2) = -2 INVALID_PARAMETERS",
    ),
    "02_delivery": (
        "hvc #0",
        "EVENT_SIGNAL(event=0, target=0) = 0 SUCCESS   [event 0 pending]",
        "event 0 delivered",
        "x4 0000000000001234 ≠ 0000000000000000",
        "handler: x4 at entry = 0x0",
        "handler: x4 by EVENT_CONTEXT = 0x1234",
        "handler: x4 at entry = 0x1234",
        ", x4 1234, x30 ",
        ", x4 0, x30 ",
        "VBAR_EL1 + 0x280",
        "spsr_el1 800003c5   x4 1234",
        "interrupted_again:",
        "host injects event 0 = -2 ENOENT",
        "host injects event 0 = -16 EBUSY",
        "host injects event 0 = -16 EBUSY",
        "host injects event 0   [event 0 pending]",
        "event 0 delivered",
        "host injects event 0   [event 0 pending]",
        "event 0 completed",
        "EVENT_UNREGISTER(event=0) = 0 SUCCESS",
        "ELR_EL1 is right after the HVC: FAIL",
        "ELR_EL1 is right after the HVC: PASS",
    ),
    "03_async_page_fault": (
        "M0: cpu 0, done ",
        "C0: cpu 0, done ",
        "fault, PE waits",
        "busy 60.0 %, blocked 40.0 %",
        "  M memory",
        "M0: cpu 0, done 6",
        "C0: cpu 0, done 16",
        "arm64-v4\n20 ms",
        "fault, guest told",
        "busy 100.0 %",
        "blocked ",
        "arm64-v4\nPE  run",
        "page not present, token 0x3000, as event 1",
        "puts M to sleep over token 0x3000",
        "runs C compute meanwhile",
        "page ready, token 0x3000: interrupt raised",
        "acknowledges: the interrupt is lowered",
        "M goes on",
        "u64 apf_not_present(",
        "send_sgi(cpu, SGI_RESCHEDULE);",
        "page not present: fault 3 of PE 0",
        "page ready: fault 3 of PE 0",
        "not-present 0, sleeps 0",
        "the page came first: page-not-present is withdrawn",
        "disabled",
        "not-registered",
        "mailbox-busy",
        "kernel-mode",
        "slots-full",
        "asleep 99.9 %",
        "asleep 99.8 %",
        "arm64-v4   +86%     +100%      100%",
        "swap_bound",
        "+27.7% .. +28.6%  -40% .. -39%",
        "swap_rfcv2",
        "+17.9%",
        "swap_v4",
        "-8.1% .. -5.8%    +67% .. +70%",
        "f = 1            +86%     +100%",
        "f = 4            +397%    +400%",
        "107 µs a page ",
        "kernel=100 ",
        "lock=0      arm64-v4  65 ",
        "lock=1      arm64-v4  66 ",
    ),
    "04_postcopy": (
        "1,000,000,000 bit/s   391, 391, 391, 391  12.81 ms",
        "10,000,000,000 bit/s  130, 87, 49, 24 ",
        "0 ns, pre-copy: 0 of 1,024 pages arrived",
        "1,024 pages, 27.46 ms of virtual time",
        "14 requests",
        "source       26,000,000             26,000,000            115,671   1,320     0",
        "source       32,000,000             32,000,000            143,701   1,650     0",
        "destination  46,000,000             46,833,872            218,447   2,311     0",
        "destination  52,000,000             52,833,872            271,961   2,322     0",
        "kernel (kvm-v7), instruction 3",
        "asks for the page",
        "PE blocked: nothing runs on it",
        "+651.89 µs   hypervisor -> threads   M goes on",
        "wire -> source        RequestPages",
        "source -> wire        Page 0x361, 17 before it",
        "wire                  559.91 µs later",
        "wire                  others: 17 arrived, 17 more sent",
        "PE 0 goes on",
        "page not present, token 0x1000, as event 1",
        "runs C compute meanwhile",
        "page ready, token 0x1000: interrupt raised",
        "event 1 delivered",
        "sync\n27.46 ms",
        "arm64-v4\n27.46 ms",
        "fault, PE waits   |                                  !                             | 1",
        "running 97.0 %, stopped 3.0 %",
        "PE 1              |########XXXXX",
        "C: units since the switch  102,660    143,426    97,695",
        "M: pages since the switch  304        655        604",
        "downtime                   833.87 µs  833.87 µs  833.87 µs",
        "total                      27.46 ms   27.46 ms   27.46 ms",
        "blocktime                  7.99 ms    0 ns       5.46 ms       4.43 ms",
        "blocktime of each vCPU     7.99 ms    0 ns       5.46 ms       6.18 ms, 5.51 ms",
        "pages asked for            14         18         33",
        "latency, mean              571.02 µs  575.73 µs  165.52 µs",
        "from 0       0          0            1 ",
        "from 128 µs ",
        ", urgent: never came",
        "5.01 ms later",
        "OpenReturnPath",
        "RecvBitmap",
        "destination -> wire   ReceivedBitmap",
        "wire -> destination   Resume",
        ", urgent",
        "the connection was lost before the guest was handed over  yes",
        "the source is lost: 323 of 1024 pages are missing         no",
        "on the source:      kernel: 1 CPUs, GICv2, 384 pages of heap",
        ", errors 0\n",
        "wall time:   total ",
        "wall time:   downtime ",
    ),
    "05_the_claim": (
        "+41 to +68 %  live post-copy migration",
        "+65 % ",
        "+68 to +69 %  ",
        "0 to +7 %     C rate",
        "C's units rise by half, and M's pages fall to a third",
        "kernel (kvm-v7), instruction ",
        "sync      102,774   241       396 µs",
        "arm64-v4  156,638   79        0 µs",
        "IntProgress(",
        "sync      C 311,028 units, M 277 pages in 73,192,000 ns; kept: True",
        "arm64-v4  C 554,355 units, M 634 pages in ",
        " ns; kept: True",
        "C gains +79 %, M's pages +130 %",
        "published: v2, 9 Feb 2021     +65 %",
        "empty_buffer                  +57 % ",
        "vanilla                       +99 % ",
        "preempt                       +79 % ",
        "preempt_fast                  +69 % ",
        "sequential                    +7 % ",
        "preempt_work                  +57 % ",
        "four_to_one                   +312 % ",
        "v2                            +105 % ",
        "v2_sequential                 -2 % ",
        "preempt_fast   Above: at 10 Gbit/s",
        "preempt_work   331 µs    103 µs  15 µs  +48 %     +57 %     +75 %",
        "bandwidth     link.bandwidth, Gbit/s  2.5       +67 % ",
        "work          work.short, µs          200       +28 % ",
        "order         order                   in order  +7 % ",
        "own    vcpus   1      +80 % ",
        "own    vcpus   2      +16 % ",
        "own    vcpus   4      -7 % ",
        "costs.exit",
    ),
}


def execute(cells: list[Any], directory: Path) -> list[Any]:
    """Run cells in a new kernel that has no network; return them with their outputs."""
    notebook = nbformat.v4.new_notebook(cells=cells)
    lines = json.dumps([f"exec({OFFLINE!r})"])
    NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        extra_arguments=[f"--IPKernelApp.exec_lines={lines}"],
        resources={"metadata": {"path": str(directory)}},
    ).execute()
    return notebook.cells


def text_of(cells: list[Any]) -> str:
    """Everything that cells printed or showed, as text."""
    parts = []
    for cell in cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error", output
            if output.output_type == "stream":
                assert output.name == "stdout", output.text
                parts.append(output.text)
            else:
                parts.append(output.data["text/plain"] + "\n")
    return "".join(parts)


@pytest.fixture(autouse=True)
def _kernel_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let kernels import this checkout, and keep no settings or history of the user's."""
    root = str(Path(__file__).parents[2])
    known = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", root + (os.pathsep + known if known else ""))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))


@pytest.mark.parametrize("name", COURSE)
def test_it_runs_cold_offline_small_and_twice_the_same(name: str, tmp_path: Path) -> None:
    peak = nbformat.v4.new_code_cell(
        "import re\nprint(re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1])"
    )
    texts = []
    for _ in range(2):
        *cells, last = execute([*read(name).ipynb.cells, peak], tmp_path)
        assert int(text_of([last])) <= PEAK_MIB << 10
        # Two processes and TCP: when a page comes there is wall time, also for the guest.
        text = re.sub(r"(?m)^(wall time: .*?) +[\d.]+ ms$", r"\1 ? ms", text_of(cells))
        texts.append(re.sub(r"(?m)^(on the destination: window:) \d+ ns", r"\1 ? ns", text))
    assert texts[0] == texts[1]
    rest = texts[0]
    for fragment in SHOWN[name]:
        assert fragment in rest, fragment
        rest = rest.split(fragment, 1)[1]
    assert not re.search(r"\b0x[0-9a-f]{12}>", texts[0])  # an object's address is not a view


def test_the_debugger_and_a_prediction_are_shown_as_widgets_and_as_text(tmp_path: Path) -> None:
    cells = execute(read("00_start_here").ipynb.cells, tmp_path)
    data = [o.data for c in cells for o in c.get("outputs", []) if o.output_type != "stream"]
    shown = [one for one in data if "application/vnd.jupyter.widget-view+json" in one]
    assert len(shown) == 2
    assert all("text/plain" in one for one in shown)
    assert shown[0]["text/plain"].startswith("registration (kvm-v7), instruction 0 of 0")
    assert shown[1]["text/plain"].startswith("The guest is about to run its second HVC.")


def test_with_text_for_a_surface_and_answers_typed(tmp_path: Path) -> None:
    for name in COURSE:
        cells = []
        for cell in read(name).ipynb.cells:
            source = re.sub(r"(sdeiviz\.debug\(\"\w+\")\)", r'\1, surface="text")', cell.source)
            cells.append(nbformat.v4.new_code_cell(source) if cell.cell_type == "code" else cell)
            for asked, debugger in re.findall(
                r"^(\w+) = Prediction\([\w.]+(, \w+)?\)", source, re.MULTILINE
            ):
                typed = f'print({asked}.answer("A"))' + f"\nprint({asked}.go())" * bool(debugger)
                cells.append(nbformat.v4.new_code_cell(typed))
        text = text_of(execute(cells, tmp_path))
        assert "No. The idea behind it: " in text
        for fragment in SHOWN[name]:
            assert fragment in text, fragment


def test_the_network_is_really_refused(tmp_path: Path) -> None:
    for attempt in (
        "import socket; socket.create_connection(('192.0.2.1', 80), 1)",
        "import urllib.request; urllib.request.urlopen('http://example.invalid/')",
    ):
        with pytest.raises(CellExecutionError, match="offline: "):
            execute([nbformat.v4.new_code_cell(attempt)], tmp_path)
