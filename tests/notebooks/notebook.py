"""The notebooks, as the tests see them."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jupytext
import nbformat

DIRECTORY = Path(__file__).parents[2] / "notebooks"
COURSE = (
    "00_start_here",
    "01_registration",
    "02_delivery",
    "03_async_page_fault",
    "04_postcopy",
    "05_the_claim",
)
"""In the order of reading."""


@dataclass(frozen=True)
class Notebook:
    """One pair."""

    name: str
    ipynb: Any
    """The notebook to open, as nbformat reads it."""
    twin: Any
    """Its .py, as jupytext reads it."""

    def sources(self, kind: str) -> list[str]:
        """The text of all cells of a kind, "markdown" or "code"."""
        return [cell.source for cell in self.ipynb.cells if cell.cell_type == kind]

    def objectives(self) -> list[str]:
        """The points after "After this notebook you can"."""
        text = "\n".join(self.sources("markdown"))
        listed = text.split("After this notebook you can\n\n", 1)[1].split("\n\n", 1)[0]
        return re.findall(r"^- .*?(?=^- |\Z)", listed, re.MULTILINE | re.DOTALL)


def read(name: str) -> Notebook:
    """Read a pair."""
    return Notebook(
        name,
        nbformat.read(DIRECTORY / f"{name}.ipynb", as_version=4),
        jupytext.read(DIRECTORY / f"{name}.py"),
    )
