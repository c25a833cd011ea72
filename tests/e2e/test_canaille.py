"""Tokens of Canaille with the settings in docs/identity-providers.md."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from emulators.apideck import ApideckEmulator
from tests.support.canaille_server import SECRET, Canaille, missing
from tests.support.http import bearer, problem
from tests.support.process import ROOT
from tests.support.service import running, settings_for

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))

DOCUMENT = (ROOT / "docs/identity-providers.md").read_text()
CONSUMER = {"consumer_id": "acme"}


def documented(entry: str, issuer: str, folder: Path) -> dict[str, Any]:
    """Return the settings of a documented issuer, with the running server's URL and a secret."""
    blocks = re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)
    [block] = [one for one in blocks if f"[identity.issuers.{entry}]" in one]
    settings: dict[str, Any] = tomllib.loads(block)["identity"]["issuers"][entry]
    settings["issuer"] = issuer
    if "introspection" in settings:
        secret = folder / "secret"
        secret.write_text(SECRET)
        settings["introspection"]["client_secret_file"] = str(secret)
    return settings


async def test_a_persons_token_creates_a_session(
    canaille: Canaille, apideck_url: str, apideck: ApideckEmulator, tmp_path: Path
) -> None:
    """The token is signed with RS512, has `typ: JWT`, and has no claim for an organization."""
    settings = documented("canaille", canaille.issuer, tmp_path)
    base = settings_for(canaille.issuer, apideck_url)
    identity = type(base.identity).model_validate({"issuers": {"main": settings}})
    async with running(base.model_copy(update={"identity": identity})) as service:
        response = await service.post("/vault-session", headers=bearer(canaille.users_token()))

    assert response.status_code == 201
    assert apideck.minted[0].consumer_id == "ada"
    assert apideck.minted[0].session["consumer_metadata"] == {
        "user_name": "Ada Byron",
        "email": "ada@acme.example",
    }


async def test_a_services_token_creates_a_session(
    canaille: Canaille, apideck_url: str, apideck: ApideckEmulator, tmp_path: Path
) -> None:
    """The token is opaque, and introspection returns no `sub`; a person's token is rejected."""
    settings = documented("canaille-services", canaille.issuer, tmp_path)
    settings["grants"] = {"robot": ["acme"], "ada": ["acme"], "spa": ["acme"]}
    base = settings_for(canaille.issuer, apideck_url)
    identity = type(base.identity).model_validate({"issuers": {"main": settings}})
    async with running(base.model_copy(update={"identity": identity})) as service:
        accepted, persons, made_up = [
            await service.post("/vault-session", json=CONSUMER, headers=bearer(token))
            for token in (canaille.services_token(), canaille.users_token(), "made-up")
        ]

    assert accepted.status_code == 201
    assert problem(persons) == problem(made_up) == (401, "unauthenticated")
    assert [minted.consumer_id for minted in apideck.minted] == ["acme"]
