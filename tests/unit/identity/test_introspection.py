from typing import Any
from urllib.parse import parse_qsl

import pytest

from app.errors import IdentityProviderUnavailableError, UnauthenticatedError
from app.identity.discovery import Discovery
from app.identity.introspection import Introspector
from app.identity.token_rules import TokenRules
from app.settings import IssuerSettings
from tests.support.in_process import Clock, Network, told

ISSUER = "https://id.example"
URL = f"{ISSUER}/introspect"
GOOD = {"active": True, "iss": ISSUER, "aud": "vault-bff", "sub": "ada", "exp": 2000}


def introspector(
    network: Network,
    clock: Clock | None = None,
    issuer: dict[str, Any] | None = None,
    **more: Any,
) -> Introspector:
    """Return an issuer on this network to ask, at second 1000."""
    clock = clock or Clock()
    own = {"client_id": "vault", "client_secret": "s3cret", "endpoint": URL, **more}
    settings = IssuerSettings.model_validate(
        {"issuer": ISSUER, "audience": "vault-bff", "introspection": own, **(issuer or {})}
    )
    assert settings.introspection is not None
    return Introspector(
        settings.introspection,
        Discovery(settings, network.fetcher),
        network.fetcher,
        TokenRules(settings, clock),
        clock=clock,
    )


@pytest.mark.parametrize(
    ("how", "header", "proof"),
    [
        ("client_secret_basic", "Basic dmF1bHQ6czNjcmV0", {}),
        ("client_secret_post", None, {"client_id": "vault", "client_secret": "s3cret"}),
    ],
)
async def test_the_issuer_is_asked_about_a_token(
    how: str, header: str | None, proof: dict[str, str]
) -> None:
    """With this service's own proof, in the header or in the form, and never in both."""
    network = Network({URL: GOOD})

    assert await introspector(network, authentication=how).verify("t0ken") == GOOD
    [request] = network.asked
    assert (request.method, str(request.url)) == ("POST", URL)
    assert request.headers.get("authorization") == header
    assert dict(parse_qsl(request.content.decode())) == {
        "token": "t0ken",
        "token_type_hint": "access_token",
        **proof,
    }


async def test_the_endpoint_is_found_where_it_is_not_configured() -> None:
    """The issuer says where it is."""
    document = {"issuer": ISSUER, "introspection_endpoint": URL}
    network = Network({f"{ISSUER}/.well-known/openid-configuration": document, URL: GOOD})

    assert await introspector(network, endpoint=None).verify("t0ken") == GOOD


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        *(
            (answer, "the issuer says that it is not active")
            for answer in (
                {"active": False},
                {**GOOD, "active": "true"},
                {**GOOD, "active": 1},
                {**GOOD, "active": None},
                {"sub": "ada"},
                [True],
                None,
            )
        ),
        ({**GOOD, "iss": "https://other.example"}, "iss is another issuer's"),
        ({**GOOD, "aud": "other"}, "aud does not name this service"),
        ({**GOOD, "exp": 900}, "it has expired"),
        ({"active": True, **{k: GOOD[k] for k in ("iss", "aud", "sub")}}, "exp is missing"),
    ],
)
async def test_an_answer_is_not_believed_blindly(answer: Any, reason: str) -> None:
    """Only the JSON value true makes a token active, and then its claims must keep the rules."""
    network = Network({URL: answer})
    asked = introspector(network)
    with pytest.raises(UnauthenticatedError) as error:
        await asked.verify("t0ken")
    network.answers[URL] = GOOD

    assert told(error.value) == ("The access token is not valid.", reason)
    assert await asked.verify("t0ken") == GOOD  # A no is not remembered.


@pytest.mark.parametrize("status", [201, 401, 403, 500])
async def test_an_issuer_that_does_not_answer_says_nothing_of_a_token(status: int) -> None:
    """Our own credentials being wrong is not the caller's fault."""
    with pytest.raises(IdentityProviderUnavailableError) as error:
        await introspector(Network({URL: status})).verify("t0ken")

    assert error.value.reason == f"{URL}: responded with {status}"


async def test_an_answer_is_believed_for_the_configured_time() -> None:
    """Per token, and not a moment longer."""
    network, clock = Network({URL: GOOD}), Clock()
    asked = introspector(network, clock, cache_seconds=30)
    counts = []
    for token, later in (("a", 0), ("b", 0), ("a", 29.9), ("a", 0.1)):
        clock.now += later
        await asked.verify(token)
        counts.append(len(network.asked))

    assert counts == [1, 2, 2, 3]


async def test_an_answer_is_not_believed_beyond_the_tokens_end() -> None:
    """However long answers are believed otherwise."""
    network, clock = Network({URL: {**GOOD, "exp": 1010}}), Clock()
    asked = introspector(network, clock, cache_seconds=30)
    await asked.verify("t0ken")
    clock.now += 9.9
    await asked.verify("t0ken")
    assert len(network.asked) == 1
    clock.now += 0.1
    await asked.verify("t0ken")

    assert len(network.asked) == 2


async def test_a_remembered_answer_must_keep_the_rules_each_time() -> None:
    """A token can become too old while an answer about it is remembered."""
    network, clock = Network({URL: {**GOOD, "iat": 950}}), Clock()
    asked = introspector(network, clock, {"max_token_age_seconds": 60, "leeway_seconds": 0})
    await asked.verify("t0ken")
    clock.now += 11

    with pytest.raises(UnauthenticatedError) as error:
        await asked.verify("t0ken")
    assert error.value.reason == "it is older than this issuer's tokens may be"
    assert len(network.asked) == 1
