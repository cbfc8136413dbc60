"""The reference of the HTTP API at /docs."""

from __future__ import annotations

from fastapi.testclient import TestClient


def test_reference_loads_nothing_from_other_hosts(idle_client: TestClient) -> None:
    page = idle_client.get("/docs")
    assert "connect-src 'self'" in page.headers["content-security-policy"]
    assert "//" not in page.text.replace("</", "").split("const ui", 1)[0]
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"):
        assert f'"swagger/{asset}"' in page.text.replace("'", '"')
        assert idle_client.get(f"/swagger/{asset}").status_code == 200
    assert idle_client.get("/redoc").status_code == 404
