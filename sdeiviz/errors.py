"""The errors that sdeiviz raises on purpose.

Each message is one line that says what was wrong, where, and what to do. A mistake of a guest is
never one of these: the guest gets the architecture's answer and the trace an event.
"""


class Error(Exception):
    """The root of all of them: ``except sdeiviz.Error`` catches every expected failure."""


class ImageError(Error):
    """A file that cannot be run as a guest."""


class ToolchainError(Error):
    """No compiler for guests was found, or it refused the sources."""
