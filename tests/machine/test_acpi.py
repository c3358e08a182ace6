"""The ACPI table: byte by byte, and as the ACPI compiler reads it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sdeiviz.machine.acpi import sdei_table


def test_the_table_byte_by_byte() -> None:
    table = sdei_table()
    assert table == (
        b"SDEI" + b"\x24\0\0\0" + b"\x01" + b"\x5a"
        b"SDEIVZ" + b"SDEIVIZ " + b"\1\0\0\0" + b"SDVZ" + b"\1\0\0\0"
    )  # fmt: skip
    assert len(table) == 36
    assert sum(table) & 0xFF == 0


def disassemble(table: bytes, directory: Path) -> tuple[str, str]:
    """What iasl makes of a table, and what it says."""
    if not shutil.which("iasl"):
        pytest.skip("no iasl (Debian: apt install acpica-tools)")
    (directory / "sdei.aml").write_bytes(table)
    done = subprocess.run(["iasl", "-d", "sdei.aml"], cwd=directory, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return (directory / "sdei.dsl").read_text(), done.stdout + done.stderr


def test_iasl_reads_it(tmp_path: Path) -> None:
    text, said = disassemble(sdei_table(), tmp_path)
    assert not re.search("error|warning|incorrect|invalid", text + said, re.IGNORECASE)
    fields = dict(re.findall(r"^\[.*?\] +(.+) : (.+?)(?: +\[.*)?$", text, re.MULTILINE))
    assert fields == {
        "Signature": '"SDEI"',
        "Table Length": "00000024",
        "Revision": "01",
        "Checksum": "5A",
        "Oem ID": '"SDEIVZ"',
        "Oem Table ID": '"SDEIVIZ "',
        "Oem Revision": "00000001",
        "Asl Compiler ID": '"SDVZ"',
        "Asl Compiler Revision": "00000001",
    }


def test_iasl_would_notice_a_wrong_checksum(tmp_path: Path) -> None:
    wrong = bytearray(sdei_table())
    wrong[9] ^= 1
    text, said = disassemble(bytes(wrong), tmp_path)
    assert "incorrect" in (text + said).lower()
