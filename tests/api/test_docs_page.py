"""The interactive page of the API."""

import re

import pytest

from emulators.issuer import DevelopmentIssuer
from tests.support.service import running, settings_for


@pytest.mark.parametrize(("enabled", "status"), [(True, 200), (False, 404)])
async def test_the_page_is_disabled_by_default(
    issuer: DevelopmentIssuer, apideck_url: str, enabled: bool, status: int
) -> None:
    """The operator has to enable the page, because it is for developers."""
    server = {"docs": enabled}
    async with running(settings_for(issuer.issuer, apideck_url, server=server)) as service:
        for path in ("/docs", "/docs-files/swagger-ui.css"):
            assert (await service.get(path)).status_code == status


async def test_the_page_loads_nothing_from_other_hosts(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """The page needs no CDN, and does not send the document's URL to a validator."""
    async with running(settings_for(issuer.issuer, apideck_url, server={"docs": True})) as service:
        page = (await service.get("/docs")).text
        script = await service.get("/docs-files/swagger-ui-bundle.js")

    assert not re.findall(r"https?:|[\"']//", page)
    assert '"validatorUrl": null' in page
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["cache-control"] == "no-store"
