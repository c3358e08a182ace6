"""Where the guests, the diagrams and the notebooks lie, in a checkout and in an installed wheel."""

from pathlib import Path

from sdeiviz.errors import Error

_PACKAGE = Path(__file__).resolve().parent


def resource(*parts: str) -> Path:
    """Path of a file or directory under `assets/` or `notebooks/`.

    Parameters
    ----------
    parts
        The path from the root of a checkout, piece by piece: ``"assets", "guests"``.

    Raises
    ------
    Error
        There is no such file: the installation is incomplete, or the name is wrong.

    Examples
    --------
    >>> resource("assets", "guests").name
    'guests'
    """
    # A wheel keeps the two beside the modules, since it has no directory above the package.
    packed = _PACKAGE.joinpath(f"_{parts[0]}", *parts[1:])
    path = packed if packed.exists() else _PACKAGE.parent.joinpath(*parts)
    if not path.exists():
        raise Error(f"no {'/'.join(parts)} in this installation of sdeiviz: install it again")
    return path
