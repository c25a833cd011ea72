"""Lines at the end of a test run."""

SUMMARY = "summary"
"""The name with which a test passes a line to `record_property`, to have it printed at the end."""
