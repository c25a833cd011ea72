"""Connections: what a customer has connected, as far as a browser may see it."""
