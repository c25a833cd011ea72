"""Fixtures that security tests share."""

from typing import Any

import pytest

from app.identity import jwt
from app.identity.unverified_token import UnverifiedToken


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that records every token whose signature is verified."""
    seen: list[str] = []
    verify = jwt.JwtVerifier.verify

    async def recording(self: jwt.JwtVerifier, token: UnverifiedToken) -> Any:
        seen.append(token.text)
        return await verify(self, token)

    monkeypatch.setattr(jwt.JwtVerifier, "verify", recording)
    return seen
