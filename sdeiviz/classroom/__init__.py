"""What the course needs beside the debugger: predictions that answer back."""

from sdeiviz.classroom.prediction import Choice, Clue, Prediction, Question

__all__ = ["Choice", "Clue", "Prediction", "Question"]
