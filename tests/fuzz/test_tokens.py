"""Tokens changed in every way that leaves them looking like tokens."""

import asyncio
import json
import time
from functools import cache
from typing import Any

from hypothesis import assume, example, given
from hypothesis import strategies as st

from app.errors import IdentityError, IdentityProviderUnavailableError
from app.identity.claims import user_of
from app.identity.credentials import CredentialFinder
from app.identity.fetch import Fetcher
from app.identity.models import Claims
from app.identity.public_keys import public_keys
from app.identity.sources.signed_token import SignedTokenSource
from app.identity.token_rules import TokenRules
from app.identity.unverified_token import parse
from app.settings import ClaimPaths, IdentitySettings, IssuerSettings
from app.settings.credentials import CredentialLocation
from emulators.issuer import DevelopmentIssuer
from tests.support.in_process import configured_issuer
from tests.support.signing import decoded, encoded, signed

ISSUER = DevelopmentIssuer()
SETTINGS = IssuerSettings(
    issuer=ISSUER.issuer,
    audience="vault-bff",
    jwks_uri=f"{ISSUER.issuer}/jwks",
    claims=ClaimPaths(consumer_id=("/org/id", "sub"), account_name="/org/names/0", email="/e~1/0"),
)


class Silent(Fetcher):
    """Sends no request."""

    def __init__(self) -> None:
        """Take nothing to send requests with."""

    async def get_json(self, _: str) -> Any:
        """Answer as an issuer that is down does."""
        raise IdentityProviderUnavailableError("down", reason="down")


@cache
def verifier() -> SignedTokenSource:
    """Return a verifier that has the issuer's keys."""
    identity = IdentitySettings(issuers={"main": SETTINGS})
    source = SignedTokenSource(configured_issuer(SETTINGS), identity, Silent())
    keys, _ = public_keys({"keys": ISSUER.keys.published()})
    source.jwks._replace(keys)
    return source


def verified(text: str) -> Claims | None:
    """Return the claims of a token that holds, or None; any other error is raised."""
    try:
        [credential] = [CredentialFinder([]).find([(b"authorization", f"Bearer {text}".encode())])]
        token = parse(credential.value)
        return None if token is None else asyncio.run(verifier().verify(token))
    except IdentityError:
        return None


@cache
def good(algorithm: str) -> str:
    """Return a token that holds."""
    made = ISSUER.token(algorithm=algorithm, expires_in=86_400)
    assert verified(made) is not None
    return made


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**18) | st.floats(allow_nan=False)
    | st.text() | st.sampled_from(["vault-bff", ISSUER.issuer, "at+jwt", "ES256", "none", "acme"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
algorithms = st.sampled_from(["RS256", "ES256", "EdDSA"])
header_names = st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "cty", "zip", "x"])
claim_names = st.sampled_from(
    ["iss", "aud", "sub", "exp", "nbf", "iat", "act", "org", "e/", "name", "picture", "scope", "x"]
)


@given(algorithm=algorithms, data=st.data())
def test_a_token_with_one_part_changed_never_holds(algorithm: str, data: st.DataObject) -> None:
    """Characters put in, taken out, replaced or moved: none of it goes unnoticed."""
    token = good(algorithm)
    at = data.draw(st.integers(0, len(token)))
    until = data.draw(st.integers(at, min(len(token), at + 8)))
    put = data.draw(st.text("ABCZabcz019-_.=+/~ ", max_size=4) | st.sampled_from(token.split(".")))
    changed = token[:at] + put + token[until:]
    assume(changed.strip() != token)

    assert verified(changed) is None


@given(algorithm=algorithms, order=st.permutations([0, 1, 2]), other=algorithms, take=st.booleans())
def test_parts_of_tokens_do_not_mix(
    algorithm: str, order: list[int], other: str, *, take: bool
) -> None:
    """Segments in another order, or with one of another good token, make no token."""
    mine, theirs = good(algorithm).split("."), good(other).split(".")
    mixed = ".".join([*(mine[i] for i in order[:2]), (theirs if take else mine)[order[2]]])
    assume(mixed != good(algorithm))
    assume(mixed != good(other))

    assert verified(mixed) is None


@given(algorithm=algorithms, name=header_names, value=json_values)
def test_a_header_that_was_changed_never_holds(algorithm: str, name: str, value: object) -> None:
    """The signature of another header is none of this one's."""
    header, claims, signature = good(algorithm).split(".")
    members = {**json.loads(decoded(header)), name: value}
    changed = encoded(json.dumps(members).encode())
    assume(changed != header)

    assert verified(f"{changed}.{claims}.{signature}") is None


@given(
    header=st.dictionaries(header_names, json_values, max_size=2),
    claims=st.dictionaries(claim_names, json_values, max_size=4),
)
@example(header={}, claims={"org": {"id": 5, "names": "x"}})
@example(header={}, claims={"org": [], "e/": {"0": "x"}})
@example(header={}, claims={"org": {"id": "a", "names": {"-": 1}}})
@example(header={}, claims={"exp": 1e308})
@example(header={}, claims={"exp": 1})
@example(header={"typ": "AT+JWT"}, claims={"act": {"sub": ""}})
def test_whatever_an_issuer_signs_is_judged_without_a_crash(
    header: dict[str, Any], claims: dict[str, Any]
) -> None:
    """Any header and claims with a good signature end in a caller, or in an IdentityError."""
    now = time.time()
    standard = {"iss": ISSUER.issuer, "aud": "vault-bff", "sub": "ada", "exp": now + 600}
    kid = ISSUER.keys.signing_key("ES256").kid
    members = {"alg": "ES256", "kid": kid, "typ": "at+jwt", **header}
    payload = {**standard, **claims}

    held = verified(signed(ISSUER, json.dumps(members).encode(), json.dumps(payload).encode()))

    if held is None:
        return
    assert held["iss"] == ISSUER.issuer
    assert "vault-bff" in held["aud"]
    assert isinstance(held["sub"], str)
    assert held["exp"] > now - 60
    assert not {"crit", "b64"} & set(members)
    try:
        caller = user_of("main", SETTINGS, held, {})
    except IdentityError:
        return
    assert caller.consumer_id is not None
    assert caller.consumer_id.isascii()
    assert caller.consumer_id.isprintable()


@given(claims=st.dictionaries(claim_names, json_values))
def test_every_rule_examines_any_claims(claims: dict[str, Any]) -> None:
    """`check --token` applies every rule to claims that an earlier rule may have rejected."""
    strict = SETTINGS.model_copy(update={"max_token_age_seconds": 60})

    assert len(list(TokenRules(strict).findings(claims))) == len(TokenRules(strict).rules)


@given(header=json_values, claims=json_values)
@example(header=[], claims={})
@example(header={}, claims="iss")
def test_parts_that_are_no_objects_are_an_error_of_ours(header: object, claims: object) -> None:
    """Any JSON in place of header and claims is taken apart, or refused, and never a crash."""
    segments = [encoded(json.dumps(part).encode()) for part in (header, claims)]

    assert verified(".".join([*segments, "x"])) is None


@given(raw=st.binary(max_size=200), place=st.sampled_from(["authorization", "header", "cookie"]))
@example(raw=b"Bearer " + b"." * 8000, place="authorization")
@example(raw=b"session=\xff", place="cookie")
def test_any_bytes_in_place_of_a_credential_are_an_error_of_ours(raw: bytes, place: str) -> None:
    """No header value crashes the search for a credential, or the taking apart of a token."""
    name = {"authorization": b"authorization", "header": b"x-token", "cookie": b"cookie"}[place]
    places = [CredentialLocation("header", "x-token"), CredentialLocation("cookie", "session")]
    try:
        credential = CredentialFinder(places).find([(name, raw)])
        parse(credential.value)
    except IdentityError:
        return
    assert credential.value.isascii()


@given(document=json_values | st.fixed_dictionaries({"keys": st.lists(json_values, max_size=4)}))
def test_any_document_in_place_of_a_key_set_is_one_error(document: object) -> None:
    """A key set that is none is refused as a whole, and never a crash."""
    try:
        keys, _ = public_keys(document)
    except ValueError:
        return
    assert keys
