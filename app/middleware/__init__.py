"""Middleware: transport and nothing else, as bare ASGI, one to a file."""
