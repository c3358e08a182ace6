"""How far a long computation in a cell is."""

from collections.abc import Callable


def progress(title: str) -> Callable[[int, int], None]:
    """Show a bar below the cell; returns what to call with how much is done, and of how much.

    Parameters
    ----------
    title
        What is counted.
    """
    import ipywidgets
    from IPython import display

    bar = ipywidgets.IntProgress(description=title)
    display.display(bar)  # type: ignore[no-untyped-call]

    def advance(done: int, wanted: int) -> None:
        bar.description = f"{title} {done}/{wanted}"
        bar.max, bar.value = wanted, done

    return advance
