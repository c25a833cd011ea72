"""Fixtures of the emulators' tests."""

from collections.abc import Iterator

import httpx
import pytest

from emulators.apideck import ApideckEmulator
from tests.support.apideck_calls import HEADERS
from tests.support.waiting import http_client


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    """Return a client for servers without TLS."""
    with http_client() as client:
        yield client


@pytest.fixture
def browser(apideck: ApideckEmulator, apideck_url: str, http: httpx.Client) -> httpx.Client:
    """Return a client of the Apideck emulator without an API key."""
    assert apideck.requests == []
    http.base_url = httpx.URL(apideck_url)
    return http


@pytest.fixture
def client(browser: httpx.Client) -> httpx.Client:
    """Return a client of the Apideck emulator with all headers of a valid request."""
    browser.headers.update(HEADERS)
    return browser
