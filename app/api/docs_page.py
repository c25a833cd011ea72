"""The interactive page of the API: Swagger UI, with the files of a package instead of a CDN.

All URLs are relative to the page, so it works below any prefix that a proxy removes.
"""

from typing import Final

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

PATH: Final = "/docs"
FILES: Final = "/docs-files"

router = APIRouter(include_in_schema=False)


@router.get(PATH)
async def docs_page() -> HTMLResponse:
    """Return the page."""
    return get_swagger_ui_html(
        openapi_url="openapi.json",
        title="Vault BFF",
        swagger_js_url="docs-files/swagger-ui-bundle.js",
        swagger_css_url="docs-files/swagger-ui.css",
        swagger_favicon_url="docs-files/favicon.png",
        # Otherwise it would send the document's URL to a public validator.
        swagger_ui_parameters={"validatorUrl": None},
    )


def add_to(app: FastAPI) -> None:
    """Add the page and its files to the application."""
    app.include_router(router)
    app.mount(FILES, StaticFiles(packages=[("fastapi_offline", "static")]))
