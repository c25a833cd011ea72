from base64 import b64decode
from typing import Any
from urllib.parse import parse_qsl

import pytest

from app.errors import IdentityProviderUnavailableError, UnauthenticatedError
from app.identity.sources.introspection import IntrospectionSource, build
from app.settings import IssuerSettings
from emulators.issuer import DevelopmentIssuer
from tests.support.in_process import (
    Clock,
    Network,
    configured_issuer,
    credential,
    identity_with,
    problem_of,
)

ISSUER = "https://id.example"
URL = f"{ISSUER}/introspect"
VALID = {"active": True, "iss": ISSUER, "aud": "vault-bff", "sub": "ada", "exp": 2000}


def without(*names: str) -> dict[str, Any]:
    """Return a valid response that lacks some members."""
    return {name: value for name, value in VALID.items() if name not in names}


def source(
    network: Network,
    clock: Clock | None = None,
    issuer: dict[str, Any] | None = None,
    *,
    wall_clock: Clock | None = None,
    **more: Any,
) -> IntrospectionSource:
    """Return an issuer with introspection on this network, at second 1000 of one or two clocks."""
    clock = clock or Clock()
    own = {"client_id": "vault", "client_secret": "s3cret", "endpoint": URL, **more}
    settings = IssuerSettings.model_validate(
        {"issuer": ISSUER, "audience": "vault-bff", "introspection": own, **(issuer or {})}
    )
    assert settings.introspection is not None
    return IntrospectionSource(
        configured_issuer(settings),
        settings.introspection,
        network.fetcher,
        clock=wall_clock or clock,
        monotonic=clock,
    )


@pytest.mark.parametrize(
    ("method", "header", "in_form"),
    [
        ("client_secret_basic", "Basic dmF1bHQ6czNjcmV0", {}),
        ("client_secret_post", None, {"client_id": "vault", "client_secret": "s3cret"}),
    ],
)
async def test_a_token_is_introspected(
    method: str, header: str | None, in_form: dict[str, str]
) -> None:
    """The credentials of this service are in the header or in the form, and never in both."""
    network = Network({URL: VALID})

    assert await source(network, authentication=method).verify("t0ken") == VALID
    [request] = network.requests
    assert (request.method, str(request.url)) == ("POST", URL)
    assert request.headers.get("authorization") == header
    assert dict(parse_qsl(request.content.decode())) == {
        "token": "t0ken",
        "token_type_hint": "access_token",
        **in_form,
    }


async def test_client_id_and_secret_are_form_encoded_before_base64() -> None:
    """A colon in the id does not end it, and the server can decode every character."""
    network = Network({URL: VALID})
    own: dict[str, Any] = {"client_id": "https://vault.example/", "client_secret": "p+ss/w=rd%41 ~"}

    await source(network, **own).verify("t0ken")

    sent = network.requests[0].headers["authorization"].removeprefix("Basic ")
    assert b64decode(sent) == b"https%3A%2F%2Fvault.example%2F:p%2Bss%2Fw%3Drd%2541+~"


async def test_the_endpoint_is_found_by_discovery_by_default() -> None:
    """The issuer's metadata contains it."""
    document = {"issuer": ISSUER, "introspection_endpoint": URL}
    network = Network({f"{ISSUER}/.well-known/openid-configuration": document, URL: VALID})

    assert await source(network, endpoint=None).verify("t0ken") == VALID


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        *(
            (response, "the issuer says that the token is not active")
            for response in (
                {"active": False},
                {**VALID, "active": "true"},
                {**VALID, "active": 1},
                {**VALID, "active": None},
                {"sub": "ada"},
                [True],
                None,
            )
        ),
        ({**VALID, "iss": "https://other.example"}, "iss is another issuer"),
        ({**VALID, "aud": "other"}, "aud does not name this service"),
        ({**VALID, "exp": 900}, "the token has expired"),
        ({**VALID, "nonce": "n"}, "an ID token: it has the claim nonce"),
        (without("aud"), "aud does not name this service"),
        (without("sub"), "sub is missing or not a string"),
        ({**VALID, "exp": None}, "exp is not a number"),
        ({**VALID, "iss": None}, "iss is another issuer"),
    ],
)
async def test_the_claims_in_a_response_are_checked(response: Any, reason: str) -> None:
    """Only the JSON value true makes a token active; a rejection is not cached."""
    network = Network({URL: response})
    introspection = source(network)
    with pytest.raises(UnauthenticatedError) as error:
        await introspection.verify("t0ken")
    network.responses[URL] = VALID

    assert error.value.detail == "Your sign-in is not valid. Please sign in again."
    assert problem_of(error.value) == reason
    assert await introspection.verify("t0ken") == VALID


@pytest.mark.parametrize("status", [201, 401, 403, 500])
async def test_an_issuer_without_a_usable_response_is_unavailable(status: int) -> None:
    """If the issuer rejects this service's credentials, the caller's token is not invalid."""
    with pytest.raises(IdentityProviderUnavailableError) as error:
        await source(Network({URL: status})).verify("t0ken")

    assert error.value.reason == f"{URL}: responded with {status}"


async def test_a_response_is_cached_for_the_configured_time() -> None:
    """Each token has its own response."""
    network, clock = Network({URL: VALID}), Clock()
    introspection = source(network, clock, cache_seconds=30)
    counts = []
    for token, later in (("a", 0), ("b", 0), ("a", 29.9), ("a", 0.1)):
        clock.now += later
        await introspection.verify(token)
        counts.append(len(network.requests))

    assert counts == [1, 2, 2, 3]


async def test_a_wall_clock_that_is_set_back_does_not_extend_the_cached_time() -> None:
    """Otherwise, a revoked token would be accepted for longer than configured."""
    network, clock, wall_clock = Network({URL: VALID}), Clock(), Clock()
    introspection = source(network, clock, wall_clock=wall_clock, cache_seconds=30)
    counts = []
    for later in (0, 29.9, 0.1):
        clock.now += later
        wall_clock.now -= 500
        await introspection.verify("t0ken")
        counts.append(len(network.requests))

    assert counts == [1, 1, 2]


async def test_a_response_is_not_cached_beyond_the_expiry_of_the_token() -> None:
    """The token expires before the configured time has passed."""
    network, clock = Network({URL: {**VALID, "exp": 1010}}), Clock()
    introspection = source(network, clock, cache_seconds=30)
    await introspection.verify("t0ken")
    clock.now += 9.9
    await introspection.verify("t0ken")
    assert len(network.requests) == 1
    clock.now += 0.1
    await introspection.verify("t0ken")

    assert len(network.requests) == 2


async def test_a_cached_response_is_checked_at_each_use() -> None:
    """A token can become too old while the response is cached."""
    network, clock = Network({URL: {**VALID, "iat": 950}}), Clock()
    introspection = source(network, clock, {"max_token_age_seconds": 60, "leeway_seconds": 0})
    await introspection.verify("t0ken")
    clock.now += 11

    with pytest.raises(UnauthenticatedError) as error:
        await introspection.verify("t0ken")
    assert problem_of(error.value) == "the token is older than max_token_age_seconds"
    assert len(network.requests) == 1


async def test_the_caller_is_read_from_the_response() -> None:
    """The caller has the configured name of the issuer, and the claims of the response."""
    network = Network({URL: {**VALID, "name": "Ada"}})

    caller = await source(network).caller(credential("t0ken"))

    assert (caller.kind, caller.issuer, caller.subject) == ("user", "main", "ada")
    assert caller.consumer_metadata == {"user_name": "Ada"}
    assert network.urls() == [URL]


def test_opaque_tokens_and_the_issuers_own_signed_tokens_are_recognized() -> None:
    """A signed token of another issuer or for another audience is not."""
    introspection = source(Network())
    own = DevelopmentIssuer()

    assert introspection.recognizes(credential("opaque"))
    assert introspection.recognizes(credential(own.token(iss=ISSUER)))
    assert not introspection.recognizes(credential(own.token(iss=ISSUER, aud="other")))
    assert not introspection.recognizes(credential(own.token()))


def test_a_source_with_introspection_needs_no_keys() -> None:
    """It is always ready, has no background work, and its callers are not in the token cache."""
    introspection = source(Network())

    assert introspection.ready
    assert introspection.key_state() is None
    assert introspection.refresh is None
    assert introspection.proof(credential(DevelopmentIssuer().token())) is None


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        ({"active": False}, None),
        (VALID, "accepts a made-up credential"),
        (401, f"{URL}: responded with 401"),
    ],
)
async def test_the_probe_introspects_a_made_up_token(response: Any, problem: str | None) -> None:
    """The issuer must respond that the token is not active."""
    introspection = source(Network({URL: response}))
    assert introspection.setting == "IDENTITY__ISSUERS__MAIN__INTROSPECTION"
    if problem is None:
        assert await introspection.probe() == "responds"
        return
    with pytest.raises(IdentityProviderUnavailableError) as error:
        await introspection.probe()
    assert error.value.reason == problem


def test_only_issuers_with_introspection_are_built() -> None:
    """Each entry in the settings becomes exactly one source."""
    own = {"client_id": "vault", "client_secret": "s3cret"}
    issuer = {"issuer": ISSUER, "audience": "a", "consumer_prefix": "a-"}
    other = {"issuer": ISSUER, "audience": "b", "consumer_prefix": "b-", "introspection": own}

    built = build(identity_with(one=issuer, two=other), Network().fetcher)
    assert [one.name for one in built] == ["two"]


async def test_a_response_may_lack_iss_and_exp() -> None:
    """The response is then cached for the configured time."""
    network, clock = Network({URL: without("iss", "exp")}), Clock()
    introspection = source(network, clock, cache_seconds=30)
    for later in (0, 29.9, 0.1):
        clock.now += later
        assert await introspection.verify("t0ken") == without("iss", "exp")

    assert len(network.requests) == 2


@pytest.mark.parametrize(
    ("response", "accepted"),
    [
        (without("aud"), True),
        (VALID, True),
        ({**VALID, "aud": "x"}, False),
        ({**VALID, "aud": None}, False),
    ],
)
async def test_a_missing_audience_can_be_allowed(response: Any, accepted: bool) -> None:
    """An audience that is present is still checked."""
    introspection = source(Network({URL: response}), allow_missing_audience=True)
    if accepted:
        assert await introspection.verify("t0ken") == response
        return
    with pytest.raises(UnauthenticatedError):
        await introspection.verify("t0ken")


@pytest.mark.parametrize("path", ["username", "/username", "/user/id"])
async def test_another_claim_can_identify_users(path: str) -> None:
    """It is used even if there is a `sub`."""
    response = {**VALID, "username": "grace", "user": {"id": "grace"}}
    network = Network({URL: response})

    caller = await source(network, subject_claim=path).caller(credential("t0ken"))

    assert (caller.kind, caller.subject, caller.consumer_id) == ("user", "grace", "grace")


SERVICES = {"kind": "services", "grants": {"robot": ["acme"]}, "required_scope": "vault:sessions"}


async def test_the_client_can_identify_a_service() -> None:
    """The response for a client's own token contains no user."""
    response = {**without("sub"), "client_id": "robot", "username": None, "scope": "vault:sessions"}
    introspection = source(Network({URL: response}), None, SERVICES, subject_claim="client_id")

    caller = await introspection.caller(credential("t0ken"))

    assert (caller.kind, caller.subject, caller.grant) == ("service", "robot", ("acme",))


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"sub": "ada"}, "the token is that of a person: the response has sub"),
        ({"sub": "robot"}, "the token is that of a person: the response has sub"),
        ({"username": "Ada"}, "the token is that of a person: the response has username"),
        ({"client_id": None}, "the subject_claim client_id is missing or not a string"),
        ({"client_id": ""}, "the subject_claim client_id is missing or not a string"),
        ({"client_id": ["robot"]}, "the subject_claim client_id is missing or not a string"),
    ],
)
async def test_the_token_of_a_user_is_not_accepted_as_the_token_of_its_client(
    more: dict[str, Any], reason: str
) -> None:
    """The attack: a user signs in with the client of a service, and gets its grant."""
    response = {**without("sub"), "client_id": "robot", "scope": "vault:sessions", **more}
    introspection = source(Network({URL: response}), None, SERVICES, subject_claim="client_id")

    with pytest.raises(UnauthenticatedError) as error:
        await introspection.caller(credential("t0ken"))
    assert error.value.reason == reason
