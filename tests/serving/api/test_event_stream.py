"""Following an analysis over a connection."""

from __future__ import annotations

from pathlib import Path

import httpx2 as httpx

from tests.helpers.server import Server
from tests.helpers.waiting import holds_within


def test_following_ends_when_the_client_leaves(tmp_path: Path, clip: Path) -> None:
    with Server(tmp_path) as server:

        def num_responses() -> int:
            return len(server.http.server_state.tasks)

        with httpx.Client(base_url=server.url) as http:
            analysis_id = http.post("/v1/analyses", content=clip.read_bytes()).json()["id"]
        request = f"GET /v1/analyses/{analysis_id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
        connections = [server.connect() for _ in range(20)]
        for connection in connections:
            connection.sendall(request.encode())
            assert connection.recv(12) == b"HTTP/1.1 200"
        assert holds_within(10, lambda: num_responses() == 20)
        for connection in connections:
            connection.close()
        assert holds_within(10, lambda: num_responses() == 0)
        server.start_worker()
        with httpx.Client(base_url=server.url, timeout=30) as http:
            status = http.get(f"/v1/analyses/{analysis_id}?wait=20").json()
        assert status["state"] == "done"
