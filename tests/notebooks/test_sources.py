"""What a notebook may contain: checked without running it."""

import json
import re
from pathlib import Path

import nbformat
import pytest

from tests.notebooks.notebook import COURSE, DIRECTORY, Notebook, read

SURFACE = Path(__file__).parents[2] / "sdeiviz" / "widgets" / "static" / "debugger.js"
WORDS_A_MINUTE = 200
MINUTES_A_CELL = 0.33
"""To run a code cell and look at what it prints."""

# What the course must explain before it uses it.
TERMS = (
    "PSTATE",
    "DAIF",
    "exception",
    "vector",
    "exception level",
    "ELR_EL1",
    "SPSR_EL1",
    "hypervisor",
    "KVM",
    "virtual machine",
    "guest",
    "host",
    "vCPU",
    "PE",
    "HVC",
    "conduit",
    "index",
    "moment",
    "NMI",
    "event",
    "handler",
    "asynchronous page fault",
    "private",
    "raise",
    "pending",
    "delivery",
    "masked",
    "EVENT_COMPLETE",
    "EVENT_COMPLETE_AND_RESUME",
    "EVENT_CONTEXT",
    "interrupted context",
    "VBAR_EL1",
    "stage 2",
    "page-not-present",
    "page-ready",
    "mailbox",
    "token",
    "IRQ_ACK",
    "pre-copy",
    "dirty",
    "downtime",
    "page request",
    "return path",
    "background push",
    "blocktime",
    "urgent channel",
    "received bitmap",
    "userfaultfd",
    "socket buffer",
)


@pytest.fixture(params=COURSE)
def notebook(request: pytest.FixtureRequest) -> Notebook:
    return read(request.param)


def test_every_notebook_is_a_pair_and_is_in_the_course() -> None:
    names = {path.stem for path in DIRECTORY.glob("*.ipynb")}
    assert names == {path.stem for path in DIRECTORY.glob("*.py")} == set(COURSE)


def test_the_two_of_a_pair_are_equal(notebook: Notebook) -> None:
    both = [
        [(cell.cell_type, cell.source, dict(cell.metadata)) for cell in nb.cells]
        for nb in (notebook.ipynb, notebook.twin)
    ]
    assert both[0] == both[1]
    assert notebook.ipynb.metadata.kernelspec == notebook.twin.metadata.kernelspec


def test_nothing_of_a_run_is_committed(notebook: Notebook) -> None:
    nbformat.validate(notebook.ipynb)
    for cell in notebook.ipynb.cells:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
        assert cell.metadata == {}
    # No widget state, and no pairing: Jupyter complains when a reader deletes one of a pair.
    assert set(notebook.ipynb.metadata) == {"kernelspec"}
    assert notebook.ipynb.metadata.kernelspec.name == "python3"
    assert notebook.ipynb.nbformat_minor >= 5


def test_the_file_is_as_jupyter_writes_it(notebook: Notebook) -> None:
    text = (DIRECTORY / f"{notebook.name}.ipynb").read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n"


def test_cells_are_small_and_few(notebook: Notebook) -> None:
    assert len(notebook.ipynb.cells) <= 40
    for source in notebook.sources("code"):
        assert len(source.splitlines()) <= 12, source
        assert max(map(len, source.splitlines())) <= 100


def test_it_states_three_to_five_objectives_before_anything_else(notebook: Notebook) -> None:
    assert 3 <= len(notebook.objectives()) <= 5
    assert "After this notebook you can" in notebook.sources("markdown")[0]


def test_reading_takes_fifteen_minutes_at_most(notebook: Notebook) -> None:
    words = sum(len(re.findall(r"[\w']+", text)) for text in notebook.sources("markdown"))
    minutes = words / WORDS_A_MINUTE + MINUTES_A_CELL * len(notebook.sources("code"))
    assert minutes <= 15


def test_links_lead_to_another_notebook(notebook: Notebook) -> None:
    text = "\n".join(notebook.sources("markdown"))
    links = re.findall(r"\]\(([^)]*)\)", text)
    assert links
    for link in links:
        # A reader's copy holds the notebooks and nothing else, and may be offline.
        assert link.endswith(".ipynb")
        assert (DIRECTORY / link).parent == DIRECTORY
        assert (DIRECTORY / link).exists()
    assert not re.search(r"https?://|<img|!\[", text)


def test_a_table_stands_apart_or_it_is_not_drawn(notebook: Notebook) -> None:
    for source in notebook.sources("markdown"):
        assert not re.search(r"^[^|\n].*\n\|", source, re.MULTILINE), source


def test_it_asks_before_it_tells(notebook: Notebook) -> None:
    asked = [n for n, cell in enumerate(notebook.ipynb.cells) if "Prediction(" in cell.source]
    assert asked
    later = notebook.ipynb.cells[asked[-1] + 1 :]
    assert any(cell.cell_type == "code" and "Prediction(" not in cell.source for cell in later)


def test_the_first_cell_of_the_course_shows_the_debugger() -> None:
    first = read(COURSE[0]).ipynb.cells[0]
    assert first.cell_type == "code"
    assert first.source.splitlines()[-2:] == ['debug = sdeiviz.debug("registration")', "debug"]


def test_no_index_is_written_down(notebook: Notebook) -> None:
    # A guest built by another compiler has others: each one shown is worked out.
    for source in notebook.sources("markdown"):
        assert not re.search(r"\b(instruction|index|moment) \d", source)
    for source in notebook.sources("code"):
        assert not re.search(r"(goto|run|step)\(\d", source)


def test_each_term_is_explained_before_it_is_used() -> None:
    text = ""
    for name in COURSE:
        notebook = read(name)
        part = "\n".join(notebook.sources("markdown"))
        for objective in notebook.objectives():
            part = part.replace(objective, "")
        text += re.sub(r"^#.*$|\]\([^)]*\)", "", part, flags=re.MULTILINE) + "\n"
    for term in TERMS:
        flags = re.NOFLAG if term.isupper() else re.IGNORECASE
        used = re.search(rf"(?<![\w-]){term}s?(?![\w-])", text, flags)
        assert used, term
        before = text[: used.start()]
        in_bold = before.count("**") % 2 == 1
        assert in_bold, f"{term} is used, not explained: {before[-60:]}>>{used.group()}"


def test_buttons_and_keys_are_called_as_on_the_surface() -> None:
    text = " ".join(read(COURSE[0]).sources("markdown")[0].split())
    named = dict(re.findall(r"\*\*(Next SDEI|Back|Step)\*\*[^`]*?`(.)`", text))
    assert named == {"Next SDEI": "n", "Back": "b", "Step": "s"}
    script = SURFACE.read_text(encoding="utf-8")
    for label, key in named.items():
        assert f'"{label}", "{key}"' in script
