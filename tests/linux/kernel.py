"""A stock Debian kernel for arm64, fetched by apt on a Debian machine and kept beside other caches.

apt works in directories of its own here: what the machine has installed is neither asked nor
changed, and no root is needed.
"""

import os
import re
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import pytest

_PACKAGE = "linux-image-6[.]1[.]0-([0-9]+)-cloud-arm64"


class NoKernel(Exception):
    """apt did not give one."""


def _apt(root: Path, *words: str) -> str:
    options = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "Dir::State::Lists": root / "lists",
        "Dir::State::status": root / "status",
        "Dir::Cache": root / "cache",
    }
    arguments = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    try:
        done = subprocess.run(
            [words[0], *arguments, *words[1:]],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NoKernel(f"{' '.join(words[:2])}: {error}") from None
    return done.stdout


def _fetch(cache: Path) -> Path:
    work = Path(tempfile.mkdtemp(dir=cache))
    for directory in ("lists/partial", "cache/archives/partial"):
        (work / directory).mkdir(parents=True)
    (work / "status").touch()
    _apt(work, "apt-get", "update")
    names = _apt(work, "apt-cache", "search", "--names-only", f"^{_PACKAGE}$")
    versions = [int(number) for number in re.findall(_PACKAGE + " ", names)]
    if not versions:
        raise NoKernel("apt knows no Linux 6.1 for arm64")
    _apt(work, "apt-get", "download", f"linux-image-6.1.0-{max(versions)}-cloud-arm64")
    (package,) = work.glob("*.deb")
    subprocess.run(["dpkg", "-x", package, work / "files"], check=True)
    (image,) = (work / "files/boot").glob("vmlinuz-*")
    kept = image.rename(cache / image.name)
    shutil.rmtree(work)
    return kept


@lru_cache(maxsize=1)
def kernel() -> Path:
    """Return the kernel's image, from the cache where there is one; skip where none can be had."""
    cache = Path(tempfile.gettempdir()) / f"sdeiviz-linux-{os.getuid()}"
    cache.mkdir(exist_ok=True)
    for image in cache.glob("vmlinuz-*"):
        return image
    try:
        return _fetch(cache)
    except NoKernel as error:
        pytest.skip(f"no Debian kernel for arm64 ({error})")
