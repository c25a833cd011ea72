"""Fixtures of the end-to-end tests."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from app.__main__ import main
from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support.canaille_server import Canaille, canaille_server
from tests.support.checking import ELSEWHERE, HOME, Check
from tests.support.oidc_provider import OidcProvider, oidc_provider
from tests.support.process import environment_for


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    """Run the OpenID provider."""
    with oidc_provider() as running_provider:
        yield running_provider


@pytest.fixture(scope="module")
def canaille() -> Iterator[Canaille]:
    """Run Canaille."""
    with canaille_server() as running_server:
        yield running_server


@pytest.fixture
def environment(
    issuer: DevelopmentIssuer, apideck_url: str, apideck: ApideckEmulator, unused_tcp_port: int
) -> dict[str, str]:
    """Return the environment of a service that uses the issuer and the Apideck emulator."""
    assert apideck.requests == []
    return {
        **environment_for(issuer.issuer, apideck_url, unused_tcp_port),
        "SESSION__RETURN_TO": f'{{"home": "{HOME}", "elsewhere": "{ELSEWHERE}"}}',
    }


@pytest.fixture
def check(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Check]:
    """Return a function that runs `check` in this process; a new process would take seconds."""
    configuration = structlog.get_config()

    def run(*options: str) -> tuple[int, list[str]]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        status = main(["check", *options])
        out, err = capsys.readouterr()
        return status, (out + err).splitlines()

    yield run
    logging.disable(logging.NOTSET)
    structlog.configure(**configuration)
