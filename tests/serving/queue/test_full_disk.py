"""A really full disk under the server: nothing accepted is lost, and who asks is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.helpers.disks import fill, small_disk
from tests.helpers.server import Server
from tests.helpers.videos import write_video


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "4m") as folder:
        yield folder


def test_a_full_disk_refuses_new_videos_and_finishes_the_accepted_ones_later(
    disk: Path, tmp_path: Path
) -> None:
    clip = write_video(tmp_path / "clip.mp4", 48, size=(64, 48)).read_bytes()
    server = Server(disk)
    try:
        with httpx.Client(base_url=server.url, timeout=30) as http:
            number = http.post("/v1/analyses", content=clip).json()["id"]
            filler = fill(disk)
            server.begin()
            refused = http.post("/v1/analyses", content=clip)
            assert refused.status_code == 507
            assert refused.headers["content-type"] == "application/problem+json"
            assert refused.headers["retry-after"] == "60"
            assert "disk is full" in refused.json()["detail"]
            time.sleep(1.5)
            assert http.get(f"/v1/analyses/{number}").json()["state"] in ("queued", "running")
            assert list((disk / "spool" / "videos").glob("*.part")) == []
            filler.unlink()
            found = http.get(f"/v1/analyses/{number}?wait=20").json()
            assert found["state"] == "done"
            assert http.get("/v1/analyses").json()["total"] == 1
            assert http.post("/v1/analyses?wait=20", content=clip).json()["state"] == "done"
    finally:
        server.end()
