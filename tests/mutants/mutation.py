"""One small mistake somebody could make."""

from typing import NamedTuple


class Mutation(NamedTuple):
    """A change of one place of the package, which some test must notice.

    Add one to the `MUTATIONS` of the module named after the room it changes (`of_sdei.py`, ...).
    """

    file: str
    """Path from the root of the checkout."""
    old: str
    """The text that is there, exactly once: a line, or as much of it as tells it from others."""
    new: str
    why: str
    """What the mistake would do, in a few words."""
    survives: str = ""
    """Why no test can notice it, where none can."""
