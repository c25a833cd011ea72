"""A certified OpenID provider (the npm package oidc-provider), as a process for the tests."""

import base64
import hashlib
import json
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx

from tests.support.waiting import http_client

HERE = Path(__file__).parent / "oidc_provider"
CALLBACK = "https://app.example.com/callback"
JWT_RESOURCE = "https://vault-bff.example"
ES256_RESOURCE = "https://es256.example"
EDDSA_RESOURCE = "https://eddsa.example"
OPAQUE_RESOURCE = "https://opaque.example"
SECRET = "opens-nothing"
SPECIAL_CLIENT = "https://vault-bff.example.com/"
SPECIAL_SECRET = "p+ss/w=rd%41"
"""Credentials of a client that change if they are form-decoded although they were not encoded."""


def missing() -> str | None:
    """Return what is missing and how to install it, or None."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "needs Node.js with npm: apt-get install nodejs npm"
    return None if (HERE / "node_modules").is_dir() else "needs npm packages: make node-modules"


@dataclass(frozen=True)
class OidcProvider:
    """The running provider."""

    issuer: str
    process: "subprocess.Popen[str]"

    def client_credentials(self, resource: str = JWT_RESOURCE) -> str:
        """Return a service's access token (RFC 6749 section 4.4)."""
        form = {
            "grant_type": "client_credentials",
            "scope": "vault:sessions",
            "resource": resource,
        }
        return self._token(form, auth=("robot", SECRET))

    def authorization_code(self, person: str, resource: str | None = JWT_RESOURCE) -> str:
        """Sign a person in as a browser would, and return their access token (RFC 7636)."""
        verifier = secrets.token_urlsafe(32)
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "client_id": "spa",
            "response_type": "code",
            "scope": "openid profile email vault:sessions",
            "redirect_uri": CALLBACK,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            "login_hint": person,
            **({"resource": resource} if resource else {}),
        }
        form = {
            "grant_type": "authorization_code",
            "code": self._code(query),
            "redirect_uri": CALLBACK,
            "client_id": "spa",
            "code_verifier": verifier,
            **({"resource": resource} if resource else {}),
        }
        return self._token(form)

    def revoke(self, token: str) -> None:
        """Revoke an opaque token (RFC 7009); signed tokens cannot be revoked."""
        form = {"token": token}
        with http_client() as client:
            url = f"{self.issuer}/token/revocation"
            response = client.post(url, data=form, auth=("vault-bff", SECRET))
        assert response.status_code == 200, response.text

    def rotate(self) -> None:
        """Add a new signing key; the old keys stay published."""
        assert self.process.stdin is not None
        self.process.stdin.write('{"rotate": true}\n')
        self.process.stdin.flush()
        printed(self.process, "rotated")

    def _code(self, query: dict[str, str]) -> str:
        with http_client() as browser:
            response = browser.get(f"{self.issuer}/auth", params=query)
            for _ in range(5):
                location = urljoin(str(response.url), response.headers["location"])
                if location.startswith(CALLBACK):
                    return parse_qs(urlsplit(location).query)["code"][0]
                response = browser.get(location)
        raise AssertionError(response.text)

    def _token(self, form: dict[str, str], auth: tuple[str, str] | None = None) -> str:
        with http_client() as client:
            response = client.post(
                f"{self.issuer}/token",
                data=form,
                auth=httpx.BasicAuth(*auth) if auth else httpx.USE_CLIENT_DEFAULT,
            )
        body: dict[str, Any] = response.json()
        assert response.status_code == 200, body
        return str(body["access_token"])


def printed(process: "subprocess.Popen[str]", name: str) -> str:
    """Return the next value that server.mjs prints under a name, and skip other output."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(f'{{"{name}":'):
            return str(json.loads(line)[name])
    raise AssertionError(f"the provider exited before it printed {name}")


@contextmanager
def oidc_provider() -> Iterator[OidcProvider]:
    """Run the provider until the context ends."""
    process = subprocess.Popen(
        ["node", "server.mjs"],  # noqa: S607 - the node of the machine
        cwd=HERE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield OidcProvider(printed(process, "issuer"), process)
    finally:
        process.stdin.close()
        process.wait(timeout=10)
        process.stdout.close()
