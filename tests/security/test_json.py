"""JSON that two parsers read differently, at every input that takes JSON.

The parser itself is tested in tests/unit/common/test_strict_json.py; these tests show that every
input uses it. Each member of the corpus is a valid message except for one flaw, so a lenient parser
would accept it.
"""

import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulators.apideck import ApideckEmulator, faults
from emulators.issuer import DevelopmentIssuer
from emulators.issuer.http import CLIENT_ID, CLIENT_SECRET
from emulators.serving import serve
from tests.support.http import bearer, problem
from tests.support.service import running, settings_for
from tests.support.signing import key_set, parts, signed

Flaw = Callable[[bytes], bytes]

FLAWS: dict[str, Flaw] = {
    "a duplicate member": lambda valid: valid[:-1] + b',"x":1,"x":2}',
    "a duplicate member, once escaped": lambda valid: valid[:-1] + b',"x":1,"\\u0078":2}',
    "a duplicate member, nested": lambda valid: valid[:-1] + b',"x":[{"y":1,"y":2}]}',
    "nested 5000 levels deep": lambda valid: (
        valid[:-1] + b',"x":' + b"[" * 5000 + b"]" * 5000 + b"}"
    ),
    "nested too deeply": lambda valid: valid[:-1] + b',"x":' + b"[" * 40 + b"]" * 40 + b"}",
    "not a number": lambda valid: valid[:-1] + b',"x":NaN}',
    "infinity": lambda valid: valid[:-1] + b',"x":-Infinity}',
    "a number too large for a float": lambda valid: valid[:-1] + b',"x":1e400}',
    "a number of many digits": lambda valid: valid[:-1] + b',"x":' + b"9" * 4400 + b"}",
    "a lone surrogate": lambda valid: valid[:-1] + b',"x":"\\ud800"}',
    "a lone surrogate as a name": lambda valid: valid[:-1] + b',"\\udc00":1}',
    "surrogates as UTF-8": lambda valid: valid[:-1] + b',"x":"\xed\xa0\x80"}',
    "overlong UTF-8": lambda valid: valid[:-1] + b',"x":"\xc0\xaf"}',
    "UTF-16": lambda valid: valid.decode().encode("utf-16"),
    "UTF-16 without a byte order mark": lambda valid: valid.decode().encode("utf-16-be"),
    "UTF-32": lambda valid: valid.decode().encode("utf-32"),
    "a byte order mark": lambda valid: b"\xef\xbb\xbf" + valid,
    "a second text at the end": lambda valid: valid + b"{}",
    "a NUL at the end": lambda valid: valid + b"\0",
    "a comment": lambda valid: valid[:-1] + b"/* */}",
    "a comma at the end": lambda valid: valid[:-1] + b",}",
    "single quotes": lambda valid: valid.replace(b'"', b"'"),
    "a control character": lambda valid: valid[:-1] + b',"x":"\n"}',
    "a non-ASCII space": lambda valid: b"\xc2\xa0" + valid,
    "a leading zero": lambda valid: valid[:-1] + b',"x":01}',
    "hexadecimal": lambda valid: valid[:-1] + b',"x":0x1}',
    "truncated": lambda valid: valid[:-1],
    "empty": lambda _: b"",
}
CORPUS = pytest.mark.parametrize("flaw", FLAWS)


class FixedServer:
    """A server that responds to every GET and POST with the same body."""

    def __init__(self) -> None:
        self.body = b""
        self.app = Starlette(routes=[Route("/{path:path}", self._respond, methods=["GET", "POST"])])

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Serve on loopback; yields the URL."""
        with serve(self.app) as url:
            yield url

    async def _respond(self, _: Request) -> Response:
        return Response(self.body, media_type="application/json")


@pytest.fixture(scope="module")
def fixed_server() -> Iterator[tuple[FixedServer, str]]:
    """Run a server with a fixed body; returns it with its URL."""
    server = FixedServer()
    with server.serve() as url:
        yield server, url


@pytest.mark.parametrize("flaw", [flaw for flaw in FLAWS if flaw != "empty"])  # A body is optional.
async def test_a_flawed_body_is_a_422(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator, flaw: str
) -> None:
    """The service rejects the whole body, and never responds with a 500."""
    valid = b'{"return_to":"home"}'
    response = await service.post(
        "/vault-session",
        content=FLAWS[flaw](valid),
        headers={**bearer(issuer.token()), "content-type": "application/json"},
    )

    assert problem(response) == (422, "invalid-request")
    assert [fault["pointer"] for fault in response.json()["errors"]] == [""]
    assert apideck.requests == []


@CORPUS
@pytest.mark.parametrize("segment", ["header", "payload"])
async def test_a_flawed_token_is_a_401(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    flaw: str,
    segment: str,
) -> None:
    """A token with a flaw in its header or payload is rejected, although its signature is valid."""
    header, claims = parts(issuer)
    if segment == "header":
        header = FLAWS[flaw](header)
    else:
        claims = FLAWS[flaw](claims)

    response = await service.post("/vault-session", headers=bearer(signed(issuer, header, claims)))

    assert problem(response) == (401, "unauthenticated")
    assert apideck.requests == []


@CORPUS
async def test_a_flawed_response_of_apideck_is_a_502(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator, flaw: str
) -> None:
    """A session that two parsers could read differently is not returned."""
    claims = urlsafe_b64encode(b'{"exp":%d}' % (time.time() + 600)).rstrip(b"=").decode()
    token = f"e30.{claims}.x"
    uri = f"{apideck.vault_origin}/session/{token}"
    valid = f'{{"data":{{"session_uri":"{uri}","session_token":"{token}"}}}}'.encode()
    headers = bearer(issuer.token())
    apideck.fail(faults.whole(valid))
    assert (await service.post("/vault-session", headers=headers)).status_code == 201

    apideck.fail(faults.whole(FLAWS[flaw](valid)))
    response = await service.post("/vault-session", headers=headers)

    assert problem(response) == (502, "apideck-invalid-response")


@CORPUS
async def test_a_flawed_session_token_of_apideck_is_a_502(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator, flaw: str
) -> None:
    """The session token, which has the expiry, is parsed as strictly."""
    claims = FLAWS[flaw](b'{"exp":%d}' % (time.time() + 600))
    token = f"e30.{urlsafe_b64encode(claims).rstrip(b'=').decode()}.x"
    apideck.fail(faults.data(session_token=token))

    response = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert problem(response) == (502, "apideck-invalid-response")


INPUTS = ["introspection", "whoami", "keys", "discovery"]


@CORPUS
@pytest.mark.parametrize("source", INPUTS)
async def test_a_flawed_document_of_an_issuer_is_a_503(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    fixed_server: tuple[FixedServer, str],
    source: str,
    flaw: str,
) -> None:
    """A flawed introspection, whoami, key set or discovery response identifies no caller."""
    server, url = fixed_server
    client = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "endpoint": f"{url}/introspect",
    }
    main = {
        "introspection": {"introspection": client},
        "keys": {"jwks_uri": f"{url}/jwks"},
        "discovery": {"issuer": url},
        "whoami": {"consumer_prefix": "m-"},
    }[source]
    rails = {"cookie": "app", "whoami_url": f"{url}/whoami", "consumer_prefix": "r-"}
    identity = {
        "issuers": {"main": main},
        "cookie_sessions": {"rails": rails} if source == "whoami" else {},
    }
    page = {"cookie": "app=x", "sec-fetch-site": "same-origin", "x-vault-session": "1"}
    headers = {
        "introspection": bearer("opaque"),
        "keys": bearer(issuer.token()),
        "discovery": bearer(issuer.token(iss=url)),
        "whoami": {**page, "content-type": "application/json"},
    }[source]
    valid = {
        "introspection": b'{"active":true,"iss":"%s","aud":"vault-bff","sub":"ada","org_id":"acme",'
        b'"exp":%d}' % (issuer.issuer.encode(), time.time() + 600),
        "keys": key_set(issuer),
        "discovery": f'{{"issuer":"{url}","jwks_uri":"{issuer.issuer}/jwks"}}'.encode(),
        "whoami": b'{"sub":"ada"}',
    }[source]
    settings = settings_for(issuer.issuer, apideck_url, identity=identity)

    server.body = valid
    async with running(settings) as service:
        assert (await service.post("/vault-session", headers=headers)).status_code == 201
    apideck.reset()
    server.body = FLAWS[flaw](valid)
    async with running(settings) as service:
        response = await service.post("/vault-session", headers=headers)

    assert problem(response) == (503, "identity-provider-unavailable")
    assert apideck.requests == []


@CORPUS
async def test_a_flawed_userinfo_response_adds_nothing(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    fixed_server: tuple[FixedServer, str],
    flaw: str,
) -> None:
    """Userinfo is for display only: the session is created with the claims of the token."""
    server, url = fixed_server
    main = {"userinfo": True, "userinfo_endpoint": f"{url}/userinfo"}
    settings = settings_for(issuer.issuer, apideck_url, identity={"issuers": {"main": main}})
    headers = bearer(issuer.token(omit=["name"]))
    valid = b'{"sub":"ada","name":"Ada Lovelace"}'

    for body in (valid, FLAWS[flaw](valid)):
        server.body = body
        async with running(settings) as service:
            assert (await service.post("/vault-session", headers=headers)).status_code == 201

    with_it, without_it = (minted.session["consumer_metadata"] for minted in apideck.minted)
    assert with_it == {**without_it, "user_name": "Ada Lovelace"}
    assert "user_name" not in without_it
