"""Observability: what the operator gets to see, with nothing secret in it."""
