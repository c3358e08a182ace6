"""A picture or a table in a notebook, and the same as text where there is none to be seen."""

from collections.abc import Sequence
from html import escape
from typing import Any, Final

from sdeiviz.views import markup, tables


class Figure:
    """Something to look at: HTML, and text that says the same.

    Parameters
    ----------
    html
        What a notebook shows.
    text
        What is printed elsewhere.

    Examples
    --------
    >>> print(table("Rates", ("mode", "C"), [("sync", "50 %")]))
    mode  C
    sync  50 %
    """

    def __init__(self, html: str, text: str) -> None:
        self.html = html
        self.text = text

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": self.text}


def drawing(title: str, svg: str, text: str) -> Figure:
    """Return a drawing as it is, to be scrolled sideways where it is wider than the page.

    Parameters
    ----------
    title
        What it shows.
    svg, text
        What a view returns under these names.
    """
    # JupyterLab would shrink it, and its letters with it.
    return Figure(_scrolled(title, svg.replace("<svg ", '<svg style="max-width: none" ', 1)), text)


def table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, folded: bool = False
) -> Figure:
    """Return a table.

    Parameters
    ----------
    title, columns, rows
        See `sdeiviz.views.markup.table`.
    folded
        Show no more than the title until it is clicked.
    """
    html = _scrolled(title, _LEFT + markup.table("" if folded else title, columns, rows))
    if folded:
        summary = f'<summary style="padding: 4px 0">{escape(title)}</summary>'
        html = f"<details>{summary}{html}</details>"
    return Figure(html, tables.text(columns, rows))


# JupyterLab sets the cells of a table to the right, sentences too.
_LEFT: Final = (
    "<style>.sdeiviz-figure.sdeiviz-figure :is(td, th)"
    " { text-align: left; vertical-align: top }</style>"
)


def _scrolled(title: str, html: str) -> str:
    """Return a part of a page that the keyboard can scroll too: JupyterLab leaves it its keys."""
    return (
        f'<div class="sdeiviz-figure" role="group" tabindex="0" aria-label="{escape(title)}" '
        'data-scroller data-lm-suppress-shortcuts="true" '
        f'style="overflow-x: auto; padding: 2px">{html}</div>'
    )
