"""Tokens that come and come again, while time passes and their keys come and go."""

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
OWN = ISSUER.keys.signing_key("ES256")
SIGNERS = [OWN, *(ECKey.generate_key("P-256") for _ in range(3))]
"""The key that is always published, and others that come and go."""
NO_SIGNER = -1
LEEWAY, MAX_AGE, PLACES = 30, HOUR // 2, 3


@dataclass(frozen=True)
class Made:
    """A token, and what a plain model has to know of it.

    Attributes:
        text: the token.
        subject: whose it is.
        kid: the id of a key that it names, if any.
        key: which of the signers signed it, or none.
        issued: when.
        expires: when.
    """

    text: str
    subject: str
    kid: str | None
    key: int
    issued: float
    expires: float


class Remembering(RuleBasedStateMachine):
    """A token proves its subject exactly as long as its key is chosen for it and it is fresh."""

    tokens = Bundle("tokens")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.world = CachingService(
            PLACES, ISSUER, leeway_seconds=LEEWAY, max_token_age_seconds=MAX_AGE
        )
        self.published: list[tuple[str, int]] = []
        self.latest = deque[Made](maxlen=PLACES)

    def teardown(self) -> None:
        """Let go of the loop."""
        self.runner.close()

    @rule(kid=st.sampled_from("ab"), key=st.integers(1, 3))
    def rotate(self, kid: str, key: int) -> None:
        """Publish a key before all others, perhaps under an id that one of them has, too."""
        self.publish([(kid, key), *self.published[:2]])

    @rule(place=st.integers(0, 2))
    def withdraw(self, place: int) -> None:
        """Publish a key no longer."""
        self.publish([one for at, one in enumerate(self.published) if at != place])

    @rule(seconds=st.sampled_from([1, LEEWAY, MAX_AGE + LEEWAY + 1]))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.world.now += seconds

    @rule(
        target=tokens,
        subject=st.sampled_from(["ada", "grace"]),
        place=st.integers(0, 3),
        named=st.sampled_from([True, True, True, False]),
        seconds=st.sampled_from([2 * LEEWAY, HOUR]),
    )
    def issue(self, subject: str, place: int, named: bool, seconds: int) -> Made:
        """Sign a token with a key that is published, under its id or none."""
        kid, key = self.every[place % len(self.every)]
        return self.signed(subject, kid if named else None, key, seconds)

    @rule(target=tokens, made=tokens, key=st.integers(0, 3))
    def imitate(self, made: Made, key: int) -> Made:
        """Sign what a token says with any key, under the id that it names."""
        return self.signed(made.subject, made.kid, key, HOUR)

    @rule(target=tokens, made=tokens, place=st.integers(5, 60))
    def forge(self, made: Made, place: int) -> Any:
        """Change one character of a signature that was made."""
        if made.key == NO_SIGNER:
            return multiple()  # Changed twice it could be good again.
        other = "A" if made.text[-place] != "A" else "B"
        text = made.text[:-place] + other + made.text[1 - place :]
        return replace(made, text=text, key=NO_SIGNER)

    @rule(made=tokens)
    def come(self, made: Made) -> None:
        """Present a token, however long ago it was made or seen."""
        self.judge(made)

    @invariant()
    def the_latest_are_taken_for_what_they_are(self) -> None:
        """Whatever has happened since they were last presented, and are remembered."""
        for made in self.latest:
            self.judge(made)

    @invariant()
    def no_more_are_remembered_than_may(self) -> None:
        """However many come, there are so many places."""
        assert len(self.world.cache) <= PLACES

    def publish(self, keys: list[tuple[str, int]]) -> None:
        """Publish these before the key that stays."""
        self.published = keys
        self.world.key_server.first = [
            SIGNERS[key].as_dict(private=False, kid=kid) for kid, key in keys
        ]
        self.world.fetch_keys()

    @property
    def every(self) -> list[tuple[str | None, int]]:
        """The ids of the published keys in their order, and which signers they are."""
        return [*self.published, (OWN.kid, 0)]

    def signed(self, subject: str, kid: str | None, key: int, seconds: int) -> Made:
        """Return a token of this very moment."""
        now = int(self.world.now)
        text = ISSUER.token(
            sub=subject,
            algorithm="ES256",
            key=SIGNERS[key],
            headers={"kid": kid},
            iat=now,
            exp=now + seconds,
        )
        made = Made(text, subject, kid, key, now, now + seconds)
        self.latest.append(made)
        return made

    def judge(self, made: Made) -> None:
        """Hold that the service takes a token for what it is."""
        try:
            proven = self.runner.run(self.world.caller(made.text)).subject
        except UnauthenticatedError:
            proven = None
        assert proven == (made.subject if self.holds(made) else None)

    def holds(self, made: Made) -> bool:
        """Tell whether a token must be taken for what it is."""
        now = self.world.now
        if now >= made.expires + LEEWAY or now > made.issued + MAX_AGE + LEEWAY:
            return False
        fitting = [key for kid, key in self.every if made.kid in {None, kid}]
        unclear = made.kid is None and len(fitting) > 1
        return not unclear and fitting[:1] == [made.key]


TestRemembering = Remembering.TestCase
TestRemembering.settings = settings(stateful_step_count=30)
