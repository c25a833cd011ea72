"""Modules that every package may use: URLs, strict JSON, single flight, breaker, transport."""
