"""Plain HTML: no script, no style, every word escaped."""

from collections.abc import Container, Iterable, Sequence
from html import escape


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    code: Container[int] = (),
) -> str:
    """Return a table whose first column names the row.

    Parameters
    ----------
    title, columns
        What it is, "" if that stands elsewhere, and what its columns are.
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
    body_rows = "".join(body)
    return f"{_title(title)}<table><thead><tr>{head}</tr></thead><tbody>{body_rows}</tbody></table>"


def paragraph(text: str) -> str:
    """Return text as a paragraph."""
    return f"<p>{escape(text)}</p>"


def preformatted(title: str, text: str) -> str:
    """Return text in a fixed-width font with its line ends kept."""
    return f"{_title(title)}<pre>{escape(text)}</pre>"


def _title(title: str) -> str:
    return f"<p><strong>{escape(title)}</strong></p>" if title else ""
