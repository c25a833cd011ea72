"""Small alternatives to the service; only the careful ones authenticate callers."""
