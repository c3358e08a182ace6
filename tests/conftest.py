"""What every test may use: the browser, and the rule for skips."""

import shutil
import subprocess

import pytest
from hypothesis import settings
from playwright.sync_api import sync_playwright

from tests.skip_gate import pytest_configure as pytest_configure

# No test is judged by its time, and an example on a busy machine can take long.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium for Playwright to drive: its own if it is there, else the system's."""
    with sync_playwright() as playwright:
        found = [playwright.chromium.executable_path]
    found += filter(None, map(shutil.which, ("chromium", "google-chrome")))
    for path in found:
        # A command by that name may be no browser: Ubuntu's only asks for a snap.
        try:
            subprocess.run([path, "--version"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return path
    pytest.skip(
        "no Chromium that starts (Debian: apt install chromium;"
        " elsewhere: .venv/bin/python -m playwright install --with-deps chromium)"
    )
