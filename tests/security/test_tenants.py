"""Attacks on issuers with tenants: every tenant has valid signatures, and anyone can open one."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.settings import Settings
from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, problem
from tests.support.service import running, settings_for

BASE = "https://login.example.com"
TEMPLATE = f"{BASE}/{{tenantid}}/v2.0"


def settings(issuer: DevelopmentIssuer, apideck_url: str, **more: Any) -> Settings:
    """Return settings with an issuer whose tenants are `acme` and `globex`."""
    main = {
        "issuer": TEMPLATE,
        "jwks_uri": f"{issuer.issuer}/jwks",
        "tenants": ["acme", "globex"],
        "claims": {"consumer_id": "tid"},
        **more,
    }
    return settings_for(issuer.issuer, apideck_url, identity={"issuers": {"main": main}})


@pytest.fixture
async def service(issuer: DevelopmentIssuer, apideck_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Run the service."""
    async with running(settings(issuer, apideck_url)) as client:
        yield client


def token(issuer: DevelopmentIssuer, tenant: str, **claims: Any) -> str:
    """Return a token of a tenant, with a valid signature."""
    return issuer.token(**{"iss": f"{BASE}/{tenant}/v2.0", "tid": tenant, **claims})


async def test_the_customer_is_the_tenant_of_the_token(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """Two listed tenants are two customers, although one key signs for both."""
    for tenant in ("acme", "globex"):
        response = await service.post("/vault-session", headers=bearer(token(issuer, tenant)))
        assert response.status_code == 201

    assert [one.consumer_id for one in apideck.minted] == ["acme", "globex"]


@pytest.mark.parametrize(
    ("tenant", "claims"),
    [
        ("evil", {}),
        ("evil", {"tid": "acme"}),
        ("acme", {"tid": "globex"}),
        ("acme", {"tid": None}),
        ("acme", {"tid": ["acme"]}),
        ("ACME", {}),
        ("acme/v2.0/evil", {"tid": "acme"}),
        ("evil/../acme", {"tid": "acme"}),
        ("", {"tid": ""}),
        ("{tenantid}", {}),
        ("acme", {"iss": TEMPLATE, "tid": "acme"}),
        ("acme", {"iss": f"{BASE}/acme/v2.0/"}),
        ("acme", {"iss": f"{BASE}.evil.example/acme/v2.0"}),
        ("acme", {"iss": "http://login.example.com/acme/v2.0"}),
        ("acme", {"aud": "another-application"}),
    ],
)
async def test_a_token_of_another_tenant_is_rejected(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    tenant: str,
    claims: dict[str, Any],
) -> None:
    """The attacker opens a tenant of their own, and puts another one into a claim."""
    forged = token(issuer, tenant, **claims)

    response = await service.post("/vault-session", headers=bearer(forged))

    assert problem(response) == (401, "unauthenticated")
    assert apideck.requests == []


async def test_a_key_of_one_tenant_opens_no_other_tenant(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The provider publishes a key for one tenant only, beside those for all tenants."""
    published = issuer.keys.published()
    of_globex = [{**one, "issuer": f"{BASE}/globex/v2.0"} for one in published]
    monkeypatch.setattr(issuer.keys, "published", lambda: of_globex)
    async with running(settings(issuer, apideck_url)) as service:
        acme = await service.post("/vault-session", headers=bearer(token(issuer, "acme")))
        globex = await service.post("/vault-session", headers=bearer(token(issuer, "globex")))

    assert problem(acme) == (401, "unauthenticated")
    assert globex.status_code == 201
    assert [one.consumer_id for one in apideck.minted] == ["globex"]


async def test_with_any_tenant_the_customer_is_still_the_tenant_of_the_token(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """A new tenant gets a customer of its own, and no token gets that of another tenant."""
    open_to_all = settings(issuer, apideck_url, tenants=[], any_tenant=True)
    async with running(open_to_all) as service:
        own = await service.post("/vault-session", headers=bearer(token(issuer, "evil")))
        forged = token(issuer, "evil", tid="acme")
        other = await service.post("/vault-session", headers=bearer(forged))

    assert own.status_code == 201
    assert problem(other) == (401, "unauthenticated")
    assert [one.consumer_id for one in apideck.minted] == ["evil"]


async def test_equal_subjects_of_two_tenants_are_two_callers(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """A rate limit of one tenant's user must not lock out another tenant's user."""
    limited = settings(issuer, apideck_url)
    limited = limited.model_copy(
        update={"limits": limited.limits.model_validate({"per_user": "1/hour"})}
    )
    async with running(limited) as service:
        statuses = [
            (
                await service.post("/vault-session", headers=bearer(token(issuer, tenant, sub="1")))
            ).status_code
            for tenant in ("acme", "globex", "acme")
        ]

    assert statuses == [201, 201, 429]
    assert len(apideck.minted) == 2
