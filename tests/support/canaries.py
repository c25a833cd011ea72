"""Planted secrets: unique strings, and a search for them in any output."""

import base64
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import quote


def _planted(prefix: str) -> Any:
    # None of them looks like a token, a key or an email address, so the redactor cannot hide a
    # leak by recognizing a format.
    return field(default_factory=lambda: f"{prefix}-{secrets.token_hex(8)}")


@dataclass(frozen=True)
class Canaries:
    """One planted string for every kind of secret."""

    api_key: str = _planted("KEY")
    client_secret: str = _planted("CLIENT")
    store_password: str = _planted("STORE")
    collector_key: str = _planted("COLLECTOR")
    session_token: str = _planted("SESSION")
    callers_token: str = _planted("TOKEN")
    bad_token: str = _planted("BAD")
    cookie: str = _planted("COOKIE")
    name: str = _planted("Näme")
    email: str = _planted("MAIL")
    credential: str = _planted("CREDENTIAL")
    """A credential of a connected system, which Apideck returns with the connection."""
    free_text: str = _planted("WORDS")
    """What a caller sends in unexpected fields."""

    def __str__(self) -> str:
        return " ".join(getattr(self, one.name) for one in fields(self))

    def found_in(self, text: str | bytes, *, ignore: Iterable[str] = ()) -> set[str]:
        """Return the names of the planted strings that a text contains, in any encoding.

        Args:
            text: the output.
            ignore: the names of the planted strings that the text may contain.
        """
        raw = text.encode(errors="surrogatepass") if isinstance(text, str) else text
        return {
            one.name
            for one in fields(self)
            if one.name not in set(ignore)
            and any(encoded in raw for encoded in _encodings(getattr(self, one.name)))
        }


def _encodings(secret: str) -> set[bytes]:
    raw = secret.encode()
    encodings = {
        raw,
        raw[:-4],  # truncated at the end
        raw.hex().encode(),
        quote(secret, safe="").encode(),
        json.dumps(secret)[1:-1].encode(),
        repr(raw)[2:-1].encode(),
    }
    for shift in range(3):
        # Base64 of a text that contains the secret, without the ends, which depend on the rest.
        encoded = base64.b64encode(b"." * shift + raw)
        encodings |= {encoded[4:-4], encoded[4:-4].translate(bytes.maketrans(b"+/", b"-_"))}
    return encodings
