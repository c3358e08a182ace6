"""Processes at the other end of a socket, for the rows on migration."""

import mmap
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.benchmarks.run import ROOT

DESTINATION = """
import json, sys
from sdeiviz import VirtualMachine
from sdeiviz.machine import Paging
from sdeiviz.migration.live import serve

vm = VirtualMachine(sys.argv[1], memory=int(sys.argv[2]), paging=Paging("sync"))
with serve(vm) as serving:
    print(serving.address.port, flush=True)
    print(json.dumps(serving.wait()), flush=True)
"""
SINK = """
import mmap, socket, sys

memory = memoryview(mmap.mmap(-1, int(sys.argv[1])))
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    peer, _ = server.accept()
    at = 0
    while at < len(memory):
        at += peer.recv_into(memory[at : at + (1 << 18)])
    peer.sendall(b"x")
"""


@contextmanager
def peer(program: str, *arguments: str) -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    """Run a program that prints the port on which it listens."""
    command = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        yield int(process.stdout.readline()), process


def send(port: int, size: int) -> float:
    """Send so many bytes of memory to a `SINK`; returns the seconds until it has them."""
    memory = memoryview(mmap.mmap(-1, size))
    for at in range(0, size, 4096):
        memory[at] = 1
    with socket.create_connection(("127.0.0.1", port)) as sink:
        began = time.perf_counter()
        for at in range(0, size, 1 << 18):
            sink.sendall(memory[at : at + (1 << 18)])
        sink.recv(1)
        return time.perf_counter() - began
