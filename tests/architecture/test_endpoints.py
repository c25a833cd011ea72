"""Rules for endpoints, read from the routers of `app/api`."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

import app.api


def api_routes() -> Iterator[APIRoute]:
    """Yield every route of the routers in `app/api`."""
    for module in pkgutil.iter_modules(app.api.__path__, "app.api."):
        router = getattr(importlib.import_module(module.name), "router", None)
        if router is not None:
            yield from router.routes


def dependencies(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    """Yield an endpoint and all its dependencies."""
    assert dependant.call is not None
    yield dependant.call
    for one in dependant.dependencies:
        yield from dependencies(one)


def test_no_endpoint_runs_in_a_thread() -> None:
    """FastAPI calls plain functions in threads, so endpoints and dependencies are coroutines."""
    called = {one for route in api_routes() for one in dependencies(route.dependant)}

    assert len(called) > 6
    for one in called:
        is_function = inspect.isroutine(one)
        assert inspect.iscoroutinefunction(one if is_function else type(one).__call__), one


def test_no_endpoint_declares_a_body() -> None:
    """FastAPI would read it before it authenticates the caller."""
    assert [route.path for route in api_routes() if route.body_field is not None] == []
