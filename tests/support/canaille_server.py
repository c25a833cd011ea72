"""Canaille, an identity provider (the PyPI package canaille), as a process for the tests."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.process import ROOT
from tests.support.waiting import http_client

PYTHON = ROOT / ".venv/canaille/bin/python"
SERVER = Path(__file__).parent / "canaille/server.py"
SECRET = "opens-nothing"


def missing() -> str | None:
    """Return what is missing and how to install it, or None."""
    return None if PYTHON.is_file() else "needs Canaille: make canaille"


@dataclass(frozen=True)
class Canaille:
    """The running server."""

    issuer: str

    def users_token(self) -> str:
        """Return a person's access token, which is a signed token."""
        form = {"grant_type": "password", "username": "ada", "password": SECRET}
        return self._token("spa", form)

    def services_token(self) -> str:
        """Return a service's access token (RFC 6749 section 4.4), which is opaque."""
        return self._token("robot", {"grant_type": "client_credentials", "scope": "vault:sessions"})

    def _token(self, client: str, form: dict[str, str]) -> str:
        form = {"scope": "openid profile email", **form}
        with http_client() as http:
            response = http.post(f"{self.issuer}/oauth/token", data=form, auth=(client, SECRET))
        assert response.status_code == 200, response.text
        return str(response.json()["access_token"])


@contextmanager
def canaille_server() -> Iterator[Canaille]:
    """Run the server until the context ends."""
    process = subprocess.Popen(
        [str(PYTHON), str(SERVER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield Canaille(json.loads(process.stdout.readline())["issuer"])
    finally:
        process.stdin.close()
        process.wait(timeout=10)
        process.stdout.close()
