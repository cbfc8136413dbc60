"""A server behind a reverse proxy, which rewrites the host name and may serve it below a path."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient

from exvad.serving.queue.analyses import AnalysisQueue
from exvad.serving.settings import parse_settings
from tests.helpers.api import make_settings, open_client, problem_detail
from tests.helpers.reverse_proxy import Proxy, run_proxy
from tests.helpers.server import Server

PUBLIC_URL = "https://cameras.example/exvad"
HOLDER = "the test"
ORIGIN = "https://cameras.example"


class ServerBehind(Server):
    """A server behind a proxy; the test itself works on its analyses."""

    def __init__(self, folder: Path, proxy: Proxy) -> None:
        super().__init__(folder, public_url=proxy.url)
        self.queue = AnalysisQueue(self.settings.database_path)
        proxy.target = self.url.removeprefix("http://")

    def publish(self, analysis_id: str) -> None:
        """Publish progress of the analysis."""
        assert self.queue.claim(HOLDER) is not None
        assert self.queue.publish(analysis_id, HOLDER, "progress", {"progress": 0.5})

    def end(self, analysis_id: str) -> None:
        """End the analysis."""
        assert self.queue.finish(analysis_id, HOLDER, "the test has ended")


@pytest.fixture
def public_client(tmp_path: Path) -> Iterator[TestClient]:
    """A client behind a proxy that rewrites the host name; the server's address is set."""
    with open_client(make_settings(tmp_path, public_url=f"{PUBLIC_URL}/")) as client:
        yield client


def test_requests_of_the_own_page_pass_a_proxy_that_rewrites_the_host(
    public_client: TestClient,
) -> None:
    headers = {"Origin": ORIGIN}
    created = public_client.post("/v1/analyses", content=b"x", headers=headers)
    assert created.status_code == 202
    path = f"/v1/analyses/{created.json()['id']}"
    judged = public_client.patch(path, json={"triage": "reviewed"}, headers=headers)
    assert judged.json()["triage"] == "reviewed"
    for origin in ("https://evil.example", "https://cameras.example.evil.example", "null"):
        refused = public_client.post("/v1/analyses", content=b"x", headers={"Origin": origin})
        assert "set public_url to its address" in problem_detail(refused, 403)


def test_browsers_say_themselves_that_a_request_is_of_the_own_page(idle_client: TestClient) -> None:
    headers = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}
    assert idle_client.post("/v1/analyses", content=b"x", headers=headers).status_code == 202
    headers["Sec-Fetch-Site"] = "cross-site"
    problem_detail(idle_client.post("/v1/analyses", content=b"x", headers=headers), 403)


@pytest.mark.parametrize("below", ["", "/exvad"])
def test_location_is_the_public_address(public_client: TestClient, below: str) -> None:
    created = public_client.post(f"{below}/v1/analyses", content=b"x")
    assert created.headers["location"] == f"{PUBLIC_URL}/v1/analyses/{created.json()['id']}"


def test_server_below_a_path_has_its_page_its_reference_and_large_uploads(
    public_client: TestClient,
) -> None:
    slash = public_client.get("/exvad", follow_redirects=False)
    assert slash.headers["location"] == "/exvad/"
    for path in ("/", "/app.js", "/docs", "/swagger/swagger-ui.css", "/healthz"):
        assert public_client.get(f"/exvad{path}").status_code == 200, path
        assert public_client.get(path).status_code == 200, path
    document = public_client.get("/exvad/openapi.json").json()
    assert document["servers"] == [{"url": PUBLIC_URL}]
    # Only requests that upload may be so large.
    assert public_client.post("/exvad/v1/analyses", content=b"x" * 2**18).status_code == 202


def test_location_is_below_the_prefix_that_ray_serve_gives(tmp_path: Path) -> None:
    with open_client(make_settings(tmp_path)) as client:
        behind = TestClient(client.app, base_url="http://127.0.0.1", root_path="/videos")
        created = behind.post("/videos/v1/analyses", content=b"x" * 2**18)
        assert created.status_code == 202
        assert created.headers["location"] == f"/videos/v1/analyses/{created.json()['id']}"
        assert behind.get(created.headers["location"]).json()["state"] == "queued"


@pytest.mark.parametrize(
    "headers",
    [{"X-Forwarded-For": "203.0.113.7, 127.0.0.1"}, {"X-Real-IP": "203.0.113.7"},
     {"Forwarded": "for=203.0.113.7"}],
)  # fmt: skip
def test_without_keys_a_proxy_admits_nobody_else(
    idle_client: TestClient, headers: dict[str, str]
) -> None:
    assert "only this machine" in problem_detail(
        idle_client.get("/v1/analyses", headers=headers), 403
    )
    local = idle_client.get("/v1/analyses", headers={"X-Forwarded-For": "127.0.0.1"})
    assert local.status_code == 200


def test_cookie_is_for_the_public_address(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"read {hashlib.sha256(b'reader').hexdigest()}\n")
    with open_client(make_settings(tmp_path, api_keys=keys, public_url=PUBLIC_URL)) as client:
        signed_in = client.put("/v1/session", json={"key": "reader"}, headers={"Origin": ORIGIN})
        cookie = signed_in.headers["set-cookie"].lower()
    assert "secure" in cookie
    assert "path=/exvad/" in cookie


@pytest.mark.parametrize("strips_path", [True, False])
def test_events_arrive_through_a_proxy_while_they_happen(tmp_path: Path, strips_path: bool) -> None:
    with run_proxy("/exvad", strips_path) as proxy, ServerBehind(tmp_path, proxy) as server:
        with httpx.Client(base_url=proxy.url, trust_env=False) as http:
            location = http.post("/v1/analyses", content=b"x").headers["location"]
            assert location.startswith(proxy.url)
            server.publish(location.rpartition("/")[2])
            with http.stream("GET", f"{location}/events", timeout=10) as events:
                assert events.headers["x-accel-buffering"] == "no"
                lines = events.iter_lines()
                assert next(lines).startswith("id: ")
                server.end(location.rpartition("/")[2])
                assert "event: failed" in list(lines)
        assert not [path for path in proxy.was_buffered if path.endswith("/events")]


@pytest.mark.parametrize(
    "url", ["cameras.example", "ftp://x.example", "https://a.example/?b=c", "https://u:p@a.example"]
)
def test_public_url_must_be_an_address(url: str) -> None:
    with pytest.raises(ValueError, match=r"public_url: .* is no address like https://"):
        parse_settings({"public_url": url}, "serve.yaml")
