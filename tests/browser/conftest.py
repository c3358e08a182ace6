"""A real JupyterLab on a copy of the notebooks, and a page of a real Chromium on it."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from tests.machine import crew
from tests.machine.crew import QUANTUM
from tests.machine.guest import MEMORY

ROOT = Path(__file__).parents[2]
SURFACE = ".sdeiviz"
GUESTS = ("registration", "delivery", "levels", "spin")


class Lab:
    """One page on one JupyterLab."""

    def __init__(self, page: Page, address: str, token: str, directory: Path) -> None:
        self.page = page
        self.address = address
        self.token = token
        self.directory = directory
        self.errors: list[str] = []
        self._developer: CDPSession = page.context.new_cdp_session(page)
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, notebook: str) -> None:
        """Show a notebook with a new kernel, the sidebar closed."""
        self.shut()
        self.page.goto(f"{self.address}/lab/tree/{notebook}?token={self.token}&reset")
        self.page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
        kernel = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel"
        self.page.wait_for_function(f"() => {kernel}?.status === 'idle'")
        if not self.page.evaluate("() => jupyterapp.shell.leftCollapsed"):
            self.command("application:toggle-left-area")
        self.errors.clear()

    def shut(self) -> None:
        """End every kernel."""
        for session in self._ask("api/sessions"):
            self._ask(f"api/sessions/{session['id']}", "DELETE")

    def _ask(self, path: str, method: str = "GET") -> list[dict[str, str]]:
        request = urllib.request.Request(f"{self.address}/{path}?token={self.token}", method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            body = answer.read()
        return json.loads(body) if body else []

    def command(self, name: str, **options: object) -> None:
        """Run one of JupyterLab's own commands and wait for its end."""
        self.page.evaluate(
            "([name, options]) => jupyterapp.commands.execute(name, options)", [name, options]
        )

    def run_all(self) -> None:
        """Run every cell."""
        self.command("notebook:run-all-cells")
        self.surface()

    def surface(self) -> None:
        """Wait for the debugger, and bring its top into sight."""
        self.page.wait_for_selector(f"{SURFACE} .listing tr.here")
        self.page.locator(SURFACE).first.evaluate("e => e.scrollIntoView({block: 'start'})")

    def theme(self, dark: bool) -> None:
        """Switch JupyterLab's theme."""
        self.command("apputils:change-theme", theme=f"JupyterLab {'Dark' if dark else 'Light'}")
        self.page.wait_for_function(
            "light => document.body.dataset.jpThemeLight === light", arg="false" if dark else "true"
        )
        # Else the next change would have JupyterLab take its splash screen away twice.
        self.page.wait_for_function("() => !document.getElementById('jupyterlab-splash')")

    def size(self, width: int, height: int = 900, zoom: int = 1) -> None:
        """Make the window so large, and zoom as a browser does: fewer, larger pixels."""
        self._developer.send(
            "Emulation.setDeviceMetricsOverride",
            {
                "width": width // zoom,
                "height": height // zoom,
                "deviceScaleFactor": zoom,
                "mobile": False,
            },
        )
        self.settle()

    def settle(self) -> None:
        """Wait until the page has been laid out and painted."""
        twice = "requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 60)))"
        self.page.evaluate(f"() => new Promise(done => {twice})")

    # -- the debugger ------------------------------------------------------------------------------

    def press(self, *names: str) -> None:
        """Click buttons of the debugger's toolbar, waiting for each answer."""
        for name in names:
            self.page.locator(f"{SURFACE} .command.{name}").first.click()
            self.answered()

    def keys(self, keys: str) -> None:
        """Type keys into the debugger, waiting for each answer."""
        self.page.locator(SURFACE).first.focus()
        for key in keys:
            self.page.keyboard.press(key)
            self.answered()

    def answered(self) -> None:
        """Wait until the kernel has answered everything."""
        self.page.wait_for_function(
            "s => !document.querySelector(s).classList.contains('waiting')", arg=SURFACE
        )

    def text(self, part: str) -> str:
        """Return the text of a part of the debugger."""
        return self.page.locator(f"{SURFACE} {part}").first.inner_text()

    @property
    def index(self) -> int:
        """Where the debugger says it is."""
        return int(self.text(".position").split(" of ")[0].replace(",", ""))

    @property
    def total(self) -> int:
        """How much it says is recorded."""
        return int(self.text(".position").split(" of ")[1].replace(",", ""))


CREW = f'"crew.elf", profile="den0054c", vcpus=4, memory={MEMORY}, quantum={QUANTUM}'

KERNEL = (
    '"kernel", paging=sdeiviz.machine.Paging(resident=20),'
    ' bootargs="m=1 c=1 pages=32 passes=1 slice=200000 tick=100000"'
)

MIGRATION = """
from sdeiviz.classroom import drawing
from sdeiviz.machine import Paging, VirtualMachine
from sdeiviz.migration.link import LinkSpeed
from sdeiviz.migration.record import Watched
from sdeiviz.migration.simulation import Setup, Simulation
from sdeiviz.views.migration import latency, moments, pages, traffic, vcpus, wire
from sdeiviz.widgets import Player

def record(mode):
    arguments = "pages=512 passes=1000 touch=4 work=3000 order=random time=100000"
    source, destination = (
        VirtualMachine("kernel", memory=4 << 20, bootargs=arguments, paging=Paging(mode=mode))
        for _ in range(2)
    )
    source.run_until(20_000_000)
    setup = Setup(LinkSpeed(10**9, 50_000, 1 << 17), passes=1, urgent=True, service=6700)
    simulation = Simulation(source, destination, setup)
    watched = Watched(simulation)
    simulation.migrate()
    return watched.record()

runs = [("synchronous", record("sync")), ("asynchronous", record("arm64-v4"))]
one = runs[1][1]
half = (one.phases["run"] + one.phases["end"]) // 2
fault = [moment.time for moment in one.moments if moment.kind == "fault"][10]
--
display(drawing(pages.TITLE, pages.svg(one), pages.text(one)))
display(drawing(moments.TITLE, moments.svg(one, half), moments.text(one, half)))
for view in (traffic, vcpus, latency):
    display(drawing(view.TITLE, view.svg(*runs), view.text(*runs)))
for lines in (wire.life(one), wire.span(one, fault, fault + 300_000)):
    display(drawing(wire.TITLE, wire.svg(lines), wire.text(lines)))
--
player = Player(runs[0][1])
player
--
player.times[player.frame]
"""


def cells_of(source: str) -> nbformat.NotebookNode:
    """A notebook of cells of code."""
    cells = [nbformat.v4.new_code_cell(part.strip()) for part in source.split("--\n")]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def two_cells(guest: str) -> nbformat.NotebookNode:
    """The smallest notebook with a debugger in it, and one cell more."""
    return cells_of(f"import sdeiviz\n\ndebug = sdeiviz.debug({guest})\ndebug\n--\n6 * 7")


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Path]]:
    """Address, token and directory of a JupyterLab as `sdeiviz lab` starts it."""
    home = tmp_path_factory.mktemp("home")
    directory = tmp_path_factory.mktemp("lab")
    for guest in GUESTS:
        nbformat.write(two_cells(f'"{guest}"'), directory / f"{guest}.ipynb")
    shutil.copy(crew.elf(crew.crew()), directory / "crew.elf")
    nbformat.write(two_cells(CREW), directory / "crew.ipynb")
    nbformat.write(two_cells(KERNEL), directory / "kernel.ipynb")
    nbformat.write(cells_of(MIGRATION), directory / "migration.ipynb")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER")} | {
        "HOME": str(home),
        "IPYTHONDIR": str(home / "ipython"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, "-m", "sdeiviz", "lab", str(directory), "--no-browser"]
    command += [f"--port={port}", f"--IdentityProvider.token={token}", "--expose-app-in-browser"]
    with (home / "log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=home)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/api/status?token={token}", server, home / "log")
        yield address, token, directory
    finally:
        server.terminate()
        server.wait(20)


def _wait_for(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """One Chromium for a file of tests; not longer, for its event loop is in the way of others."""
    options = ["--disable-gpu", "--no-first-run", "--disable-background-networking"]
    options += ["--disable-component-update", "--disable-sync"]
    if os.geteuid() == 0:
        options.append("--no-sandbox")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=options)
        yield running
        running.close()


@pytest.fixture(scope="module")
def lab(browser: Browser, jupyter: tuple[str, str, Path]) -> Iterator[Lab]:
    """One page for a file of tests; each opens the notebook that it wants."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    made = Lab(page, *jupyter)
    yield made
    made.shut()
    context.close()
