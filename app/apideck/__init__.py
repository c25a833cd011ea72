"""Calls to Apideck: one function for each operation, with a deadline, retries and a breaker."""
