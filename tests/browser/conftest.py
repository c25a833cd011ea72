"""Fixtures of the browser tests: the demo, the service with real host names, and a browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.browser import browser as run_browser
from tests.support.browser import missing
from tests.support.demo_stack import DemoStack, demo_stack
from tests.support.published import Published, published

expect.set_options(timeout=10_000)


@pytest.fixture(scope="session")
def _published() -> Iterator[Published]:
    if missing():
        pytest.skip(str(missing()))
    with published() as running:
        yield running


@pytest.fixture(scope="session")
def _stack() -> Iterator[DemoStack]:
    # The tests share this stack, so the rate limit and the circuit breaker are disabled.
    with demo_stack(LIMITS__PER_USER="unlimited", APIDECK__BREAKER__MIN_REQUESTS="10000") as stack:
        yield stack


@pytest.fixture(scope="module")
def browser(_published: Published) -> Iterator[Browser]:
    """Run a browser that can connect to this machine only."""
    with run_browser(_published.gateway.browser_rule) as running:
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Return an empty browser profile; the test fails if one of its pages throws an error."""
    with browser.new_context(
        viewport={"width": 1280, "height": 800}, ignore_https_errors=True
    ) as context:
        errors: list[str] = []
        context.on("weberror", lambda found: errors.append(str(found.error)))
        yield context
        assert errors == []


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """Return an empty page."""
    return context.new_page()


@pytest.fixture
def stack(browser: Browser, _stack: DemoStack) -> DemoStack:  # noqa: ARG001 - skips before it starts
    """Return the running demo, after a reset of its Apideck emulator."""
    _stack.reset()
    return _stack


@pytest.fixture
def servers(_published: Published) -> Published:
    """Return the service and the other servers with real host names, after a reset."""
    _published.reset()
    return _published
