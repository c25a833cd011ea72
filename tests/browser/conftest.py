"""What the browser tests share: the running demo, and a page of a real browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.browser import browser as run_browser
from tests.support.browser import missing
from tests.support.demo_stack import DemoStack, demo_stack

expect.set_options(timeout=10_000)


@pytest.fixture(scope="session")
def _stack() -> Iterator[DemoStack]:
    # What one test does must not limit the next; the test of limits has a stack of its own.
    with demo_stack(LIMITS__PER_USER="unlimited", APIDECK__BREAKER__MIN_REQUESTS="10000") as stack:
        yield stack


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return the browser."""
    if missing():
        pytest.skip(str(missing()))
    with run_browser() as running:
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Return a browser that has seen nothing yet; fails the test if one of its pages throws."""
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        errors: list[str] = []
        context.on("weberror", lambda found: errors.append(str(found.error)))
        yield context
        assert errors == []


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """Return an empty page of it."""
    return context.new_page()


@pytest.fixture
def stack(browser: Browser, _stack: DemoStack) -> DemoStack:  # noqa: ARG001 - skips before it starts
    """Return the running demo, whose Apideck has seen nothing yet."""
    _stack.reset()
    return _stack
