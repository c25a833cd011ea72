"""Altered and malformed tokens, which are rejected and never cause a crash."""

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


class OfflineFetcher(Fetcher):
    """Sends no requests."""

    def __init__(self) -> None:
        """Create the fetcher without an HTTP client."""

    async def get_json(self, _: str) -> Any:
        """Fail as if the issuer were down."""
        raise IdentityProviderUnavailableError("down", reason="down")


@cache
def verifier() -> SignedTokenSource:
    """Return a verifier that has the issuer's keys."""
    identity = IdentitySettings(issuers={"main": SETTINGS})
    source = SignedTokenSource(configured_issuer(SETTINGS), identity, OfflineFetcher())
    keys, _ = public_keys({"keys": ISSUER.keys.published()})
    source.jwks._replace(keys)
    return source


def verified(text: str) -> Claims | None:
    """Return the claims of a valid token, or None for an invalid one; other errors are raised."""
    try:
        [credential] = [CredentialFinder([]).find([(b"authorization", f"Bearer {text}".encode())])]
        token = parse(credential.value)
        return None if token is None else asyncio.run(verifier().verify(token))
    except IdentityError:
        return None


@cache
def valid_token(algorithm: str) -> str:
    """Return a valid token."""
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
def test_an_altered_token_is_rejected(algorithm: str, data: st.DataObject) -> None:
    """A token with inserted, removed or replaced characters is rejected."""
    token = valid_token(algorithm)
    at = data.draw(st.integers(0, len(token)))
    until = data.draw(st.integers(at, min(len(token), at + 8)))
    inserted = data.draw(
        st.text("ABCZabcz019-_.=+/~ ", max_size=4) | st.sampled_from(token.split("."))
    )
    changed = token[:at] + inserted + token[until:]
    assume(changed.strip() != token)

    assert verified(changed) is None


@given(
    algorithm=algorithms, order=st.permutations([0, 1, 2]), other=algorithms, mixed=st.booleans()
)
def test_segments_of_different_tokens_are_not_a_valid_token(
    algorithm: str, order: list[int], other: str, *, mixed: bool
) -> None:
    """Reordered segments, or segments of two valid tokens, are not a valid token."""
    first, second = valid_token(algorithm).split("."), valid_token(other).split(".")
    token = ".".join([*(first[i] for i in order[:2]), (second if mixed else first)[order[2]]])
    assume(token != valid_token(algorithm))
    assume(token != valid_token(other))

    assert verified(token) is None


@given(algorithm=algorithms, name=header_names, value=json_values)
def test_a_token_with_an_altered_header_is_rejected(
    algorithm: str, name: str, value: object
) -> None:
    """The signature of a token covers its header."""
    header, claims, signature = valid_token(algorithm).split(".")
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
def test_any_signed_token_is_accepted_or_rejected_without_a_crash(
    header: dict[str, Any], claims: dict[str, Any]
) -> None:
    """Any header and claims with a valid signature result in a caller, or in an IdentityError."""
    now = time.time()
    standard = {"iss": ISSUER.issuer, "aud": "vault-bff", "sub": "ada", "exp": now + 600}
    kid = ISSUER.keys.signing_key("ES256").kid
    members = {"alg": "ES256", "kid": kid, "typ": "at+jwt", **header}
    payload = {**standard, **claims}

    verified_claims = verified(
        signed(ISSUER, json.dumps(members).encode(), json.dumps(payload).encode())
    )

    if verified_claims is None:
        return
    assert verified_claims["iss"] == ISSUER.issuer
    assert "vault-bff" in verified_claims["aud"]
    assert isinstance(verified_claims["sub"], str)
    assert verified_claims["exp"] > now - 60
    assert not {"crit", "b64"} & set(members)
    try:
        caller = user_of("main", SETTINGS, verified_claims, {})
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
def test_any_json_as_header_and_claims_is_rejected(header: object, claims: object) -> None:
    """A token with any JSON values as its header and claims is rejected, without a crash."""
    segments = [encoded(json.dumps(part).encode()) for part in (header, claims)]

    assert verified(".".join([*segments, "x"])) is None


@given(raw=st.binary(max_size=200), place=st.sampled_from(["authorization", "header", "cookie"]))
@example(raw=b"Bearer " + b"." * 8000, place="authorization")
@example(raw=b"session=\xff", place="cookie")
def test_any_bytes_as_a_credential_are_parsed_or_rejected(raw: bytes, place: str) -> None:
    """No header value crashes the search for a credential, or the parser of tokens."""
    name = {"authorization": b"authorization", "header": b"x-token", "cookie": b"cookie"}[place]
    places = [CredentialLocation("header", "x-token"), CredentialLocation("cookie", "session")]
    try:
        credential = CredentialFinder(places).find([(name, raw)])
        parse(credential.value)
    except IdentityError:
        return
    assert credential.value.isascii()


@given(document=json_values | st.fixed_dictionaries({"keys": st.lists(json_values, max_size=4)}))
def test_any_document_as_a_key_set_is_parsed_or_rejected(document: object) -> None:
    """A document that is not a key set raises ValueError and no other error."""
    try:
        keys, _ = public_keys(document)
    except ValueError:
        return
    assert keys
