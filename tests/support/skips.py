"""What a skipped test says."""

CANNOT = "cannot be done here"
"""Begins the reason of a skip that no installation would mend; every other fails in CI."""
