"""The reference of the HTTP API at /docs: Swagger UI, served without any other host."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

ASSETS = "/swagger"
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)

router = APIRouter()


def asset_files() -> StaticFiles:
    """Return the application that serves the files of Swagger UI."""
    return StaticFiles(packages=[("fastapi_swagger", "resources")])


@router.get("/docs", include_in_schema=False)
def get_reference() -> HTMLResponse:
    """Show the reference. All addresses are relative, so that it also works behind a prefix."""
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title="exvad · HTTP API",
        swagger_js_url=f"{ASSETS[1:]}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS[1:]}/swagger-ui.css",
        swagger_favicon_url=f"{ASSETS[1:]}/favicon-32x32.png",
    )
    page.headers["Content-Security-Policy"] = POLICY
    return page
