"""The reference of the HTTP API at /docs, with Swagger UI from this machine: it asks no other."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from exvad.serving.api.context import Context

REFERENCE = "/docs"
ASSETS = "/swagger"
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def asset_files() -> StaticFiles:
    """Return the application that serves Swagger UI's own files."""
    return StaticFiles(packages=[("fastapi_swagger", "resources")])


def reference_routes(_: Context) -> APIRouter:
    """Return the route."""
    routes = APIRouter()

    @routes.get(REFERENCE, include_in_schema=False)
    def reference() -> HTMLResponse:
        page = get_swagger_ui_html(
            openapi_url="openapi.json",
            title="exvad · HTTP API",
            swagger_js_url=f"{ASSETS[1:]}/swagger-ui-bundle.js",
            swagger_css_url=f"{ASSETS[1:]}/swagger-ui.css",
            swagger_favicon_url=f"{ASSETS[1:]}/favicon-32x32.png",
        )
        page.headers["Content-Security-Policy"] = POLICY
        return page

    return routes
