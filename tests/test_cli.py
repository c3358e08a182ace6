"""The command line: what goes to stdout, what to stderr, and which exit code."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sdeiviz.cli import main
from sdeiviz.trace import Console, EventDelivered, load

RUN = [sys.executable, "-m", "sdeiviz"]
B_SELF = bytes.fromhex("00000014")


def spawn(*arguments: str, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*RUN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def test_console_to_stdout_and_nothing_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "hello"]) == 0
    out, err = capfd.readouterr()
    assert out == "hello from EL1\n"
    assert err == ""


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "spin", "--instructions", "1000"], 4, "budget at index 1000"),
        (["run", "delivery", "--until", "round two"], 0, ""),
        (["run", "hello", "--until", "never"], 3, "nothing matched 'never'"),
        (["run", "spin", "--until", "never", "--instructions", "9000"], 4, "budget"),
        (["run", "no-such-guest"], 2, "no such file or bundled guest"),
        (["run", "hello", "--profile", "kvm-v8"], 2, "no profile 'kvm-v8'"),
        (["run", "hello", "--set", "nonsense"], 2, "want KNOB=VALUE"),
        (["run", "hello", "--set", "kick_on_raise=perhaps"], 2, "on or off"),
        (["run", "hello", "--memory", "1000"], 2, "multiple of 4 KiB"),
        (["run", "hello", "--memory", "1T"], 2, "not a number"),
        (["run", "hello", "--vcpus", "9"], 2, "1 to 8 vCPUs"),
        (["run", "hello", "--vcpus", "8"], 0, ""),
        (["run", "hello", "--vcpus", "32", "--gic", "3"], 0, ""),
        (["run", "hello", "--gic", "4"], 2, "invalid choice"),
        (["run", "hello", "--quantum", "99"], 2, "want 100 or more"),
        (["run", "hello", "--dtb", "0x41000000"], 0, ""),
        (["run", "hello", "--dtb", "0x40080000"], 2, "the image has 0x40080000 there"),
        (["run", "hello", "--append", "console=ttyAMA0"], 0, ""),
        (["run", "hello", "--append", "\x07"], 2, ""),
        (["run", "delivery", "--profile", "tf-a"], 0, ""),
        (["run", "delivery", "--profile", "den0054c", "--set", "version=1.0"], 0, ""),
        (["run", "hello", "--set", "bad_resume_addr_error=PERHAPS"], 2, "bad_resume_addr_error"),
        (["run", "hello", "--until", "("], 2, "not a regular expression"),
        (["run", "hello", "--entry", "0x40080002"], 2, "entry"),
        (["run", "hello", "--instructions", "-1"], 2, "--instructions"),
        (["run", "hello", "--trace", "/no/such/directory/t"], 2, "cannot write the trace"),
        (["run", "hello", "--nonsense"], 2, "--nonsense"),
        (["trace", "/no/such/file"], 2, "cannot read it"),
        ([], 2, "COMMAND"),
    ],
)
def test_exit_codes(
    arguments: list[str], code: int, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    err = capfd.readouterr().err
    assert message in err
    assert "Traceback" not in err


def test_sdeiviz_errors_are_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "no-such-guest"]) == 2
    assert capfd.readouterr().err.count("\n") == 1


def test_set_changes_the_profile(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    trace = tmp_path / "trace.jsonl"
    assert main(["run", "registration", "--set", "version=1.0", "--trace", str(trace)]) == 0
    assert capfd.readouterr().out.startswith("SDEI_VERSION = 0x10000564bcaa9\n")
    assert json.loads(trace.read_text().splitlines()[0])["set"] == ["version=1.0"]


def test_until_stops_at_the_very_instruction(tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    assert main(["run", "delivery", "--until", "round o", "--trace", str(trace)]) == 0
    with trace.open() as file:
        assert list(load(file)[1]) == []


def test_flat_image_needs_an_address(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image = tmp_path / "loop.bin"
    image.write_bytes(B_SELF)
    assert main(["run", str(image)]) == 2
    assert "--load" in capfd.readouterr().err
    assert main(["run", str(image), "--load", "0x40080000", "--instructions", "5"]) == 4


def test_abnormal_stop(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image = tmp_path / "udf.bin"
    image.write_bytes(bytes(4))  # an undefined instruction, and VBAR_EL1 is 0
    assert main(["run", str(image), "--load", "0x40080000"]) == 3
    assert "cannot be fetched" in capfd.readouterr().err


def test_trace_round_trip(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    trace = tmp_path / "trace.jsonl"
    assert main(["run", "delivery", "--trace", str(trace)]) == 0
    with trace.open() as file:
        header, events = load(file)
        events = list(events)
    assert header["image"] == "delivery"
    assert sum(isinstance(event, EventDelivered) for event in events) == 2
    lines = [event.text for event in events if isinstance(event, Console)]
    assert lines == capfd.readouterr().out.splitlines()

    assert main(["trace", str(trace)]) == 0
    out = capfd.readouterr().out
    assert "EVENT_SIGNAL(event=0, target=0) = 0 SUCCESS" in out
    assert "EVENT_COMPLETE_AND_RESUME" in out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a trace"),
        (b"\xff\xfe\x00", "not text"),
        (b"{}\n", "not a trace"),
        (b'{"format": "sdeiviz-trace", "version": 99}\n', "version 99"),
        (b'{"format": "sdeiviz-trace", "version": 1}\n{"type": "Cons', "line 2"),
    ],
)
def test_broken_trace_files(
    content: bytes, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_bytes(content)
    assert main(["trace", str(path)]) == 2
    err = capfd.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_ctrl_c_ends_a_guest_with_its_trace_complete(tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    guest = spawn("run", "spin", "--trace", str(trace))
    assert guest.stdout
    assert guest.stdout.readline() == "spinning\n"
    started = time.monotonic()
    guest.send_signal(signal.SIGINT)
    _, err = guest.communicate(timeout=20)
    assert guest.returncode == 130
    assert time.monotonic() - started < 10
    assert "interrupted after" in err
    with trace.open() as file:
        assert [event.text for event in load(file)[1]] == ["spinning"]


def test_output_pipe_closed_early() -> None:
    guest = spawn(
        "run", "registration", preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    )
    assert guest.stdout
    guest.stdout.close()
    assert guest.stderr
    assert "Traceback" not in guest.stderr.read()
    guest.stderr.close()
    guest.wait(timeout=20)


def test_profiles_lists_every_knob(capfd: pytest.CaptureFixture[str]) -> None:
    from sdeiviz.sdei.profiles import KNOBS, PROFILES

    assert main(["profiles"]) == 0
    out = capfd.readouterr().out
    assert all(name in out for name in (*KNOBS, *PROFILES))
    assert "the search never ends" in out


def test_selfcheck(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["selfcheck"]) == 0
    assert "clock: python and native" in capfd.readouterr().out


def test_import_is_light() -> None:
    heavy = ("unicorn", "ipywidgets", "llvmlite")
    code = f"import sys, sdeiviz; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_too_little_memory_is_an_error_before_the_core_is_made() -> None:
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (320 << 20, 320 << 20))

    guest = spawn("run", "hello", preexec_fn=limit, env={**os.environ, "PYTHONMALLOC": "malloc"})
    _, err = guest.communicate(timeout=30)
    assert guest.returncode == 2, err
    assert "not enough memory" in err


@pytest.mark.parametrize(
    "line",
    [
        '{"type":"HostInput","index":1,"time":1,"vcpu":0,"action":"inject","target":"x",'
        '"value":"0x0"}',
        '{"type":"HandlerStateChanged","index":1,"time":1,"vcpu":0,"event":0,"action":"a",'
        '"before":2,"after":0}',
        '{"type":"Console","index":1,"time":1,"vcpu":0,"text":"\\ud800"}',
        "x" * (1 << 21),
    ],
)
def test_a_trace_that_makes_no_sense(
    line: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "odd.jsonl"
    path.write_text('{"format": "sdeiviz-trace", "version": 1}\n' + line + "\n")
    assert main(["trace", str(path)]) == 2
    err = capfd.readouterr().err
    assert "line 2" in err
    assert err.count("\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("arguments", ["run hello --trace /dev/full", "profiles >/dev/full"])
def test_a_full_disk_is_one_line(arguments: str) -> None:
    command = f"{sys.executable} -m sdeiviz {arguments}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "cannot write" in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_stdout_at_all() -> None:
    command = f"{sys.executable} -m sdeiviz run hello >&-"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_pages_can_be_taken_away(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    trace = tmp_path / "trace.jsonl"
    arguments = ["run", "hello", "--apf", "sync", "--latency", "1.5us", "--resident", "16"]
    assert main([*arguments, "--trace", str(trace)]) == 0
    header = json.loads(trace.read_text().splitlines()[0])
    assert (header["apf"], header["latency"], header["resident"]) == ("sync", 1500, 16)
    assert main(["run", "hello", "--apf", "async"]) == 2
    assert "no async page fault mode 'async'" in capfd.readouterr().err
    assert main(["run", "hello", "--apf", "sync", "--latency", "50"]) == 2
    assert "is not a time such as 50us" in capfd.readouterr().err
    assert main(["run", "hello", "--apf", "sync", "--latency", "3601s"]) == 2
    assert main(["run", "hello", "--apf", "sync", "--resident", "3"]) == 2
