"""What the course needs beside the debugger: predictions that answer back, pictures, guests."""

from sdeiviz.classroom.figure import Figure, drawing, table
from sdeiviz.classroom.moving import Moving, moving
from sdeiviz.classroom.prediction import Choice, Clue, Prediction, Question
from sdeiviz.classroom.progress import progress
from sdeiviz.classroom.swapping import swapping

__all__ = [
    "Choice",
    "Clue",
    "Figure",
    "Moving",
    "Prediction",
    "Question",
    "drawing",
    "moving",
    "progress",
    "swapping",
    "table",
]
