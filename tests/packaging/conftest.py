"""What the packaging tests share: the checkout, and what git says about it."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def git() -> Callable[..., str]:
    """Run git in this checkout; skipped where the sources did not come from git."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")

    def run(*args: str) -> str:
        # Root may test a clone that another user made.
        command = ["git", "-c", f"safe.directory={ROOT}", *args]
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    return run
