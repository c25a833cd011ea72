"""Reads the token that `vault-bff check --token` checks."""

import re
import sys
from argparse import ArgumentTypeError
from pathlib import Path

from ..common.http_limits import MAX_HEAD_BYTES
from ..errors import ConfigurationError

_TOKEN = re.compile(r"(?i:bearer\s)|eyJ|[\w-]{8,}\.[\w-]{8,}\.[\w-]*")
_INSTEAD = "give the name of a file with the token, or - to read it from the standard input"


def not_a_token(argument: str) -> str:
    """Return an argument, unless it looks like a token.

    Raises:
        ArgumentTypeError: it does. It is not quoted.
    """
    if _TOKEN.match(argument):
        raise ArgumentTypeError(
            f"this looks like a token, which shells keep in their history: {_INSTEAD}"
        )
    return argument


def read_token(file: str) -> str:
    """Return the token in a file, without whitespace around it and without `Bearer`.

    Args:
        file: the path of the file; `-` is the standard input.

    Raises:
        ConfigurationError: it cannot be read. Its name is not quoted, because it may be a token.
    """
    limit = 2 * MAX_HEAD_BYTES  # More is too large in any case.
    try:
        if file == "-":
            data = sys.stdin.buffer.read(limit)
        else:
            with Path(file).open("rb") as opened:
                data = opened.read(limit)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not the name of a file"
        raise ConfigurationError([f"--token: {reason}: {_INSTEAD}"]) from None
    text = data.decode("ascii", errors="replace").strip()
    text = re.sub(r"(?i)^bearer\s+", "", text)
    if not text:
        raise ConfigurationError(["--token: the file is empty"])
    return text
