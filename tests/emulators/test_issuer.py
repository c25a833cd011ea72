"""The development issuer, as `make demo` and the tests use it."""

import time

import httpx
from joserfc import jwt
from joserfc.jwk import KeySet

from emulators.issuer import DevelopmentIssuer


def test_its_tokens_verify_with_its_published_keys(issuer: DevelopmentIssuer) -> None:
    """Discovery leads to the keys, and the keys verify what the issuer signs."""
    document = httpx.get(f"{issuer.issuer}/.well-known/openid-configuration").json()
    keys = KeySet.import_key_set(httpx.get(document["jwks_uri"]).json())
    bare = httpx.get(f"{issuer.issuer}/token/ada").text
    answered = httpx.get(f"{issuer.issuer}/token", params={"person": "ada"}).json()

    assert document["issuer"] == issuer.issuer
    for token in (bare, answered["access_token"]):
        claims = jwt.decode(token, keys, algorithms=["RS256"]).claims
        assert (claims["sub"], claims["org_id"], claims["aud"]) == ("ada", "acme", "vault-bff")


def test_it_hands_out_tokens_that_have_expired(issuer: DevelopmentIssuer) -> None:
    """Whoever wants to see what becomes of them need not wait."""
    bare = httpx.get(f"{issuer.issuer}/token/ada?expired").text
    answered = httpx.get(f"{issuer.issuer}/token?person=ada&expired").json()["access_token"]

    for token in (bare, answered):
        claims = jwt.decode(token, issuer.keys.signing_key("RS256"), algorithms=["RS256"]).claims
        assert claims["exp"] < time.time() - 600


def test_keys_rotate_over_http(issuer: DevelopmentIssuer) -> None:
    """A rotation adds a key and keeps the old ones, until they are retired."""
    before = httpx.get(f"{issuer.issuer}/jwks").json()["keys"]
    after = httpx.post(f"{issuer.issuer}/rotate").json()["keys"]
    issuer.keys.retire()
    left = httpx.get(f"{issuer.issuer}/jwks").json()["keys"]

    assert len(after) == len(before) + 1
    assert len(left) == 3
    assert not any("d" in key for key in left)


def test_services_get_tokens_of_their_own(issuer: DevelopmentIssuer) -> None:
    """Client credentials give a token; another grant does not."""
    url = f"{issuer.issuer}/token"
    form = {"grant_type": "client_credentials", "client_id": "robot"}
    token = httpx.post(url, data=form).json()["access_token"]

    assert token.count(".") == 2
    assert httpx.post(url, data={"grant_type": "password"}).status_code == 400


def test_strangers_are_unknown(issuer: DevelopmentIssuer) -> None:
    """Whoever is not on the list of people gets a 404 that says who is."""
    for path in ("/token/eve", "/token?person=eve", "/people/eve.svg"):
        assert httpx.get(issuer.issuer + path).json()["people"] == ["ada", "grace", "otto"]
    listed = httpx.get(f"{issuer.issuer}/people").json()
    assert {person["org_id"] for person in listed} == {"acme", "globex"}
    assert httpx.get(listed[0]["picture"]).headers["content-type"].startswith("image/svg")


def test_in_a_container_it_listens_everywhere_and_is_itself_on_loopback() -> None:
    """Told to listen on every address, it still issues under one that leads back to it."""
    with DevelopmentIssuer().serve(host="0.0.0.0") as url:  # noqa: S104 - what this is about
        document = httpx.get(f"{url}/.well-known/openid-configuration").json()

    assert url.startswith("http://127.0.0.1:")
    assert document["issuer"] == url
