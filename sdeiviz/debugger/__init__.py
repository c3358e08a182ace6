"""Recording a guest and moving through the recording, forward and back."""

from sdeiviz.debugger.recording import Recording, RecordingError
from sdeiviz.debugger.session import Session
from sdeiviz.debugger.snapshot import Snapshot

__all__ = ["Recording", "RecordingError", "Session", "Snapshot"]
