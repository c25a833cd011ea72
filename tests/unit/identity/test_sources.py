import time
from dataclasses import replace
from typing import Any

import pytest

from app.errors import IdentityProviderUnavailableError, UnauthenticatedError
from app.identity import jwt
from app.identity.build import build_issuer
from app.identity.sources import CookieSessionSource, Issuer, TokenSource
from app.identity.token_cache import VerifiedTokenCache
from app.identity.whoami import WhoAmI
from app.settings import CookieSessionSettings, IdentitySettings
from emulators.issuer import DevelopmentIssuer
from tests.support.in_process import Clock, Network, told

ISSUER = DevelopmentIssuer()
KEYS, INTROSPECTION, USERINFO = (f"{ISSUER.issuer}/{name}" for name in ("jwks", "ask", "about"))
INTROSPECTING = {"client_id": "vault", "client_secret": "s3cret", "endpoint": INTROSPECTION}
NOBODYS = "iss and aud are those of no configured issuer"


def network() -> Network:
    """Return a network with the development issuer's keys on it."""
    return Network({KEYS: {"keys": ISSUER.keys.published()}})


def issuer(on: Network, name: str = "main", **more: Any) -> Issuer:
    """Return the development issuer, as configured."""
    settings = {"issuer": ISSUER.issuer, "audience": "vault-bff", "jwks_uri": KEYS, **more}
    identity = IdentitySettings.model_validate({"issuers": {name: settings}})
    return build_issuer(name, identity, on.fetcher)


def source(*issuers: Issuer, remembers: int = 0) -> TokenSource:
    """Return where tokens of these issuers come."""
    return TokenSource(issuers, VerifiedTokenCache(remembers))


def active(aud: str = "vault-bff") -> dict[str, Any]:
    """Return what the issuer says about a token of Ada's."""
    ends = time.time() + 60
    return {"active": True, "iss": ISSUER.issuer, "aud": aud, "sub": "ada", "exp": ends}


async def refusal(asked: TokenSource, token: str) -> str | None:
    """Return why a token proves nobody, having checked that its sender does not learn it."""
    with pytest.raises(UnauthenticatedError) as error:
        await asked.caller(token)
    detail, reason = told(error.value)
    assert detail == "The access token is not valid."
    return reason


async def test_a_token_proves_the_person_whom_it_names() -> None:
    """Verified with the issuer's keys, and called by the operator's name for the issuer."""
    caller = await source(issuer(network(), "shop")).caller(ISSUER.token(sub="ada"))

    assert (caller.kind, caller.issuer, caller.subject) == ("user", "shop", "ada")


async def test_a_service_is_told_from_a_person_by_its_issuer() -> None:
    """It has the grant that the operator gave it, and no consumer."""
    services = issuer(network(), kind="services", grants={"job": ["acme"]})
    caller = await source(services).caller(ISSUER.service_token("job"))

    assert (caller.kind, caller.issuer, caller.subject) == ("service", "main", "job")
    assert (caller.consumer_id, caller.grant) == (None, ("acme",))


async def test_issuer_and_audience_choose_whose_rules_hold() -> None:
    """Of two with the same issuer URL the audience chooses; a token for neither is nobody's."""
    on = network()
    two = source(issuer(on, "one", audience="a"), issuer(on, "two", audience=["b", "c"]))

    assert (await two.caller(ISSUER.token(aud="a"))).issuer == "one"
    assert (await two.caller(ISSUER.token(aud=["x", "c"]))).issuer == "two"
    assert await refusal(two, ISSUER.token(aud="d")) == NOBODYS
    assert await refusal(two, ISSUER.token(aud="a", iss="https://other.example")) == NOBODYS


async def test_an_opaque_token_is_whose_issuer_can_be_asked() -> None:
    """Of several issuers the one that introspects; without one it is nobody's."""
    on = network()
    asking = issuer(on, "asking", audience="b", introspection=INTROSPECTING)
    on.answers[INTROSPECTION] = active(aud="b")

    assert (await source(issuer(on), asking).caller("opaque")).issuer == "asking"
    assert await refusal(source(issuer(on)), "opaque") == NOBODYS
    assert await refusal(source(issuer(on), asking), ISSUER.token(aud="d")) == NOBODYS


async def test_an_issuer_that_can_be_asked_is_asked_about_signed_tokens_too() -> None:
    """It knows which it has revoked; a good signature does not count for more."""
    on = network()
    on.answers[INTROSPECTION] = {"active": False}
    asking = source(issuer(on, introspection=INTROSPECTING))

    assert await refusal(asking, ISSUER.token()) == "the issuer says that it is not active"
    assert on.urls() == [INTROSPECTION]


async def test_an_issuer_that_cannot_be_asked_takes_signed_tokens_only() -> None:
    """Whatever brought another one here."""
    with pytest.raises(UnauthenticatedError) as error:
        await issuer(network()).caller("opaque", None)

    assert error.value.reason == "not a signed token in compact form"


async def test_what_a_token_lacks_to_show_is_asked_for() -> None:
    """With that token, and only where it lacks something and UserInfo is switched on."""
    on = network()
    on.answers[USERINFO] = {"sub": "ada", "name": "Countess"}
    asking = issuer(on, userinfo=True, userinfo_endpoint=USERINFO)
    token = ISSUER.token(sub="ada", omit=["name"])

    caller = await source(asking).caller(token)
    assert caller.consumer_metadata["user_name"] == "Countess"
    assert on.asked[-1].headers["authorization"] == f"Bearer {token}"

    assert "user_name" not in (await source(issuer(on)).caller(token)).consumer_metadata
    unnamed = ISSUER.token(sub="ada", name="", email="a@x.example", picture="https://x.example/a")
    assert (await source(asking).caller(unnamed)).consumer_metadata["user_name"] == "Countess"
    asked = len(on.asked)
    full = ISSUER.token(sub="ada", name="Ada", email="a@x.example", picture="https://x.example/a")
    assert (await source(asking).caller(full)).consumer_metadata["user_name"] == "Ada"
    assert len(on.asked) == asked


async def test_a_cookie_proves_whom_its_application_names() -> None:
    """Called by the operator's name for the application, and mapped by its settings."""
    url = "https://app.example/me"
    settings = CookieSessionSettings.model_validate(
        {"cookie": "sid", "whoami_url": url, "consumer_prefix": "app-"}
    )
    on = Network({url: {"sub": 7, "name": "Ada"}})

    caller = await CookieSessionSource("app", settings, WhoAmI(settings, on.fetcher)).caller("abc")

    assert (caller.kind, caller.issuer, caller.subject) == ("user", "app", "7")
    assert caller.consumer_id == "app-7"
    assert caller.consumer_metadata == {"user_name": "Ada"}
    assert on.asked[0].headers["cookie"] == "sid=abc"


async def test_a_verified_token_is_remembered_where_it_stands_for_itself() -> None:
    """The same caller is handed out; where an answer of the issuer's is part of it, none is."""
    on, token = network(), ISSUER.token(sub="ada", algorithm="ES256")
    remembered = VerifiedTokenCache(10)
    asked = TokenSource([issuer(on)], remembered)
    caller = await asked.caller(token)

    assert len(remembered) == 1
    assert remembered.get(token) is caller
    assert await asked.caller(token) is caller

    on.answers[USERINFO] = {"sub": "ada"}
    on.answers[INTROSPECTION] = active()
    for more in (
        {"userinfo": True, "userinfo_endpoint": USERINFO},
        {"introspection": INTROSPECTING},
    ):
        nothing = VerifiedTokenCache(10)
        asked = TokenSource([issuer(on, **more)], nothing)
        assert await asked.caller(token) == await asked.caller(token)
        assert len(nothing) == 0


async def test_a_token_that_does_not_hold_is_not_remembered() -> None:
    """Whoever makes tokens up evicts nobody."""
    remembered = VerifiedTokenCache(10)
    asked = TokenSource([issuer(network())], remembered)

    for bad in (ISSUER.token(expires_in=-60), ISSUER.token(aud="other"), "opaque"):
        await refusal(asked, bad)
    assert len(remembered) == 0


async def test_a_proof_is_the_key_that_verified_and_the_tokens_end() -> None:
    """Where the key is not at hand any more, there is none."""
    on = network()
    made = issuer(on, max_token_age_seconds=60)
    token = jwt.parse(ISSUER.token(algorithm="ES256"))
    assert token is not None
    assert made.proof(token) is None
    key = await made.jwks.key(token.header["kid"], "ES256")

    proof = made.proof(token)

    assert proof is not None
    assert (proof.jwks, proof.key) == (made.jwks, key)
    assert proof.key.key is key.key
    assert proof.until == token.claims["iat"] + 60
    assert made.proof(replace(token, header={"kid": "x", "alg": "ES256"})) is None
    unnamed = made.proof(replace(token, header={"alg": "ES256"}))
    assert unnamed is not None
    assert unnamed.key is proof.key


async def test_a_token_that_cannot_be_judged_is_remembered_by_nobody() -> None:
    """The issuer's keys are not to be had."""
    remembered = VerifiedTokenCache(10)
    with pytest.raises(IdentityProviderUnavailableError):
        await TokenSource([issuer(Network())], remembered).caller(ISSUER.token())

    assert len(remembered) == 0


@pytest.mark.parametrize("later", [0, 9.9, 10])
async def test_a_remembered_caller_is_forgotten_at_the_tokens_end(later: float) -> None:
    """Without leeway: after that the token is judged anew."""
    made, clock = issuer(network()), Clock(time.time())
    token = jwt.parse(ISSUER.token())
    assert token is not None
    caller = await made.caller(token.text, token)
    proof = made.proof(token)
    assert proof is not None
    remembered = VerifiedTokenCache(10, clock)
    remembered.keep(token.text, caller, replace(proof, until=clock.now + 10))
    clock.now += later

    assert remembered.get("another") is None
    assert (remembered.get(token.text) is caller) == (later < 10)
    assert len(remembered) == (later < 10)


async def test_callers_of_a_withdrawn_key_are_forgotten() -> None:
    """As soon as the issuer's set does not hold it, although another may have its id."""
    on, remembered = network(), VerifiedTokenCache(1)
    made = issuer(on)
    asked = TokenSource([made], remembered)
    one, two = ISSUER.token(), ISSUER.token(algorithm="ES256")
    caller = await asked.caller(one)
    assert remembered.get(one) is caller
    made.jwks._replace(tuple(replace(k, thumbprint="other") for k in made.jwks._keys), 0)
    assert remembered.get(one) is None

    await asked.caller(one)
    await asked.caller(two)
    assert len(remembered) == 1
    assert repr(remembered._entries) == "<1 callers>"
    assert {len(digest) for digest in remembered._entries} == {32}
