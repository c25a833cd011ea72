"""Tokens that are presented repeatedly, while time passes and keys are rotated."""

import asyncio
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule
from joserfc.jwk import ECKey

from app.errors import UnauthenticatedError
from emulators.issuer import DevelopmentIssuer
from tests.support.token_cache import HOUR, CachingService

ISSUER = DevelopmentIssuer()
PERMANENT_KEY = ISSUER.keys.signing_key("ES256")
SIGNERS = [PERMANENT_KEY, *(ECKey.generate_key("P-256") for _ in range(3))]
"""The key that is always published, and others that are published and withdrawn."""
NO_SIGNER = -1
LEEWAY, MAX_AGE, MAX_TOKENS = 30, HOUR // 2, 3


@dataclass(frozen=True)
class IssuedToken:
    """A token, and the properties from which the model computes the expected result.

    Attributes:
        text: the token.
        subject: its subject.
        kid: the key id in its header, if any.
        key: the index of the key in SIGNERS that signed it, or NO_SIGNER.
        issued: the time at which it was issued.
        expires: the time at which it expires.
    """

    text: str
    subject: str
    kid: str | None
    key: int
    issued: float
    expires: float


class TokenCacheMachine(RuleBasedStateMachine):
    """A token identifies its subject only while it is fresh and its key is the one to use."""

    tokens = Bundle("tokens")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.service = CachingService(
            MAX_TOKENS, ISSUER, leeway_seconds=LEEWAY, max_token_age_seconds=MAX_AGE
        )
        self.published: list[tuple[str, int]] = []
        self.latest = deque[IssuedToken](maxlen=MAX_TOKENS)

    def teardown(self) -> None:
        """Close the event loop."""
        self.runner.close()

    @rule(kid=st.sampled_from("ab"), key=st.integers(1, 3))
    def rotate(self, kid: str, key: int) -> None:
        """Publish a key before all others, perhaps with the id of another key."""
        self.publish([(kid, key), *self.published[:2]])

    @rule(index=st.integers(0, 2))
    def withdraw(self, index: int) -> None:
        """Stop publishing a key."""
        self.publish([one for at, one in enumerate(self.published) if at != index])

    @rule(seconds=st.sampled_from([1, LEEWAY, MAX_AGE + LEEWAY + 1]))
    def wait(self, seconds: int) -> None:
        """Advance the clock."""
        self.service.now += seconds

    @rule(
        target=tokens,
        subject=st.sampled_from(["ada", "grace"]),
        index=st.integers(0, 3),
        with_kid=st.sampled_from([True, True, True, False]),
        seconds=st.sampled_from([2 * LEEWAY, HOUR]),
    )
    def issue(self, subject: str, index: int, with_kid: bool, seconds: int) -> IssuedToken:
        """Sign a token with a published key, with or without its id."""
        kid, key = self.published_keys[index % len(self.published_keys)]
        return self.signed(subject, kid if with_kid else None, key, seconds)

    @rule(target=tokens, token=tokens, key=st.integers(0, 3))
    def sign_again(self, token: IssuedToken, key: int) -> IssuedToken:
        """Sign the claims of a token with any key, under the key id of the token."""
        return self.signed(token.subject, token.kid, key, HOUR)

    @rule(target=tokens, token=tokens, position=st.integers(5, 60))
    def forge(self, token: IssuedToken, position: int) -> Any:
        """Change one character of the signature of a token."""
        if token.key == NO_SIGNER:
            return multiple()  # A second change could make it valid again.
        other = "A" if token.text[-position] != "A" else "B"
        text = token.text[:-position] + other + token.text[1 - position :]
        return replace(token, text=text, key=NO_SIGNER)

    @rule(token=tokens)
    def present(self, token: IssuedToken) -> None:
        """Present any token, which may be old or cached."""
        self.check(token)

    @invariant()
    def the_latest_tokens_have_the_expected_result(self) -> None:
        """The latest tokens, which may be cached, still have the expected result."""
        for token in self.latest:
            self.check(token)

    @invariant()
    def the_cache_is_bounded(self) -> None:
        """The cache never exceeds its maximum size."""
        assert len(self.service.cache) <= MAX_TOKENS

    def publish(self, keys: list[tuple[str, int]]) -> None:
        """Publish these keys before the permanent key."""
        self.published = keys
        self.service.key_server.first = [
            SIGNERS[key].as_dict(private=False, kid=kid) for kid, key in keys
        ]
        self.service.fetch_keys()

    @property
    def published_keys(self) -> list[tuple[str | None, int]]:
        """The ids of the published keys in their order, and the indices of their signers."""
        return [*self.published, (PERMANENT_KEY.kid, 0)]

    def signed(self, subject: str, kid: str | None, key: int, seconds: int) -> IssuedToken:
        """Return a token that is issued at the current time."""
        now = int(self.service.now)
        text = ISSUER.token(
            sub=subject,
            algorithm="ES256",
            key=SIGNERS[key],
            headers={"kid": kid},
            iat=now,
            exp=now + seconds,
        )
        token = IssuedToken(text, subject, kid, key, now, now + seconds)
        self.latest.append(token)
        return token

    def check(self, token: IssuedToken) -> None:
        """Assert that the service accepts a token only if it is valid."""
        try:
            subject = self.runner.run(self.service.caller(token.text)).subject
        except UnauthenticatedError:
            subject = None
        assert subject == (token.subject if self.is_valid(token) else None)

    def is_valid(self, token: IssuedToken) -> bool:
        """Return whether the service must accept a token."""
        now = self.service.now
        if now >= token.expires + LEEWAY or now > token.issued + MAX_AGE + LEEWAY:
            return False
        matching = [key for kid, key in self.published_keys if token.kid in {None, kid}]
        ambiguous = token.kid is None and len(matching) > 1
        return not ambiguous and matching[:1] == [token.key]


TestTokenCache = TokenCacheMachine.TestCase
TestTokenCache.settings = settings(stateful_step_count=30)
