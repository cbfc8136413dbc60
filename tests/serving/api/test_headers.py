"""The security headers of the page."""

from __future__ import annotations

from fastapi.testclient import TestClient

from exvad.serving.api.application import PAGE


def test_page_loads_nothing_from_other_hosts(idle_client: TestClient) -> None:
    page = idle_client.get("/")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http" not in page.text.replace("http-equiv", "")
    for module in sorted(PAGE.rglob("*.js")):
        assert "innerHTML" not in idle_client.get(f"/{module.relative_to(PAGE)}").text
    assert idle_client.get("/nothing").status_code == 404
