"""The learner's own copy of the notebooks, and JupyterLab on it."""

import hashlib
import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from sdeiviz.errors import Error
from sdeiviz.resources import resource

_RECORD = ".sdeiviz-notebooks.json"
_START = "00_start_here.ipynb"
_CONFIG = Path(__file__).parent / "jupyter"
"""Settings that Jupyter takes only from a file."""


def copy_notebooks(directory: Path) -> list[Path]:
    """Copy the packaged notebooks into a directory, and never over the learner's work.

    A file that is there already is renewed only while it is still what an earlier copy wrote. A
    file that the learner changed is kept, and stderr says so; deleting it brings a fresh one.

    Parameters
    ----------
    directory
        Where the copy goes; made when it is missing.

    Returns
    -------
    list[Path]
        The files that were written, in order. Empty when everything was there.

    Raises
    ------
    Error
        The directory cannot be made or written to.
    """
    try:
        return _copy(directory)
    except OSError as error:
        raise Error(f"cannot copy the notebooks to {directory}: {error.strerror}") from error


def launch(directory: Path, args: Sequence[str] = ()) -> NoReturn:
    """Become JupyterLab on a directory of notebooks; this process does not return.

    It listens on 127.0.0.1 and keeps Jupyter's token. Nothing is fetched from the network: no
    news, no look for updates.

    Parameters
    ----------
    directory
        What Jupyter shows.
    args
        More options for `jupyter lab`. They come last, so they win.

    Raises
    ------
    Error
        JupyterLab is not installed.
    """
    if importlib.util.find_spec("jupyterlab") is None:
        raise Error("JupyterLab is not installed: pip install 'sdeiviz[lab]'")
    command = [
        *(sys.executable, "-m", "jupyterlab"),
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.root_dir={directory.resolve()}",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    if (directory / _START).exists():
        command.append(f"--LabApp.default_url=/lab/tree/{_START}")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    # Without news, Jupyter would still ask whether you want them.
    paths = [str(_CONFIG), *filter(None, [os.environ.get("JUPYTER_CONFIG_PATH")])]
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(paths)
    sys.stdout.flush()
    # In place of this process, so that Ctrl-C and signals reach Jupyter itself.
    os.execv(sys.executable, [*command, *args])


def _copy(directory: Path) -> list[Path]:
    directory.mkdir(parents=True, exist_ok=True)
    record = directory / _RECORD
    copied = _read(record)
    written, kept = [], []
    for name, source in _packaged().items():
        target = directory / name
        fresh = _digest(source)
        if target.exists():
            present = _digest(target)
            if present not in (fresh, copied.get(name)):
                kept.append(name)
                continue
            if present == fresh:
                copied[name] = fresh
                continue
        target.parent.mkdir(parents=True, exist_ok=True)
        # Whole or not at all: half a notebook would look like the learner's change next time.
        partial = target.with_name(f".{target.name}.partial")
        shutil.copyfile(source, partial)
        partial.replace(target)
        copied[name] = fresh
        written.append(target)
    record.write_text(json.dumps(copied, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    if written:
        print(f"sdeiviz: {len(written)} notebook files copied to {directory}", file=sys.stderr)
    if kept:
        print(f"sdeiviz: your changes are kept: {', '.join(kept)}", file=sys.stderr)
    return written


def _read(record: Path) -> dict[str, str]:
    """The digest of each file as it was copied; with no such record, what differs was changed."""
    try:
        copied = json.loads(record.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return copied if isinstance(copied, dict) else {}


def _packaged() -> dict[str, Path]:
    """The files a learner gets, by their path in the copy.

    A notebook's text twin and the settings that pair the two are for its authors: with them in the
    copy, Jupyter would have two versions of what the learner wrote.
    """
    root = resource("notebooks")
    files = {}
    for path in sorted(root.rglob("*")):
        twin = path.suffix == ".py" and path.with_suffix(".ipynb").exists()
        hidden = any(part.startswith((".", "__")) for part in path.relative_to(root).parts)
        if path.is_file() and not twin and not hidden and path.name != "jupytext.toml":
            files[path.relative_to(root).as_posix()] = path
    return files


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
