"""Signing in and out with a browser."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.helpers.api import make_settings, open_client, problem_detail


def test_sign_in_stores_the_key_in_a_cookie_until_sign_out(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"read {hashlib.sha256(b'reader').hexdigest()}\n")
    with open_client(make_settings(tmp_path, api_keys=keys)) as client:
        assert client.get("/v1/analyses").status_code == 401
        assert client.get("/v1/session").json() == {"key_required": True, "scope": None}
        refused = client.put("/v1/session", json={"key": "guess"})
        assert "this API key is unknown" in problem_detail(refused, 401)
        signed_in = client.put("/v1/session", json={"key": "reader"})
        assert signed_in.status_code == 204
        assert client.get("/v1/session").json() == {"key_required": True, "scope": "read"}
        cookie = signed_in.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert client.get("/v1/analyses").status_code == 200
        refused = client.post("/v1/analyses", content=b"x")
        assert "may not submit" in problem_detail(refused, 403)
        wrong_header = {"Authorization": "Bearer other"}
        assert client.get("/v1/analyses", headers=wrong_header).status_code == 401
        assert client.delete("/v1/session").status_code == 204
        assert client.get("/v1/analyses").status_code == 401
