"""Submitting a video: uploads, paths and URLs, options, limits and a full queue."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient

from exvad.results import Analysis
from exvad.serving.queue.analyses import AnalysisQueue
from tests.helpers.api import make_settings, open_client, problem_detail
from tests.helpers.server import Server
from tests.helpers.waiting import holds_within


def test_create_analysis_returns_the_result_of_an_upload_within_wait(
    client: TestClient, clip: Path
) -> None:
    files: Any = {
        "video": ("../dir/a clip.mp4", clip.read_bytes(), "video/mp4"),
    }
    response = client.post("/v1/analyses?wait=20", files=files)
    assert response.status_code == 200, response.text
    status = response.json()
    assert status["state"] == "done"
    assert status["name"] == "a clip.mp4"
    assert status["label"] == "Arson"
    result = Analysis.model_validate(status["result"])
    assert result.video == "a clip.mp4"
    assert result.num_frames == 48
    assert response.headers["location"] == f"/v1/analyses/{status['id']}"
    assert client.get(response.headers["location"]).json() == status


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ('filename="the %22red%22 door.mp4"', 'the "red" door.mp4'),
        ("filename*=UTF-8''T%C3%BCr%2F..%2F%E2%82%AC.mp4", "€.mp4"),
    ],
)
def test_create_analysis_shows_the_name_that_the_file_has(
    idle_client: TestClient, parameters: str, name: str
) -> None:
    head = f'--b\r\nContent-Disposition: form-data; name="video"; {parameters}\r\n\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    form = f"{head}x\r\n--b--\r\n".encode()
    response = idle_client.post("/v1/analyses", content=form, headers=headers)
    assert response.json()["name"] == name


def test_create_analysis_accepts_the_video_as_the_body(client: TestClient, clip: Path) -> None:
    response = client.post("/v1/analyses?wait=20&name=x.mp4", content=clip.read_bytes())
    assert response.json()["name"] == "x.mp4"
    assert response.json()["result"]["num_frames"] == 48


def test_create_analysis_adds_the_categories_of_one_request(client: TestClient, clip: Path) -> None:
    categories = json.dumps({"shoplifting": ["someone hides goods in a bag"]})
    response = client.post(
        "/v1/analyses", params={"categories": categories, "wait": 20}, content=clip.read_bytes()
    )
    assert response.json()["result"]["untrained"] == ["shoplifting"]
    response = client.post("/v1/analyses?wait=20", content=clip.read_bytes())
    assert response.json()["result"]["untrained"] == []
    for invalid in ("[]", '{"a": "b"}', "{", json.dumps({str(n): ["x"] for n in range(40)})):
        response = client.post("/v1/analyses", params={"categories": invalid}, content=b"x")
        problem_detail(response, 422)


@pytest.mark.parametrize("kind", ["form", "body"])
def test_create_analysis_takes_the_normal_scenes_of_an_upload(
    idle_client: TestClient, tmp_path: Path, kind: str
) -> None:
    scenes = ["people jog here", "a dog runs & barks"]
    video: Any = {"files": {"video": ("a.mp4", b"x")}} if kind == "form" else {"content": b"x"}
    response = idle_client.post("/v1/analyses", params={"normal": scenes}, **video)
    assert response.status_code == 202, response.text
    claim = AnalysisQueue(make_settings(tmp_path).database_path).claim("worker")
    assert claim is not None
    assert claim.options.normal == scenes
    response = idle_client.post("/v1/analyses", params={"normal": ["x" * 301]}, **video)
    assert "normal.0" in problem_detail(response, 422)


def test_create_analysis_reads_a_path_below_the_allowed_root(
    client: TestClient, clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "in.mp4").write_bytes(clip.read_bytes())
    (tmp_path / "secret.mp4").write_bytes(clip.read_bytes())
    (tmp_path / "root" / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    response = client.post("/v1/analyses?wait=20", json={"path": "in.mp4"})
    assert response.json()["state"] == "done"
    for path in ("../secret.mp4", str(tmp_path / "secret.mp4"), "link.mp4", "nothing.mp4"):
        refused = client.post("/v1/analyses", json={"path": path})
        assert "no such file" in problem_detail(refused, 422)
    folder = client.post("/v1/analyses", json={"path": "."})
    assert "no file: it is a folder" in problem_detail(folder, 422)
    problem_detail(client.post("/v1/analyses", json={"path": "a" * 300}), 422)
    analysis_id = response.json()["id"]
    assert client.delete(f"/v1/analyses/{analysis_id}").status_code == 204
    assert (tmp_path / "root" / "in.mp4").exists()


def test_create_analysis_fetches_a_url_only_from_allowed_networks(
    tmp_path: Path, clip: Path
) -> None:
    handler = partial(SimpleHTTPRequestHandler, directory=str(clip.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{site.server_port}/%63lip.mp4?token=secret"
        with open_client(make_settings(tmp_path)) as client:
            refused = client.post("/v1/analyses", json={"url": url})
            assert "public internet" in problem_detail(refused, 422)
            refused = client.post("/v1/analyses", json={"url": url, "path": "x"})
            assert "exactly one" in problem_detail(refused, 422)
        settings = make_settings(tmp_path, url_networks=["127.0.0.0/8"], max_bytes=200_000)
        with open_client(settings) as client:
            source = {"url": url, "categories": {"Queue": ["a line"]}}
            status = client.post("/v1/analyses", json=source).json()
            assert status["name"] == "clip.mp4"
            video = client.get(f"/v1/analyses/{status['id']}/video")
            assert video.content == clip.read_bytes()
        with open_client(settings.model_copy(update={"max_bytes": 100})) as client:
            refused = client.post("/v1/analyses", json={"url": url})
            assert "larger" in problem_detail(refused, 413)
        site.shutdown()


def test_create_analysis_refuses_a_large_video_and_stores_nothing(
    client: TestClient, tmp_path: Path
) -> None:
    video = b"x" * 300_000
    refused = client.post("/v1/analyses", content=video)
    assert "200000" in problem_detail(refused, 413)
    refused = client.post("/v1/analyses", files={"video": ("a", video)})
    assert "200000" in problem_detail(refused, 413)

    def without_content_length() -> Iterator[bytes]:
        for _ in range(30):
            yield b"x" * 10_000

    refused = client.post("/v1/analyses", content=without_content_length())
    assert "200000" in problem_detail(refused, 413)
    assert list((tmp_path / "spool" / "videos").iterdir()) == []


def test_create_analysis_refuses_a_large_json_body(idle_client: TestClient) -> None:
    refused = idle_client.post("/v1/analyses", json={"path": "x" * 200_000})
    assert "at most" in problem_detail(refused, 413)


@pytest.mark.parametrize(
    ("request_options", "detail"),
    [
        ({"content": b""}, "no video"),
        ({"files": {"video": ("a.mp4", b"")}}, "the file is empty: it has 0 bytes"),
        ({"files": {"film": ("a.mp4", b"x")}}, "form field 'film'"),
        ({"files": {"video": ("a.mp4", b"x"), "threshold": (None, "0.9")}}, "?threshold=0.7"),
        ({"content": b"x", "params": {"treshold": "0.9"}}, "did you mean 'threshold'"),
        ({"content": b"x", "params": {"categories": "theft"}}, 'write {"shoplifting": ['),
        ({"json": {"path": ""}}, "path"),
        ({"json": {"url": "http://127.0.0.1"}}, "public internet"),
        ({"json": {}}, "exactly one"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, "form is broken"),
        (
            {"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}},
            "form",
        ),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, "body: Invalid JSON"),
    ],
)
def test_create_analysis_refuses_a_request_without_a_video(
    idle_client: TestClient, request_options: dict[str, Any], detail: str
) -> None:
    refused = idle_client.post("/v1/analyses", **request_options)
    assert detail in problem_detail(refused, 422)


def test_create_analysis_refuses_more_videos_than_may_wait(idle_client: TestClient) -> None:
    for _ in range(2):
        assert idle_client.post("/v1/analyses", content=b"x").status_code == 202
    response = idle_client.post("/v1/analyses", content=b"x")
    assert "waiting already" in problem_detail(response, 429)
    assert int(response.headers["retry-after"]) > 0
    assert idle_client.get("/healthz").json() == {"status": "ok", "waiting": 2}


@pytest.mark.parametrize("kind", ["application/octet-stream", "multipart/form-data; boundary=x"])
def test_create_analysis_stores_nothing_if_the_client_leaves(tmp_path: Path, kind: str) -> None:
    with Server(tmp_path) as server:
        folder = server.settings.spool / "videos"
        with server.connect() as connection:
            head = f"POST /v1/analyses HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
            connection.sendall(f"{head}Content-Length: 100000\r\n\r\n--x\r\n".encode())
            part = b'Content-Disposition: form-data; name="video"\r\n\r\n'
            connection.sendall(part + b"v" * 5000)
            assert holds_within(10, lambda: bool(list(folder.glob("*.part"))))
        assert holds_within(10, lambda: not list(folder.iterdir()))
        with httpx.Client(base_url=server.url) as http:
            assert http.get("/v1/analyses").json()["total"] == 0
