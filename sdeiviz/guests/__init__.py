"""Guests: loading them, naming their addresses, finding their sources, compiling them."""

from sdeiviz.guests.catalogue import GUESTS, Guest
from sdeiviz.guests.image import Image, Segment, load
from sdeiviz.guests.lines import Lines, SourceLine
from sdeiviz.guests.symbols import Symbols

__all__ = ["GUESTS", "Guest", "Image", "Lines", "Segment", "SourceLine", "Symbols", "load"]
