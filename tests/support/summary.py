"""Lines that pytest prints at the end of a run."""

SUMMARY = "summary"
"""A test passes a line to `record_property` with this name; pytest prints it at the end."""
