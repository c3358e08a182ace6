"""With SDEIVIZ_REQUIRE=all a skip is a failure, unless tests/allowed_skips.txt states its reason.

Without it, a test whose browser, compiler or tool is missing is skipped as usual, so that the tests
run on anybody's machine. A test that drives a browser may never be an exception.
"""

import os
import re
from collections.abc import Generator
from pathlib import Path

import pytest

SEPARATOR = " -- "


def read_allowed(path: Path) -> dict[str, str]:
    """The stated exceptions: a node id, in which `*` stands for anything, and the reason."""
    allowed = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        pattern, _, reason = line.partition(SEPARATOR)
        if not reason.strip():
            raise pytest.UsageError(f"{path.name}:{number}: want NODE-ID{SEPARATOR}REASON")
        allowed[pattern.strip()] = reason.strip()
    return allowed


def matches(pattern: str, node_id: str) -> bool:
    """Whether a pattern means this test; the brackets of parameters stand for themselves."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), node_id) is not None


def drives_browser(node: pytest.Item | pytest.Collector) -> bool:
    """Whether a test asks for the browser, by marker, by fixture or by where it stands."""
    return (
        node.get_closest_marker("browser") is not None
        or "chromium" in getattr(node, "fixturenames", ())
        or node.nodeid.startswith("tests/browser/")
    )


class SkipGate:
    """The plugin that turns a skip into a failure."""

    def __init__(self, allowed: dict[str, str]) -> None:
        self.allowed = allowed

    def settle(self, node: pytest.Item | pytest.Collector, report: pytest.TestReport) -> None:
        """Make a report of a skip one of a failure, unless it is a stated exception."""
        if not report.skipped or hasattr(report, "wasxfail"):
            return
        if not drives_browser(node) and any(matches(p, node.nodeid) for p in self.allowed):
            return
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = (
            f"{why}\nSDEIVIZ_REQUIRE=all: install what is missing"
            " (a browser test may not be skipped, another needs a line in tests/allowed_skips.txt)."
        )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        self.settle(item, report)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        self.settle(collector, report)
        return report


def pytest_configure(config: pytest.Config) -> None:
    """Register the gate when it is asked for, and refuse a wish that it does not know."""
    require = os.environ.get("SDEIVIZ_REQUIRE", "")
    if require not in ("", "all"):
        raise pytest.UsageError(f"SDEIVIZ_REQUIRE={require}: only 'all' is known")
    if require:
        allowed = read_allowed(Path(__file__).with_name("allowed_skips.txt"))
        config.pluginmanager.register(SkipGate(allowed))
