"""Apideck's events: verify the signature, read the event, forward it to the operator's target."""
