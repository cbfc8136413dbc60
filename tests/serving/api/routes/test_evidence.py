"""The report, the frames and the video of an analysis."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from exvad.serving.api.routes.evidence import detect_media_type
from tests.helpers.api import problem_detail


def test_evidence_of_a_result_is_a_report_frames_and_the_video(
    client: TestClient, clip: Path
) -> None:
    analysis_id = client.post("/v1/analyses?wait=20", content=clip.read_bytes()).json()["id"]
    frame = client.get(f"/v1/analyses/{analysis_id}/frames/1")
    assert frame.content[:2] == b"\xff\xd8"
    missing = client.get(f"/v1/analyses/{analysis_id}/frames/2")
    assert "captions 1 to 1" in problem_detail(missing, 404)
    report = client.get(f"/v1/analyses/{analysis_id}/report").text
    assert "a bin &lt;burns&gt;" in report
    part = client.get(f"/v1/analyses/{analysis_id}/video", headers={"Range": "bytes=0-9"})
    assert part.status_code == 206
    assert part.content == clip.read_bytes()[:10]


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("bytes=0-0", 206),
        ("Bytes=-10", 206),
        ("bytes=5-", 206),
        ("bytes=0-1, 5-6", 206),
        ("bytes=99999999-", 416),
        # What RFC 9110 lets a server ignore.
        ("items=0-1", 200),
        ("bytes=5-2", 200),
        ("bytes=0-1, 5-2", 200),
        ("bytes=a-b", 200),
        ("bytes=", 200),
        ("bytes=-", 200),
        ("bytes", 200),
        ("", 200),
    ],
)
def test_get_video_ignores_a_range_that_means_nothing(
    idle_client: TestClient, clip: Path, header: str, status: int
) -> None:
    content = clip.read_bytes()
    analysis_id = idle_client.post("/v1/analyses", content=content).json()["id"]
    video = idle_client.get(f"/v1/analyses/{analysis_id}/video", headers={"Range": header})
    assert video.status_code == status
    if status == 200:
        assert video.content == content


def test_get_video_sends_the_type_of_the_content_and_not_of_the_name(
    client: TestClient, clip: Path
) -> None:
    submitted = client.post("/v1/analyses?wait=20&name=x.exe", content=clip.read_bytes())
    video = client.get(f"/v1/analyses/{submitted.json()['id']}/video")
    assert video.headers["content-type"] == "video/mp4"


def test_get_video_refuses_a_file_that_was_replaced(
    client: TestClient, tmp_path: Path, clip: Path
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    named = root / "v.mp4"
    named.write_bytes(clip.read_bytes())
    analysis_id = client.post("/v1/analyses?wait=20", json={"path": "v.mp4"}).json()["id"]
    path = f"/v1/analyses/{analysis_id}/video"
    assert client.get(path).status_code == 200
    (tmp_path / "secret").write_text("secret")
    named.unlink()
    named.symlink_to(tmp_path / "secret")
    assert client.get(path).status_code == 404
    named.unlink()
    named.write_text("password = 1")
    assert "no video" in problem_detail(client.get(path), 404)


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"\0\0\0\x18ftypisom", "video/mp4"),
        (b"\x1aE\xdf\xa3 and more", "video/webm"),
        (b"RIFF\0\0\0\0AVI LIST", "video/x-msvideo"),
        (b"G@\0\x10", "video/mp2t"),
        (b"a text", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_detect_media_type_reads_the_first_bytes(
    tmp_path: Path, head: bytes, media_type: str
) -> None:
    path = tmp_path / "video"
    path.write_bytes(head)
    assert detect_media_type(path) == media_type
