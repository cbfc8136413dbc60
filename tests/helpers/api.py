"""The HTTP API without a server: a client that calls the application directly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2 as httpx
from fastapi.testclient import TestClient

from exvad.serving.api.application import create_api
from exvad.serving.settings import ServerSettings


def make_settings(folder: Path, **settings: Any) -> ServerSettings:
    """Make settings with a spool below a folder; the others differ from the defaults."""
    return ServerSettings(spool=folder / "spool", **settings)


def open_client(settings: ServerSettings) -> TestClient:
    """Return a client of an application with these settings; use it as a context manager."""
    api = create_api(settings)
    return TestClient(api, base_url="http://127.0.0.1", raise_server_exceptions=False)


def problem_detail(response: httpx.Response, status: int) -> str:
    """Return the detail of an error response; assert that it is problem+json with the status."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    return str(problem["detail"])
