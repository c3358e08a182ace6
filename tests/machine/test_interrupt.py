"""Ctrl-C and Stop end any guest within half a second, and it goes on as if nothing was."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sdeiviz import Session, VirtualMachine
from tests.machine.guest import BASE, MEMORY, guest
from tests.machine.interrupted import GUESTS

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 0.5
"""Seconds from the signal to KeyboardInterrupt."""


def interrupt_all(clock: str) -> dict[str, tuple[float, str]]:
    """Return, by guest, the seconds an interrupt took and how the machine was found."""
    found = {}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.machine.interrupted", clock],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as process:
        watchdog = threading.Timer(120, process.kill)
        watchdog.start()
        try:
            assert process.stdout
            for line in process.stdout:
                word, _, name = line.strip().partition(" ")
                assert word == "ready", line
                time.sleep(0.1)
                sent = time.monotonic()
                process.send_signal(signal.SIGINT)
                stopped, _, at = process.stdout.readline().strip().partition(" ")
                assert stopped == "stopped", stopped + at
                found[name] = (float(at) - sent, process.stdout.readline().strip())
            assert process.wait(10) == 0
        finally:
            watchdog.cancel()
            process.kill()
    return found


@pytest.mark.parametrize("clock", ["native", "python"])
def test_ctrl_c_ends_any_guest(clock: str) -> None:
    # Half a second is asked of this machine, not of what else happens to run on it: best of three.
    for _ in range(3):
        found = interrupt_all(clock)
        assert {name: same for name, (_, same) in found.items()} == dict.fromkeys(found, "same")
        assert len(found) == len(GUESTS) + 3
        slow = {name: seconds for name, (seconds, _) in found.items() if seconds > LIMIT}
        if not slow:
            return
    pytest.fail(f"too slow: {slow}")


@pytest.mark.parametrize("clock", ["native", "python"])
@pytest.mark.parametrize("name", GUESTS)
def test_a_stop_from_another_thread(name: str, clock: str) -> None:
    made = guest(GUESTS[name])
    vm = made.vm(clock=clock)
    timer = threading.Timer(0.05, vm.request_stop)
    timer.start()
    stop = vm.run_to(1 << 60)
    timer.join()
    assert (stop.reason, stop.index) == ("interrupted", vm.index)
    assert vm.stopped is None
    vm.run(777)
    other = made.vm()
    other.run_to(vm.index)
    assert (vm.save(), [*vm.trace]) == (other.save(), [*other.trace])


def test_run_in_another_thread_is_not_ended_by_a_signal() -> None:
    """Signals belong to the main thread; there a run ends by `request_stop`."""
    vm = guest("b .").vm()
    stops = []
    thread = threading.Thread(target=lambda: stops.append(vm.run()))
    thread.start()
    time.sleep(0.05)
    vm.request_stop()
    thread.join(10)
    assert [stop.reason for stop in stops] == ["interrupted"]


def test_the_signal_handler_of_before_is_back_after_a_run() -> None:
    before = signal.getsignal(signal.SIGINT)
    vm = guest("nop\n off").vm()
    vm.run()
    assert signal.getsignal(signal.SIGINT) is before
    session = Session(guest("nop\n off").path, load_address=BASE, memory=MEMORY)
    session.step()
    session.run()
    session.step_back()
    assert signal.getsignal(signal.SIGINT) is before


class Mistake(Exception):
    pass


def test_an_exception_of_a_watcher_comes_out_of_the_run() -> None:
    """Raised inside a callback of the core, where it could not pass."""

    def watcher(character: int) -> None:
        raise Mistake

    vm = guest("ldr x1, =UART\n strb w1, [x1]\n nop\n off").vm()
    vm.on_output = watcher
    with pytest.raises(Mistake):
        vm.run()
    vm.on_output = None
    assert vm.run().reason == "power-off"


def slices(vm: VirtualMachine, count: int) -> list[float]:
    times = []
    for _ in range(count):
        began = time.perf_counter()
        assert vm.run_slice(1 << 60) is None
        times.append(time.perf_counter() - began)
    return times


@pytest.mark.parametrize("clock", ["native", "python"])
@pytest.mark.parametrize("name", GUESTS)
def test_every_slice_comes_back_soon(name: str, clock: str) -> None:
    """50 ms at most; the shortest of some, since this machine may be busy."""
    vm = guest(GUESTS[name]).vm(clock=clock)
    times = slices(vm, 5)
    assert min(times) < 0.05, times
