"""Reasons of skipped tests."""

IMPOSSIBLE = "not possible on this machine"
"""The reason of a skip starts with this if no installation avoids it; CI fails on other skips."""
