"""The development issuer, as `make demo` and the tests use it."""

import json
import time
from base64 import urlsafe_b64decode

import httpx
from joserfc import jwt
from joserfc.jwk import KeySet

from emulators.issuer import DevelopmentIssuer


def test_tokens_verify_with_the_published_keys(
    issuer: DevelopmentIssuer, http: httpx.Client
) -> None:
    """The discovery document names the keys, and the keys verify the tokens."""
    document = http.get(f"{issuer.issuer}/.well-known/openid-configuration").json()
    keys = KeySet.import_key_set(http.get(document["jwks_uri"]).json())
    plain = http.get(f"{issuer.issuer}/token/ada").text
    response = http.get(f"{issuer.issuer}/token", params={"person": "ada"}).json()

    assert document["issuer"] == issuer.issuer
    for token in (plain, response["access_token"]):
        claims = jwt.decode(token, keys, algorithms=["RS256"]).claims
        assert (claims["sub"], claims["org_id"], claims["aud"]) == ("ada", "acme", "vault-bff")


def test_the_issuer_can_issue_expired_tokens(issuer: DevelopmentIssuer, http: httpx.Client) -> None:
    """A developer can try an expired token without waiting."""
    plain = http.get(f"{issuer.issuer}/token/ada?expired").text
    response = http.get(f"{issuer.issuer}/token?person=ada&expired").json()

    for token in (plain, response["access_token"]):
        claims = jwt.decode(token, issuer.keys.signing_key("RS256"), algorithms=["RS256"]).claims
        assert claims["exp"] < time.time() - 600


def test_keys_rotate_over_http(issuer: DevelopmentIssuer, http: httpx.Client) -> None:
    """A rotation adds a key and keeps the old keys until they are retired."""
    before = http.get(f"{issuer.issuer}/jwks").json()["keys"]
    after = http.post(f"{issuer.issuer}/rotate").json()["keys"]
    issuer.keys.retire()
    remaining = http.get(f"{issuer.issuer}/jwks").json()["keys"]

    assert len(after) == len(before) + 1
    assert len(remaining) == 3
    assert not any("d" in key for key in remaining)


def test_services_get_tokens_with_client_credentials(
    issuer: DevelopmentIssuer, http: httpx.Client
) -> None:
    """The client credentials grant returns a token; another grant type is a 400."""
    url = f"{issuer.issuer}/token"
    form = {"grant_type": "client_credentials", "client_id": "robot"}
    token = http.post(url, data=form).json()["access_token"]

    other = http.post(url, data={**form, "audience": "services"}).json()["access_token"]

    assert token.count(".") == 2
    payload = urlsafe_b64decode(other.split(".")[1] + "==")
    assert json.loads(payload)["aud"] == "services"
    assert http.post(url, data={"grant_type": "password"}).status_code == 400


def test_unknown_people_get_no_token(issuer: DevelopmentIssuer, http: httpx.Client) -> None:
    """A request for a person who does not exist is a 404 with the list of people."""
    for path in ("/token/eve", "/token?person=eve", "/people/eve.svg"):
        assert http.get(issuer.issuer + path).json()["people"] == ["ada", "grace", "otto"]
    listed = http.get(f"{issuer.issuer}/people").json()
    assert {person["org_id"] for person in listed} == {"acme", "globex"}
    assert http.get(listed[0]["picture"]).headers["content-type"].startswith("image/svg")


def test_the_issuer_url_is_on_loopback_in_a_container(http: httpx.Client) -> None:
    """An issuer that listens on all addresses uses the loopback address in its tokens."""
    with DevelopmentIssuer().serve(host="0.0.0.0") as url:  # noqa: S104 - as in a container
        document = http.get(f"{url}/.well-known/openid-configuration").json()

    assert url.startswith("http://127.0.0.1:")
    assert document["issuer"] == url
