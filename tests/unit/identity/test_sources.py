"""A new way to identify callers is one file in `identity/sources`, and its settings."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.identity import sources
from app.identity.sources import build_sources
from app.settings import IdentitySettings
from tests.support.in_process import Network

MODULE = """
from app.identity.models import Caller
from app.identity.source import Source
from app.settings import IssuerSettings


class NewSource(Source):
    def recognizes(self, credential):
        return credential.value == "a-new-credential"

    async def caller(self, credential):
        return Caller("user", self.name, "ada", "acme")

    async def probe(self):
        return "responds"


def build(settings, fetcher):
    for configured in settings.sources_of(IssuerSettings):
        yield NewSource(configured)
"""


@pytest.fixture
def new_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Add a file to the package of sources while a test runs."""
    (tmp_path / "added.py").write_text(MODULE)
    path = [*sources.__path__, str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(sources, "__path__", path)
        patch.setattr(sources, "MODULES", sources.find_modules(path))
        yield
    sys.modules.pop("app.identity.sources.added")


def names(settings: IdentitySettings) -> list[str]:
    """Return the types of the sources that are built from these settings."""
    return [type(one).__name__ for one in build_sources(settings, Network().fetcher)]


SETTINGS = IdentitySettings.model_validate(
    {
        "issuers": {
            "signed": {
                "issuer": "https://id.example",
                "audience": "a",
                "consumer_prefix": "a-",
            },
            "opaque": {
                "issuer": "https://id.example",
                "audience": "b",
                "consumer_prefix": "b-",
                "introspection": {"client_id": "vault", "client_secret": "s3cret"},
            },
        },
        "cookie_sessions": {
            "web": {
                "cookie": "sid",
                "whoami_url": "https://app.example/me",
                "consumer_prefix": "c-",
            }
        },
    }
)


def test_every_entry_in_the_settings_becomes_one_source() -> None:
    """The modules of the package share the entries."""
    assert names(SETTINGS) == ["CookieSessionSource", "IntrospectionSource", "SignedTokenSource"]


@pytest.mark.usefixtures("new_module")
def test_a_new_file_in_the_package_adds_a_source() -> None:
    """No list of sources must be changed."""
    assert names(SETTINGS) == [
        "NewSource",
        "NewSource",
        "CookieSessionSource",
        "IntrospectionSource",
        "SignedTokenSource",
    ]
