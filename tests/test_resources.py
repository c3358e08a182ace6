"""One function finds what is packed, wherever the package lies."""

from pathlib import Path

import pytest

import sdeiviz.resources
from sdeiviz.errors import Error
from sdeiviz.resources import resource

ROOT = Path(__file__).resolve().parent.parent


def test_in_a_checkout_it_is_the_tracked_file() -> None:
    assert resource("assets", "guests", "link.ld") == ROOT / "assets/guests/link.ld"


def test_the_packed_copy_wins_in_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = tmp_path / "sdeiviz" / "_notebooks" / "one.ipynb"
    packed.parent.mkdir(parents=True)
    packed.write_text("{}")
    monkeypatch.setattr(sdeiviz.resources, "_PACKAGE", tmp_path / "sdeiviz")
    assert resource("notebooks", "one.ipynb") == packed
    assert resource("notebooks") == packed.parent


def test_a_missing_file_is_one_clear_line() -> None:
    with pytest.raises(Error, match=r"^no assets/guests/nowhere\.elf in this installation .*$"):
        resource("assets", "guests", "nowhere.elf")
