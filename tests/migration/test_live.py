"""A running guest moves over real connections; both sides in this process."""

import hashlib
import socket
import threading
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest

from sdeiviz import Session
from sdeiviz.debugger.recording import Recording
from sdeiviz.errors import Error
from sdeiviz.machine import PageAbsent, Paging, StopReason
from sdeiviz.migration import departure
from sdeiviz.migration.live import MigrationError, parse_address, serve
from sdeiviz.migration.userfault import LinuxUserfault
from sdeiviz.trace import EventDelivered, FetchDone
from tests.guests.kernel import COMPUTE, MEMORY, Kernel
from tests.migration.wires import (
    BACK,
    FORWARD,
    Change,
    Cut,
    Proxy,
    Repeat,
    Spoil,
    frames,
    machine,
    move,
    ram,
    served,
)

WORK = "pages=200 passes=60 work=200 m=1 c=1"
RAM = 8 << 20


def kernel(options: str = WORK, mode: str = "sync", **more: Any) -> Kernel:
    return Kernel(options, memory=RAM, paging=Paging(mode), **more)


def check_work(guest: Kernel, passes: int = 60, pages: int = 200) -> None:
    """All was done, each page was found as it had been written, and nobody was left out."""
    assert sum(work.done for work in guest.of(MEMORY)) == pages * passes
    assert all(work.errors == 0 for work in guest.work)
    assert all(work.done for work in guest.of(COMPUTE))


# -- the way of a guest


@pytest.mark.parametrize("passes", [0, 1, 3])
@pytest.mark.parametrize("urgent", [False, True])
def test_a_guest_goes_on_where_it_was(passes: int, urgent: bool) -> None:
    here, there = kernel(), kernel()
    here.vm.run(3_000_000)
    before = here.of(MEMORY)[0].done
    with served(there.vm) as serving:
        sent = move(here.vm, serving.address, passes=passes, urgent=urgent, bandwidth=20 << 20)
        got = serving.wait(20)
    assert 0 < before < 200 * 60
    there.run()
    check_work(there)
    # What it wrote before is the beginning of what it wrote in all.
    assert there.vm.console.startswith(here.vm.console)
    assert sent["source"]["passes"] >= passes or here.vm.stopped
    pages = RAM >> 12
    assert got["destination"]["placed"] == sent["source"]["normal"] + sent["source"]["zero"]
    assert got["destination"]["placed"] >= pages
    assert got["destination"]["duplicates"] == got["losses"] == sent["losses"] == 0
    assert (sent["side"], got["side"], sent["clock"]) == ("source", "destination", "wall, ns")
    assert sent["session"] == got["session"]
    for report in (sent, got):
        times = report["times"]
        assert times["precopy"] + times["downtime"] + times["postcopy"] == times["total"]
    assert got["bytes"][0] == sent["bytes"][0]
    assert len(got["bytes"]) == 1 + urgent


def test_every_byte_of_ram_arrives() -> None:
    here, there = machine("registration"), machine("registration")
    here.run()
    here.write_memory(0x4010_0000, bytes(range(256)) * 1000)
    with served(there) as serving:
        move(here, serving.address)
        serving.wait(20)
    assert hashlib.sha256(ram(there)).digest() == hashlib.sha256(ram(here)).digest()
    assert there.run().reason is StopReason.POWER_OFF
    assert there.console == here.console != ""


@pytest.mark.parametrize("gic", [2, 3])
def test_several_vcpus(gic: int) -> None:
    here, there = (kernel(vcpus=4, gic=gic) for _ in range(2))
    here.vm.run(2_000_000)
    with served(there.vm) as serving:
        move(here.vm, serving.address, passes=0, bandwidth=20 << 20)
        got = serving.wait(20)
    there.run()
    check_work(there)
    assert len(got["faults"]["vcpu_blocktime"]) == 4
    assert got["faults"]["open"] == 0


def test_pages_that_are_touched_are_asked_for_and_do_not_wait() -> None:
    """The push takes longer than two seconds at this rate; what is asked for does not."""
    here, there = kernel("pages=64 passes=200 work=200"), kernel("pages=64 passes=200 work=200")
    here.vm.run(1_000_000)
    end = 0x4000_0000 + RAM
    here.vm.write_memory(end - (1 << 18), b"pages that nobody needs " * 10_000)
    with served(there.vm) as serving:
        sent = move(here.vm, serving.address, passes=0, bandwidth=1 << 18)
        got = serving.wait(20)
    latency = got["faults"]["latency"]
    assert latency["count"] >= got["destination"]["requests"] > 0
    assert sent["source"]["requested"] == got["destination"]["requests"]
    assert sent["source"]["skipped"] < sent["source"]["requested"]
    assert sum(latency["histogram"]) == latency["count"]
    assert got["faults"]["blocktime"] == sum(b - a for a, b in got["faults"]["blocked"]) > 0
    assert latency["p50"] < got["times"]["postcopy"] // 2
    there.run()
    check_work(there, 200, 64)


def test_in_the_middle_of_a_handler() -> None:
    plain, here, there = machine("delivery"), machine("delivery"), machine("delivery")
    plain.run()
    while not here.vcpus[0].sdei.contexts:
        here.run(1)
    here.run(2)
    with served(there) as serving:
        move(here, serving.address, passes=0)
        serving.wait(20)
    there.run()
    assert there.console == plain.console
    delivered = [e for vm in (here, there) for e in vm.trace if isinstance(e, EventDelivered)]
    assert len(delivered) == sum(isinstance(e, EventDelivered) for e in plain.trace)


def test_with_tasks_that_wait_for_pages() -> None:
    """Tokens do not move: all are woken, and who finds its page missing faults again, here."""
    options = "pages=200 passes=20 work=200 m=2 c=1"
    here = Kernel(options, memory=RAM, paging=Paging("arm64-v4", resident=120), gic=3)
    there = kernel(options, "arm64-v4", gic=3)
    assert here.vm.apf
    while not (here.vm.index > 3_000_000 and here.vm.apf.vcpus[0].pending):
        here.vm.run(1000)
    with served(there.vm) as serving:
        move(here.vm, serving.address, passes=0, bandwidth=10 << 20)
        serving.wait(20)
    there.run()
    check_work(there, 20)
    assert there.counters()["not_present"] > 0
    assert there.counters()["unknown"] == there.counters()["unexpected"] == 0


def test_a_guest_that_has_stopped_moves_as_it_stands() -> None:
    here, there = machine(), machine()
    assert here.run().reason is StopReason.POWER_OFF
    with served(there) as serving:
        assert move(here, serving.address, passes=9)["source"]["passes"] <= 1
        serving.wait(20)
    assert there.run() == here.run()
    assert there.console == "hello from EL1\n"


# -- recordings


def test_what_was_recorded_is_replayed_without_the_source() -> None:
    here, there = kernel("pages=64 passes=400 work=100"), kernel("pages=64 passes=400 work=100")
    here.vm.run(1_000_000)
    with served(there.vm, record=Recording) as serving:
        move(here.vm, serving.address, passes=0, bandwidth=1 << 20)
        serving.wait(20)
        recording = serving.recording
    assert isinstance(recording, Recording)
    assert recording.start >= 1_000_000
    assert recording.end > recording.start
    session = Session.over(recording)
    state, memory = there.vm.save(), ram(there.vm)
    placed = [action for action in recording.inputs if action.method.startswith("place_page")]
    assert {action.method for action in placed} == {"place_page", "place_pages"}
    session.start()
    assert session.index == recording.start
    assert there.vm.memory.some_absent(0, RAM >> 12)
    # Nothing is left of the other side; the same pages come at the same instructions.
    session.run(recording.end - recording.start)
    again, known = [*recording._again], recording._known
    assert again == recording.trace[known : known + len(again)]
    session.goto(recording.end)
    assert recording.happened == len(recording.trace)
    assert sum(isinstance(event, FetchDone) for event in again) > 0
    assert (ram(there.vm), there.vm.save()) == (memory, state)


def test_a_session_goes_back_and_on_over_a_migration() -> None:
    options = "pages=64 passes=400 work=100"
    here, there = kernel(options), kernel(options)
    here.vm.run(1_000_000)
    with served(there.vm, record=Recording) as serving:
        move(here.vm, serving.address, passes=0, bandwidth=1 << 20)
        serving.wait(20)
    assert isinstance(serving.recording, Recording)
    session = Session.over(serving.recording)
    end, state, memory = session.index, there.vm.save(), ram(there.vm)
    session.step_back(1000)
    session.goto(serving.recording.start + 5)
    session.step_back(10)
    assert session.index == serving.recording.start
    with pytest.raises(Error, match=f"it has {session.index} to {end}"):
        session.goto(session.index - 1)
    session.goto(end)
    assert (ram(there.vm), there.vm.save()) == (memory, state)
    session.run(1000)
    assert session.index == end + 1000


# -- the system's own missing pages


def test_with_userfaultfd_nobody_but_workers_sleeps() -> None:
    options = "pages=64 passes=60 work=100"
    here, there = kernel(options), kernel(options)
    here.vm.run(1_000_000)
    vm = there.vm
    session = Session.over(Recording(vm))
    looked: list[Any] = []
    run_slice = vm.run_slice

    def look_and_run(target: int) -> Any:
        """Look, as a notebook may between two slices, while nobody could place a page.

        To touch memory that is missing would be to sleep for ever.
        """
        absent = [page for page in range(RAM >> 12) if vm.memory.is_absent(page)]
        if absent and not looked:
            assert vm.pager
            assert isinstance(vm.pager.guard, LinuxUserfault)
            assert all(vm.pager.guard.is_missing(page) for page in absent)
            for page in absent:
                with pytest.raises(PageAbsent):
                    session.read_memory(0x4000_0000 + 4096 * page + 8, 8)
                with pytest.raises(PageAbsent):
                    vm.write_memory(0x4000_0000 + 4096 * page, b"x")
                assert vm.memory.page(page) == bytes(4096)
            looked.extend((absent, session.snapshot(), vm.save(), vm.memory.used_pages()))
        return run_slice(target)

    vm.run_slice = look_and_run  # type: ignore[method-assign]
    with served(vm, userfault="linux") as serving:
        move(here.vm, serving.address, passes=0, bandwidth=1 << 20)
        got = serving.wait(20)
    vm.run_slice = run_slice  # type: ignore[method-assign]
    absent, _, saved, used = looked
    assert not {*absent} & {*used, *saved.pages}
    assert got["destination"]["requests"] > 0
    assert vm.pager
    assert vm.pager.guard is None
    there.run()
    check_work(there, 60, 64)


def test_with_userfaultfd_and_async_page_fault() -> None:
    options = "pages=200 passes=20 work=200 m=2 c=1"
    here, there = (kernel(options, "arm64-v4", gic=3) for _ in range(2))
    here.vm.run(3_000_000)
    with served(there.vm, userfault="linux") as serving:
        move(here.vm, serving.address, bandwidth=8 << 20, passes=0)
        got = serving.wait(20)
    assert got["faults"]["worker_latency"]["count"] > 0
    there.run()
    check_work(there, 20)


def test_a_reset_in_the_middle_forgets_what_was_to_come() -> None:
    """The guest there restarts while its pages come: RAM is new, and the old pages are nothing."""
    here, there = kernel(), kernel()
    here.vm.run(3_000_000)
    run_slice, resets = there.vm.run_slice, []

    def reset_and_run(target: int) -> Any:
        if not resets and there.vm.memory.some_absent(0, RAM >> 12):
            resets.append(there.vm.index)
            there.vm.request_reset(there.vm.current)
        return run_slice(target)

    there.vm.run_slice = reset_and_run  # type: ignore[method-assign]
    with served(there.vm, userfault="linux") as serving:
        move(here.vm, serving.address, passes=0, bandwidth=4 << 20)
        got = serving.wait(20)
    assert resets
    assert got["destination"]["duplicates"] > 0
    there.vm.run_slice = run_slice  # type: ignore[method-assign]
    there.run()
    check_work(there)


@pytest.mark.parametrize("error", [Error("a state that nobody can load"), MemoryError()])
def test_a_destination_that_cannot_take_the_guest_over(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so before the guest has run there: the guest goes on here, and loses nothing."""
    here, there = kernel(), kernel()
    here.vm.run(3_000_000)
    with served(there.vm) as serving:
        monkeypatch.setattr(serving._guest, "load", Mock(side_effect=error))
        with pytest.raises(MigrationError, match="could not take the guest over") as failed:
            move(here.vm, serving.address, passes=0, bandwidth=20 << 20)
        with pytest.raises(Error, match=r"nobody can load|not enough memory"):
            serving.wait(20)
    assert failed.value.may_run_on
    assert there.vm.index == 0
    here.run()
    check_work(here)


# -- connections that are lost, damaged or repeated


def conversation(urgent: bool, passes: int = 0) -> tuple[list[bytes], list[bytes]]:
    """Return what goes over each connection of one migration, forward and back."""
    here, there = machine(), machine()
    here.run()
    with served(there) as serving, Proxy(serving.address) as proxy:
        move(here, proxy.address, urgent=urgent, passes=passes)
        serving.wait(20)
        return [bytes(f) for f, _ in proxy.carried], [bytes(b) for _, b in proxy.carried]


def through(spoil: dict[tuple[int, int], Spoil], **options: Any) -> tuple[str, str, int]:
    """Move a small guest over a spoilt connection; returns how that ended on both sides."""
    here, there = machine("registration"), machine("registration")
    here.run()
    expected = ram(here)
    with (
        served(there, timeout=1, patience=2) as serving,
        Proxy(serving.address, spoil) as proxy,
    ):
        source = destination = "completed"
        losses = -1
        try:
            move(here, proxy.address, timeout=1, **options)
        except MigrationError as error:
            source = f"{'runs on' if error.may_run_on else 'lost'}: {error}"
        try:
            losses = serving.wait(20 if source == "completed" else 0.3)["losses"]
        except Error as error:
            destination = str(error)
    if destination == "completed":
        assert ram(there) == expected
        assert there.console == here.console
    return source, destination, losses


def places(urgent: bool, way: int) -> list[int]:
    """At each frame's begin, in its header and in its content; of many pages' only some."""
    forward, back = conversation(urgent)
    found = frames((forward, back)[way][0])
    kept = [frame for n, frame in enumerate(found) if frame[0] != PAGES or n % 5 == 0]
    return [at for _, begin, end in kept for at in (begin, begin + 9, (begin + end) // 2)]


PAGES, PACKAGED = 0x24, 0x07


@pytest.mark.parametrize("urgent", [False, True])
@pytest.mark.parametrize("way", [FORWARD, BACK])
def test_cut_at_every_frame_and_inside(urgent: bool, way: int) -> None:
    ends = set()
    everywhere = places(urgent, way)
    # A destination that has everything when the connection goes has lost nothing by it.
    after_shut = everywhere[-3:] if way == BACK else []
    for at in everywhere:
        cut = Cut(at)
        source, destination, losses = through({(0, way): cut}, urgent=urgent, passes=0)
        # Either both sides have it, or the guest has never left.
        if source == "completed":
            assert destination == "completed", (at, destination)
            assert (losses > 0) == cut.happened or at in after_shut, (at, losses)
        elif source.startswith("runs on"):
            assert "guest was here" in destination or "not over" in destination, (at, destination)
        ends.add(source.split(":")[0])
        assert "lost" not in ends, (at, source, destination)
    assert "completed" in ends


@pytest.mark.parametrize("urgent", [False, True])
def test_damaged_or_repeated_after_the_switch(urgent: bool) -> None:
    """What comes damaged is not obeyed, and comes again."""
    forward, back = conversation(urgent)
    found = frames(forward[0])
    package = next(end for kind, _, end in found if kind == PACKAGED)
    later = [frame for frame in found if frame[1] >= package]
    for _, begin, end in (later[0], later[len(later) // 2], later[-3]):
        for spoil in (Change(begin + 4), Change((begin + end) // 2), Repeat(begin, end)):
            source, destination, losses = through({(0, FORWARD): spoil}, urgent=urgent, passes=0)
            assert (source, destination) == ("completed", "completed")
            assert losses == 1
    # The answers: the last of them ends it.
    _, begin, end = frames(back[0])[1]
    for spoil in (Change(begin + 9), Repeat(begin, end)):
        source, destination, _ = through({(0, BACK): spoil}, urgent=urgent, passes=0)
        assert destination == "completed" or source.startswith("runs on")


def test_lost_again_and_again() -> None:
    here, there = machine("registration"), machine("registration")
    here.run()
    spoil: dict[tuple[int, int], Spoil] = {(n, FORWARD): Cut(1500 + 300 * n) for n in range(5)}
    here.write_memory(0x4010_0000, bytes(range(256)) * 1000)
    with served(there) as serving, Proxy(serving.address, spoil) as proxy:
        sent = move(here, proxy.address, passes=0, urgent=False)
        got = serving.wait(20)
    assert got["losses"] >= 3
    assert sent["losses"] >= 3
    assert ram(there) == ram(here)


def test_the_guest_runs_while_the_connection_is_away_and_asks_when_it_is_back() -> None:
    options = "pages=64 passes=200 work=100"
    here, there = kernel(options), kernel(options)
    here.vm.run(1_000_000)
    with (
        served(there.vm) as serving,
        # Shortly after the package, in the middle of the push.
        Proxy(serving.address, {(0, FORWARD): Cut(40_000)}) as proxy,
    ):
        sent = move(here.vm, proxy.address, passes=0, bandwidth=2 << 20, urgent=False)
        got = serving.wait(20)
    assert sent["losses"] == got["losses"] == 1
    there.run()
    check_work(there, 200, 64)


# -- peers that are none


def test_only_who_knows_the_secret() -> None:
    here = machine()
    with served(machine(), secret=b"open sesame", timeout=1) as serving:
        for secret in (b"open barley", None):
            with pytest.raises(MigrationError) as caught:
                move(here, serving.address, secret=secret)
            assert caught.value.may_run_on
        move(here, serving.address, secret=b"open sesame")
        serving.wait(20)
        reasons = [reason.split(": ")[1] for reason in serving.refused]
    assert reasons == [
        "the peer does not know the shared secret",
        "the peer has no shared secret to prove",
    ]


def test_another_machine() -> None:
    with (
        served(machine(vcpus=2)) as serving,
        pytest.raises(MigrationError, match="closed the connection") as caught,
    ):
        move(machine(), serving.address)
    assert caught.value.may_run_on
    assert "vCPUs: 1, here 2" in serving.refused[0]


def test_a_second_source_is_told_to_go() -> None:
    here, there, other = kernel(), kernel(), kernel()
    here.vm.run(3_000_000)
    begun = threading.Event()
    failed: list[MigrationError] = []

    def try_too() -> None:
        begun.wait(10)
        try:
            move(other.vm, serving.address)
        except MigrationError as error:
            failed.append(error)

    with served(there.vm) as serving:
        second = threading.Thread(target=try_too)
        second.start()
        move(
            here.vm,
            serving.address,
            bandwidth=4 << 20,
            progress=lambda progress: begun.set(),
        )
        second.join()
        serving.wait(20)
    assert failed[0].may_run_on
    assert "another migration" in serving.refused[0]
    there.run()
    check_work(there)


GARBAGE: list[tuple[bytes, str]] = [
    (b"GET / HTTP/1.1\r\n\r\n", "no frame begins with"),
    (b"VM\x01\x40" + bytes(12), "speaks version 1 of the protocol"),
    (b"VM\x02\x40" + bytes(4) + b"\xff" * 8, "4294967295 bytes do not fit"),
    (b"VM\x02\x24" + bytes(4) + b"\x7f\xff\xff\xff" + bytes(4), "2147483647 bytes do not fit"),
    (b"VM\x02\x02\0\0\0\0\0\0\0\4\xab\x50\xa1\x21\0\0\0\7", "Ping has no place here"),
    (b"VM\x02", "nothing came for 0.5 s"),
    (b"", "nothing came for 0.5 s"),
]


@pytest.mark.parametrize(("data", "reason"), GARBAGE)
def test_strangers_at_the_door_do_no_harm(data: bytes, reason: str) -> None:
    here = machine()
    with served(machine(), timeout=0.5) as serving:
        with socket.create_connection(serving.address) as stranger:
            stranger.sendall(data)
            stranger.settimeout(10)
            try:
                while stranger.recv(1000):
                    pass
            except ConnectionResetError:
                pass
        move(here, serving.address)
        serving.wait(20)
        assert reason in serving.refused[0]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "nothing came for 0.5 s"),
        (b"SSH-2.0-OpenSSH\r\n", "no frame begins with"),
        (b"VM\x01\x40" + bytes(12), "version 1 of the protocol, this sdeiviz version 2"),
    ],
)
def test_nobody_we_know_listens(answer: bytes, reason: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def accept() -> None:
            peer, _ = server.accept()
            held.append(peer)
            peer.sendall(answer)

        thread = threading.Thread(target=accept)
        thread.start()
        with pytest.raises(MigrationError, match=reason) as caught:
            move(machine(), server.getsockname()[:2], timeout=0.5)
        thread.join()
        held[0].close()
    assert caught.value.may_run_on


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()[:2]
    with pytest.raises(MigrationError, match=r"cannot connect to .*: Connection refused"):
        move(machine(), address)


def test_a_source_that_falls_silent() -> None:
    """It holds the connection and says nothing more."""
    here, there = machine(), machine()

    class Hold:
        def __init__(self) -> None:
            self.seen = 0

        def __call__(self, data: bytes) -> bytes:
            self.seen += len(data)
            return data if self.seen < 400 else b""

    with (
        served(there, timeout=0.5, patience=0.5) as serving,
        Proxy(serving.address, {(n, FORWARD): Hold() for n in range(9)}) as proxy,
    ):
        with pytest.raises(MigrationError):
            move(here, proxy.address, timeout=0.5, tries=2, passes=0, urgent=False)
        with pytest.raises(MigrationError, match="has not come"):
            serving.wait(20)


# -- what cannot be


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: serve(machine(), "0.0.0.0"), "where others can connect, give a secret"),
        (lambda: serve(machine(), "example.org"), "give a secret"),
        (lambda: serve(machine(paging=None)), "wants a pager"),
        (lambda: serve(machine(), timeout=0), "a timeout of 0 s"),
        (lambda: serve(machine(), userfault="bsd"), "emulated or linux"),  # type: ignore[arg-type]
        (lambda: serve(machine(), port=70_000), "cannot listen on 127.0.0.1:70000"),
        (lambda: move(machine(), ("127.0.0.1", 70_000)), "cannot connect to"),
        (lambda: move(machine(), ("127.0.0.1", 1), passes=-1), "-1 passes"),
        (lambda: move(machine(), ("127.0.0.1", 1), bandwidth=1000), "want 65536 or more"),
        (lambda: parse_address("localhost"), "no address such as"),
        (lambda: parse_address("localhost:99999"), "no address such as"),
    ],
)
def test_refused(make: Callable[[], object], reason: str) -> None:
    with pytest.raises(Error, match=reason):
        make()


def test_addresses() -> None:
    assert parse_address("127.0.0.1:4040") == ("127.0.0.1", 4040)
    assert str(parse_address("[::1]:0")) == "[::1]:0"


def test_not_over_in_time_and_closed() -> None:
    with served(machine()) as serving:
        with pytest.raises(Error, match=r"not over after 0.1 s"):
            serving.wait(0.1)
        serving.close()
        with pytest.raises(MigrationError, match="was ended here"):
            serving.wait(1)


def test_a_bandwidth_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(departure, "monotonic", lambda: now[0])
    budget = departure._Budget(1_000_000)
    assert budget.pages == 24  # of 4096 bytes in a tenth of a second
    assert budget.ready
    budget.spend(250_000)
    for seconds, ready in ((0.1, False), (0.1, False), (0.06, True)):
        now[0] += seconds
        assert budget.ready is ready
    now[0] += 1000  # no more than a tenth of a second's worth is saved up
    assert budget.ready
    budget.spend(100_001)
    assert not budget.ready
