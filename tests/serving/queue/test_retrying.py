"""A full disk loses no accepted video; writes wait until there is space again."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from exvad.serving.queue.retrying import retry_while_disk_full
from tests.helpers.disks import fill, small_disk
from tests.helpers.server import Server
from tests.helpers.videos import write_video


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "4m") as folder:
        yield folder


def test_retry_while_disk_full_repeats_a_write_until_it_succeeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("exvad.serving.queue.retrying.RETRY_SECONDS", 0.01)
    failures = [2]

    def write() -> str:
        if failures[0]:
            failures[0] -= 1
            raise sqlite3.OperationalError("database or disk is full")
        return "written"

    assert retry_while_disk_full(write, threading.Event()) == "written"


def test_retry_while_disk_full_raises_once_it_is_stopped() -> None:
    def write() -> None:
        raise sqlite3.OperationalError("database or disk is full")

    stopped = threading.Event()
    stopped.set()
    with pytest.raises(sqlite3.OperationalError, match="disk is full"):
        retry_while_disk_full(write, stopped)


def test_server_on_a_full_disk_refuses_new_videos_and_finishes_accepted_ones_later(
    disk: Path, tmp_path: Path
) -> None:
    clip = write_video(tmp_path / "clip.mp4", 48, size=(64, 48)).read_bytes()
    with Server(disk) as server, httpx.Client(base_url=server.url, timeout=30) as http:
        analysis_id = http.post("/v1/analyses", content=clip).json()["id"]
        filler = fill(disk)
        server.start_worker()
        refused = http.post("/v1/analyses", content=clip)
        assert refused.status_code == 507
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.headers["retry-after"] == "60"
        assert "disk is full" in refused.json()["detail"]
        time.sleep(1.5)
        assert http.get(f"/v1/analyses/{analysis_id}").json()["state"] in ("queued", "running")
        assert list((disk / "spool" / "videos").glob("*.part")) == []
        filler.unlink()
        status = http.get(f"/v1/analyses/{analysis_id}?wait=20").json()
        assert status["state"] == "done"
        assert http.get("/v1/analyses").json()["total"] == 1
        assert http.post("/v1/analyses?wait=20", content=clip).json()["state"] == "done"
