"""What every test may use: the browser, and the rule for skips."""

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

from tests.skip_gate import pytest_configure as pytest_configure


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium for Playwright to drive: the system's own, else Playwright's."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    if not os.path.exists(path):
        pytest.skip("no Chromium here (Debian: apt install chromium)")
    return path
