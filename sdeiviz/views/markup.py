"""Plain HTML: no script, no style, every word escaped."""

from collections.abc import Container, Iterable, Sequence
from html import escape


def table(
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    code: Container[int] = (),
) -> str:
    """Return a table whose first column names the row.

    Parameters
    ----------
    caption, columns
        Its title and the titles of its columns.
    rows
        Cells as plain text.
    code
        Numbers of the columns to set in a fixed-width font.
    """
    head = "".join(f"<th scope=col>{escape(name)}</th>" for name in columns)
    body = []
    for row in rows:
        cells = [
            f"<code>{escape(cell)}</code>" if n in code and cell else escape(cell)
            for n, cell in enumerate(row)
        ]
        first, *rest = cells
        body.append(
            f"<tr><th scope=row>{first}</th>" + "".join(f"<td>{c}</td>" for c in rest) + "</tr>"
        )
    return (
        f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table>"
    )


def paragraph(text: str) -> str:
    """Return text as a paragraph."""
    return f"<p>{escape(text)}</p>"


def preformatted(text: str) -> str:
    """Return text with its line ends kept."""
    return f"<pre>{escape(text)}</pre>"
