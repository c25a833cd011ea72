"""Observability: logs, audit events, metrics and traces, without anything secret in them."""
