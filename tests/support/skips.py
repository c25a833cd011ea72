"""Reasons of skipped tests."""

IMPOSSIBLE = "not possible on this machine"
"""Starts the reason of a skip that no installation would avoid; CI fails on every other skip."""
