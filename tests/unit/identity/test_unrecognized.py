from typing import Any

import pytest

from app.errors import UnauthenticatedError
from app.identity.authenticator import Authenticator
from app.identity.sources import build_sources
from app.settings import IdentitySettings
from emulators.issuer import DevelopmentIssuer
from tests.support.in_process import Network

ISSUER = DevelopmentIssuer()
MAIN = {"issuer": ISSUER.issuer, "audience": ["vault-bff", "vault"], "consumer_prefix": "m-"}
GATE = {
    "issuer": "https://gate.example",
    "audience": "gate",
    "consumer_prefix": "g-",
    "credential": {"header": "X-Assertion"},
}
COOKIE = {
    "issuer": "https://spa.example",
    "audience": "spa",
    "consumer_prefix": "s-",
    "credential": {"cookie": "spa"},
}


async def reason(token: str, **issuers: dict[str, Any]) -> str | None:
    """Return the operator's message about a bearer token that is rejected."""
    settings = IdentitySettings.model_validate({"issuers": issuers or {"main": MAIN}})
    sources = build_sources(settings, Network().fetcher)
    with pytest.raises(UnauthenticatedError) as error:
        await Authenticator(sources, settings, []).authenticate(
            [(b"authorization", f"Bearer {token}".encode())]
        )
    assert error.value.detail == "Your sign-in is not valid. Please sign in again."
    return error.value.reason


async def test_a_wrong_audience_is_reported_with_both_audiences() -> None:
    """The issuer is correct, so only the audience is compared."""
    assert await reason(ISSUER.token(aud=["other", "billing"])) == (
        "aud does not name this service: "
        "received 'other', 'billing', expected 'vault-bff' or 'vault'"
    )


async def test_a_wrong_audience_is_compared_with_every_entry_of_that_issuer() -> None:
    """Several entries can have one issuer URL."""
    second = {**MAIN, "audience": "second", "consumer_prefix": "s-"}

    assert await reason(ISSUER.token(aud="x"), main=MAIN, second=second) == (
        "aud does not name this service: received 'x', expected 'vault-bff' or 'vault'; "
        "aud does not name this service: received 'x', expected 'second'"
    )


async def test_an_unknown_issuer_is_reported_with_the_configured_ones() -> None:
    """Each configured issuer is named once."""
    assert await reason(ISSUER.token(iss="https://other.example")) == (
        f"iss is no configured issuer: received 'https://other.example', expected '{ISSUER.issuer}'"
    )


async def test_an_extra_slash_at_the_end_is_reported() -> None:
    """This mistake is easy to overlook."""
    assert await reason(ISSUER.token(iss=f"{ISSUER.issuer}/")) == (
        "iss is no configured issuer (iss has a slash too many at its end): "
        f"received '{ISSUER.issuer}/', expected '{ISSUER.issuer}'"
    )


async def test_a_token_without_an_issuer_is_reported_with_the_configured_issuers() -> None:
    """The received value is shown as None."""
    text = await reason(ISSUER.token(iss=None))

    assert text is not None
    assert text.startswith("iss is no configured issuer: received None, expected ")


async def test_text_that_is_not_a_token_is_described_by_its_form() -> None:
    """The text itself may be a secret, so only its length is shown."""
    assert await reason("garbage") == (
        "not a signed token (JWT): received 7 characters with 1 part, expected three parts with "
        "dots between them; only an issuer with introspection has other tokens"
    )
    assert "with 5 parts" in str(await reason("a.b.c.d.e"))


@pytest.mark.parametrize(
    ("iss", "expected"),
    [
        ("https://gate.example", "the issuer gate: expected in the header x-assertion"),
        ("https://spa.example", "the issuer spa: expected in the cookie spa"),
    ],
)
async def test_a_token_in_the_wrong_location_is_reported_with_its_issuer(
    iss: str, expected: str
) -> None:
    """The issuer is configured, but its tokens are expected elsewhere."""
    token = ISSUER.token(iss=iss)

    assert await reason(token, main=MAIN, gate=GATE, spa=COOKIE) == (
        f"the token belongs to {expected}"
    )
