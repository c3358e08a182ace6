"""Whatever the file holds, loading it ends in an image or in one clear line, and looking works."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sdeiviz.errors import ImageError
from sdeiviz.guests import GUESTS, load
from tests.guests.elf_builder import Part, elf

BASE, SIZE = 0x4000_0000, 0x0800_0000
REAL = [GUESTS[name].elf.read_bytes() for name in ("hello", "delivery")]

# Where ELF and DWARF keep numbers that mislead best: the headers and the debug sections.
edits = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 200), st.integers(0, 0x3000), st.integers(0x1000, 0x1800)),
        st.one_of(
            st.binary(min_size=1, max_size=8),
            st.sampled_from([b"\xff" * 8, b"\xff" * 4, b"\0" * 8, b"\x80" * 8, b"\x7f" * 4]),
        ),
    ),
    max_size=6,
)


def edited(data: bytes, changes: list[tuple[int, bytes]], length: int) -> bytes:
    changed = bytearray(data)
    for offset, new in changes:
        at = offset % len(data)
        changed[at : at + len(new)] = new
    return bytes(changed[:length])


def look(path: Path, load_at: int | None) -> None:
    try:
        image = load(path, load=load_at, ram_base=BASE, ram_size=SIZE)
    except ImageError as error:
        message = str(error)
        assert message.startswith(str(path))
        assert message.isprintable()  # so it is one line
        assert len(message) < len(str(path)) + 200
        return
    assert image.entry % 4 == 0
    end = BASE
    for segment in image.segments:
        assert end <= segment.address
        assert len(segment.data) <= segment.memory_size
        end = segment.address + segment.memory_size
    assert end <= BASE + SIZE
    for address in (0, image.entry, image.entry + 0x100, (1 << 64) - 1):
        image.symbols.name_at(address)
        place = image.lines.at(address)
        assert place is None or place.line > 0
    for name in image.symbols.names:
        assert image.symbols.address_of(name) is not None
    for file in image.lines.files:
        image.lines.text(file)
        image.lines.addresses(file, 1)


quiet = settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@quiet
@given(st.binary(max_size=300), st.sampled_from([None, BASE, BASE + SIZE - 4, (1 << 64) - 1]))
@example(b"\x7fELF", None)
def test_any_bytes(tmp_path: Path, data: bytes, load_at: int | None) -> None:
    path = tmp_path / "guest.bin"
    path.write_bytes(data)
    look(path, load_at)


@quiet
@given(st.binary(max_size=300))
def test_any_bytes_after_a_good_beginning(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "guest.elf"
    path.write_bytes(elf(Part())[:20] + data)
    look(path, None)


@pytest.mark.parametrize("data", REAL, ids=["hello", "delivery"])
@quiet
@given(changes=edits, length=st.one_of(st.none(), st.integers(0, 12_000)))
def test_real_guests_with_changed_bytes(
    tmp_path: Path, data: bytes, changes: list[tuple[int, bytes]], length: int | None
) -> None:
    path = tmp_path / "guest.elf"
    path.write_bytes(edited(data, changes, len(data) if length is None else length))
    look(path, None)
