"""Plain http is an explicit choice for each URL, and for hosts inside the operator's network only.

127.0.0.2 is such a host here: it is not one of the loopback hosts that may always use http.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, problem
from tests.support.service import running, settings_for

HOST = "127.0.0.2"


@pytest.fixture
def internal() -> Iterator[DevelopmentIssuer]:
    """Serve an issuer with http on an internal host."""
    issuer = DevelopmentIssuer()
    with issuer.serve(host=HOST):
        yield issuer


def insecure(url: str) -> str:
    """Return a URL for which the operator has allowed http."""
    return f"insecure+{url}"


@pytest.mark.parametrize(
    "groups",
    [
        {"identity": {"issuers": {"main": {"issuer": f"http://{HOST}"}}}},
        {"identity": {"issuers": {"main": {"jwks_uri": f"http://{HOST}/jwks"}}}},
        {
            "identity": {
                "cookie_sessions": {"web": {"cookie": "sid", "whoami_url": f"http://{HOST}/me"}}
            }
        },
        {"tracing": {"endpoint": f"http://{HOST}:4318/v1/traces"}},
        {"identity": {"issuers": {"main": {"issuer": insecure("http://id.example.com")}}}},
        {"identity": {"issuers": {"main": {"jwks_uri": insecure("http://169.254.169.254/keys")}}}},
        {"apideck": {"base_url": insecure(f"http://{HOST}")}},
        {"session": {"return_to": {"home": insecure(f"http://{HOST}/home")}}},
    ],
)
def test_plain_http_is_rejected_at_startup_unless_it_is_configured(
    apideck_url: str, groups: dict[str, Any]
) -> None:
    """It is never allowed for public hosts, for Apideck, and for redirect targets."""
    with pytest.raises(ValidationError):
        settings_for("https://id.example.com", apideck_url, **groups)


async def test_tokens_of_an_issuer_with_http_are_verified_as_usual(
    internal: DevelopmentIssuer,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
) -> None:
    """The setting changes how keys are fetched, and not which tokens are accepted."""
    settings = settings_for(insecure(internal.issuer), apideck_url)
    async with running(settings) as service:
        for invalid in (
            internal.token(iss=insecure(internal.issuer)),
            internal.token(iss=internal.issuer.replace("http:", "https:")),
            issuer.token(),
            internal.token(aud="another"),
        ):
            response = await service.post("/vault-session", headers=bearer(invalid))
            assert problem(response) == (401, "unauthenticated")
        assert apideck.requests == []

        valid = await service.post("/vault-session", headers=bearer(internal.token()))

    assert valid.status_code == 201
    assert [one.consumer_id for one in apideck.minted] == ["acme"]


async def test_forged_metadata_does_not_lead_to_the_keys_of_another_host(
    internal: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
) -> None:
    """The attack: someone on the path to the issuer replaces its metadata with their own host."""
    evil = DevelopmentIssuer()
    with evil.serve(host="127.0.0.3") as evil_url:
        iss = internal.issuer
        settings = settings_for(insecure(iss), apideck_url)
        internal.issuer = evil_url  # The metadata now names the attacker's issuer and keys.
        async with running(settings) as service:
            forged = evil.token(iss=iss)
            response = await service.post("/vault-session", headers=bearer(forged))

    assert problem(response) == (503, "identity-provider-unavailable")
    assert apideck.requests == []
    assert evil.counts["jwks"] == 0
