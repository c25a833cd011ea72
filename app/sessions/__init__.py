"""Vault sessions: what session a caller may get, and how it is created."""
