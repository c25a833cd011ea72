"""What tests of security share."""

from typing import Any

import pytest

from app.identity import jwt


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the tokens whose signatures are verified from now on."""
    seen: list[str] = []
    verify = jwt.JwtVerifier.verify

    async def noting(self: jwt.JwtVerifier, token: jwt.UnverifiedToken) -> Any:
        seen.append(token.text)
        return await verify(self, token)

    monkeypatch.setattr(jwt.JwtVerifier, "verify", noting)
    return seen
