"""Moving a running machine to another process."""
