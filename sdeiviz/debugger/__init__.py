"""Recording a guest and moving through the recording."""
