"""Vault BFF: a backend-for-frontend that mints Apideck Hosted Vault sessions.

A request travels one way: HTTP → identity → policy → Apideck → answer.
"""

__version__ = "0.1.0"
