"""Which requests the server refuses: by key, by scope, by machine and by site."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from exvad.serving.api.application import create_api
from tests.helpers.api import make_settings, open_client, problem_detail


def test_authorize_requires_a_key_of_sufficient_scope(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    hashes = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("reader", "writer")}
    keys.write_text(f"# keys\nread {hashes['reader']}\nsubmit {hashes['writer']}\n")
    with open_client(make_settings(tmp_path, api_keys=keys)) as client:
        assert "API key" in problem_detail(client.get("/v1/analyses"), 401)
        for name, status in (("reader", 403), ("writer", 202), ("nobody", 401)):
            headers = {"Authorization": f"Bearer {name}"}
            assert client.get("/v1/analyses", headers=headers).status_code in (200, status)
            submitted = client.post("/v1/analyses", content=b"x", headers=headers)
            assert submitted.status_code == status
        assert client.get("/healthz").status_code == 200
        without_scheme = client.get("/v1/models", headers={"Authorization": "reader"})
        assert "an API key is required" in problem_detail(without_scheme, 401)
        lower_case = client.get("/v1/models", headers={"Authorization": "bearer  reader"})
        assert lower_case.status_code == 200
        unknown = client.get("/v1/models", headers={"Authorization": "Bearer x"})
        assert "this API key is unknown" in problem_detail(unknown, 401)
    keys.write_text("root abc\n")
    with pytest.raises(ValueError, match="line 1"):
        create_api(make_settings(tmp_path, api_keys=keys))


def test_authorize_without_keys_admits_only_this_machine(tmp_path: Path) -> None:
    api = create_api(make_settings(tmp_path))
    with TestClient(api, base_url="http://127.0.0.1", client=("203.0.113.7", 1)) as client:
        assert "only this machine" in problem_detail(client.get("/v1/analyses"), 403)
        refused = client.post("/v1/analyses", content=b"x")
        assert "only this machine" in problem_detail(refused, 403)


@pytest.mark.parametrize("host", ["evil.example", "192.0.2.1", "localhost.evil.example"])
def test_authorize_without_keys_refuses_other_host_names(
    idle_client: TestClient, host: str
) -> None:
    assert problem_detail(idle_client.get("/v1/analyses", headers={"Host": host}), 403)
    response = idle_client.get("/v1/analyses", headers={"Host": "localhost:8000"})
    assert response.status_code == 200


def test_authorize_refuses_requests_from_pages_of_other_sites(
    idle_client: TestClient, clip: Path
) -> None:
    for origin in ("http://evil.example", "http://127.0.0.1:9", "null"):
        refused = idle_client.post(
            "/v1/analyses", content=clip.read_bytes(), headers={"Origin": origin}
        )
        assert "other sites" in problem_detail(refused, 403)
    accepted = idle_client.post(
        "/v1/analyses", content=clip.read_bytes(), headers={"Origin": "http://127.0.0.1"}
    )
    assert accepted.status_code == 202
