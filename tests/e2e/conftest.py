"""Fixtures of the end-to-end tests."""

from collections.abc import Iterator

import pytest

from tests.support.oidc_provider import OidcProvider, oidc_provider


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    """Run the OpenID provider."""
    with oidc_provider() as running_provider:
        yield running_provider
