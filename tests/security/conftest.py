"""Fixtures that security tests share."""

from typing import Any

import pytest

from app.identity.sources.signed_token import SignedTokenSource
from app.identity.unverified_token import UnverifiedToken


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that records every token whose signature is verified."""
    seen: list[str] = []
    verify = SignedTokenSource.verify

    async def recording(self: SignedTokenSource, token: UnverifiedToken) -> Any:
        seen.append(token.text)
        return await verify(self, token)

    monkeypatch.setattr(SignedTokenSource, "verify", recording)
    return seen
