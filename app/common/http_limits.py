"""Limits on requests that several packages have to know."""

from typing import Final

MAX_HEAD_BYTES: Final = 32_768
"""Bytes of a request's target and headers together, so of a credential, too."""
