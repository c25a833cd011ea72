import httpx
import pytest

from app import __version__
from emulators.issuer import DevelopmentIssuer
from tests.support.service import running, settings_for


@pytest.mark.parametrize("base", ["", "https://api.example.com/vault"])
async def test_the_address_of_the_service_says_what_it_is(
    issuer: DevelopmentIssuer, apideck_url: str, base: str
) -> None:
    """It names its docs as callers reach them, and not its version."""
    server = {"public_url": base or None, "docs": True}
    async with running(settings_for(issuer.issuer, apideck_url, server=server)) as service:
        response = await service.get("/")
        head = await service.head("/")
        found = [
            (await service.get(url.removeprefix(base))).status_code
            for url in response.json()["docs"].values()
        ]

    assert response.json()["service"] == "Vault BFF"
    assert response.json()["docs"] == {
        "openapi": f"{base}/openapi.json",
        "problem_types": f"{base}/problems",
        "interactive_page": f"{base}/docs",
    }
    assert __version__ not in response.text
    assert (head.status_code, head.text) == (200, "")
    assert found == [200] * 3


async def test_the_interactive_page_is_named_only_if_it_is_there(
    service: httpx.AsyncClient,
) -> None:
    """The operator has to switch it on."""
    assert set((await service.get("/")).json()["docs"]) == {"openapi", "problem_types"}
