"""`python -m demo --port 8003`: serves the pages of the demo."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from demo.events import Events
from demo.headers import PageHeadersMiddleware
from emulators.running import run
from emulators.serving import serve

PAGES = Path(__file__).parent / "static"


class Demo:
    """The web application."""

    def __init__(self) -> None:
        self._urls = {
            "service": os.environ.get("VAULT_BFF_URL", "http://127.0.0.1:8000"),
            "issuer": os.environ.get("ISSUER_URL", "http://127.0.0.1:8002"),
            "apideck": os.environ.get("APIDECK_URL", "http://127.0.0.1:8001"),
        }
        self.app = Starlette(
            routes=[
                Route("/config.json", self._config),
                *Events().routes(),
                Mount("/", StaticFiles(directory=PAGES, html=True)),
            ],
            middleware=[Middleware(PageHeadersMiddleware, connect_to=tuple(self._urls.values()))],
        )

    @contextlib.contextmanager
    def serve(self, port: int = 0, *, host: str = "127.0.0.1") -> Iterator[str]:
        """Serve the web application, by default on loopback; yields its URL."""
        with serve(self.app, host=host, port=port) as url:
            yield url

    async def _config(self, _: Request) -> Response:
        return JSONResponse(self._urls)


if __name__ == "__main__":
    run("Demo application", 8003, Demo())
