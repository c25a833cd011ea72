"""Fixtures of the emulators' tests."""

from collections.abc import Iterator

import httpx
import pytest

from emulators.apideck import ApideckEmulator
from tests.support.apideck_calls import HEADERS


@pytest.fixture
def browser(apideck: ApideckEmulator, apideck_url: str) -> Iterator[httpx.Client]:
    """Return a client of the Apideck emulator without an API key."""
    assert apideck.requests == []
    with httpx.Client(base_url=apideck_url) as client:
        yield client


@pytest.fixture
def client(browser: httpx.Client) -> httpx.Client:
    """Return a client of the Apideck emulator with all headers of a valid request."""
    browser.headers.update(HEADERS)
    return browser
