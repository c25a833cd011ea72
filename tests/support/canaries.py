"""Planted secrets: strings that occur nowhere else, and a search for them in any output."""

import base64
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import quote


def _planted(prefix: str) -> Any:
    # None of them has the form of a token, a key or an address, so the redactor cannot hide a leak
    # by recognizing a form.
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
    words: str = _planted("WORDS")
    """What a caller sends in unexpected fields."""

    def __str__(self) -> str:
        return " ".join(getattr(self, one.name) for one in fields(self))

    def seen_in(self, text: str | bytes, *, but: Iterable[str] = ()) -> set[str]:
        """Return the names of those that a text contains, in any encoding.

        Args:
            text: the output.
            but: the names of those that are expected in it.
        """
        raw = text.encode(errors="surrogatepass") if isinstance(text, str) else text
        return {
            one.name
            for one in fields(self)
            if one.name not in set(but)
            and any(form in raw for form in _forms(getattr(self, one.name)))
        }


def _forms(secret: str) -> set[bytes]:
    raw = secret.encode()
    forms = {
        raw,
        raw[:-4],  # truncated at the end
        raw.hex().encode(),
        quote(secret, safe="").encode(),
        json.dumps(secret)[1:-1].encode(),
        repr(raw)[2:-1].encode(),
    }
    for shift in range(3):
        # Base64 of a text that contains the secret, without what depends on its position.
        encoded = base64.b64encode(b"." * shift + raw)
        forms |= {encoded[4:-4], encoded[4:-4].translate(bytes.maketrans(b"+/", b"-_"))}
    return forms
