import httpx
import pytest

from app import __version__
from emulators.issuer import DevelopmentIssuer
from tests.support.service import running, settings_for


@pytest.mark.parametrize("base", ["", "https://api.example.com/vault"])
async def test_the_root_path_describes_the_service(
    issuer: DevelopmentIssuer, apideck_url: str, base: str
) -> None:
    """It lists the URLs of the docs under the public URL, and does not show the version."""
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


async def test_the_interactive_page_is_listed_only_if_it_is_enabled(
    service: httpx.AsyncClient,
) -> None:
    """By default the interactive page is disabled, and the root path does not list it."""
    assert set((await service.get("/")).json()["docs"]) == {"openapi", "problem_types"}
