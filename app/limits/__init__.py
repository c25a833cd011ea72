"""Limits on requests in flight, and on requests over time per caller and in total."""
