"""`python -m demo --port 8003`: serves the pages of the demo."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from demo.activity import Activity
from demo.events import Events
from demo.headers import PageHeadersMiddleware
from demo.pages import Pages
from emulators.running import run
from emulators.serving import serve

STATIC = Path(__file__).parent / "static"
CLIENT = Path(__file__).parents[3] / "clients" / "javascript"
LOOK = Path(__file__).parent.parent / "look"


class Demo:
    """The web application."""

    def __init__(self) -> None:
        self._urls = {
            "service": os.environ.get("VAULT_BFF_URL", "http://127.0.0.1:8000"),
            "issuer": os.environ.get("ISSUER_URL", "http://127.0.0.1:8002"),
            "apideck": os.environ.get("APIDECK_URL", "http://127.0.0.1:8001"),
        }
        self._pages = Pages()
        self.activity = Activity(
            lambda: self._pages.notify("activity"), os.environ.get("METRICS_URL")
        )
        self.app = Starlette(
            routes=[
                Route("/config.json", self._config),
                *self._pages.routes(),
                *self.activity.routes(),
                *Events(self._on_event).routes(),
                Mount("/look", StaticFiles(directory=LOOK)),
                Mount("/vault-bff-client", StaticFiles(directory=CLIENT)),
                Mount("/", StaticFiles(directory=STATIC, html=True)),
            ],
            middleware=[
                Middleware(
                    PageHeadersMiddleware,
                    connect_to=tuple(self._urls.values()),
                    vault=self._urls["apideck"],
                )
            ],
        )

    @contextlib.contextmanager
    def serve(self, port: int = 0, *, host: str = "127.0.0.1") -> Iterator[str]:
        """Serve the web application, by default on loopback; yields its URL."""
        with serve(self.app, host=host, port=port) as url:
            yield url

    def _on_event(self, event: dict[str, Any]) -> None:
        self.activity.record_event(event)
        self._pages.notify("changed")

    async def _config(self, _: Request) -> Response:
        return JSONResponse(self._urls)


if __name__ == "__main__":
    demo = Demo()
    if os.environ.get("SERVICE_LOG") == "stdin":
        demo.activity.read(sys.stdin)
    run("Demo application", 8003, demo)
