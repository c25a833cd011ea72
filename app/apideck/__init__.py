"""Apideck: a Session goes out, a minted session comes back, or one of our errors."""
