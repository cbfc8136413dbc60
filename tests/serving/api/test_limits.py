"""The size limit of request bodies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from exvad.serving.sources.request_body import MAX_JSON_BYTES
from tests.helpers.api import problem_detail


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/v1/session"), ("POST", "/v1/streams"), ("PATCH", "/v1/analyses/x")],
)
def test_body_size_limit_refuses_a_large_body(
    idle_client: TestClient, method: str, path: str
) -> None:
    def without_content_length() -> Iterator[bytes]:
        for _ in range(64):
            yield b" " * 2**16

    for content in (without_content_length(), b" " * (2 * MAX_JSON_BYTES)):
        refused = idle_client.request(method, path, content=content)
        assert "at most" in problem_detail(refused, 413)
