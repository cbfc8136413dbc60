"""`serve run serve.app:app` with Ray Serve, HTTP, the shipped models, and kill -9."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient

from exvad.client import Client, ServerError
from exvad.data.world import Scene, render_video
from tests.helpers.checkpoints import save_untrained_checkpoint
from tests.helpers.processes import ROOT, descendants_named, stop
from tests.helpers.waiting import holds_within

SERVE = str(Path(sys.executable).with_name("serve"))
PORT = 8000
URL = f"http://127.0.0.1:{PORT}"
STARTUP_SECONDS = 120

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def request(path: str, body: bytes | None = None) -> Any:
    """Send a request to the server; return the JSON of its response."""
    with urllib.request.urlopen(urllib.request.Request(URL + path, body), timeout=120) as response:
        return json.loads(response.read())


def is_healthy() -> bool:
    try:
        request("/healthz")
    except OSError:
        return False
    return True


def start(folder: Path, *args: str, **variables: str) -> subprocess.Popen[bytes]:
    """Start a server, and wait until it answers.

    Args:
        folder: its working folder.
        args: settings such as `checkpoint=FOLDER`; without any, `serve.yaml` is read.
        variables: environment variables.
    """
    environment = {**os.environ, "EXVAD_SERVE": str(folder / "serve.yaml"), **variables}
    environment.pop("RAY_ADDRESS", None)
    # Ray writes the address of its newest cluster into this folder, and reads it there.
    environment["RAY_TMPDIR"] = tempfile.mkdtemp(prefix="ray")
    log_path = folder / "serve.log"
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [SERVE, "run", "--app-dir", str(ROOT), "serve.app:app", *args],
            cwd=folder,
            env=environment,
            start_new_session=True,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    holds_within(STARTUP_SECONDS, lambda: process.poll() is not None or is_healthy())
    if process.poll() is not None or not is_healthy():
        stop(process, gently=False)
        pytest.fail(log_path.read_text()[-3000:])
    return process


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint, four videos and a settings file."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", PORT)) == 0:
            pytest.skip(f"another process uses port {PORT}")
    folder = tmp_path_factory.mktemp("serve")
    save_untrained_checkpoint(folder / "checkpoint")
    for number in range(4):
        render_video(Scene(number, "Robbery", 11, 12), folder / f"{number}.mp4")
    (folder / "serve.yaml").write_text(
        f"checkpoint: {folder}/checkpoint\nspool: {folder}/spool\nlease_seconds: 3\n"
    )
    return folder


def about_equal(scores: list[float]) -> Any:
    """Return what equals scores of the same video that was encoded in batches of another size."""
    return pytest.approx(scores, abs=2e-3)


def find_process(server: subprocess.Popen[bytes], name: str) -> psutil.Process:
    """Return the process of a replica, of the proxy or of the controller."""
    for _ in range(60):
        if found := descendants_named(server, name):
            return found[0]
        time.sleep(0.5)
    raise AssertionError(f"there is no process {name}")


def submit_until_accepted(client: Client, video: Path) -> str:
    """Submit a video to a server whose front is just being replaced; return the analysis' id."""
    for _ in range(60):
        try:
            return client.submit(video).id
        except (ConnectionError, ServerError):
            time.sleep(1)
    raise AssertionError("the server accepts no video")


def register_version(checkpoint: Path, uri: str, version: int) -> None:
    """Register a checkpoint as a version of a model, and point the alias at it."""
    client = MlflowClient(uri)
    if version == 1:
        client.create_registered_model("exvad")
    client.create_model_version("exvad", str(checkpoint))
    client.set_registered_model_alias("exvad", "champion", str(version))


def test_accepted_videos_survive_a_crash_of_a_replica_and_of_the_whole_server(
    folder: Path,
) -> None:
    process = start(folder)
    videos = [(folder / f"{number}.mp4").read_bytes() for number in range(4)]
    first = request("/v1/analyses?wait=60&name=0.mp4", videos[0])
    assert first["state"] == "done"
    explanation = first["result"]["explanation"]
    assert explanation["category"] == "Robbery"

    with Client(URL) as client:
        events = list(client.follow(first["id"]))
    partial_texts = [event.data["text"] for event in events if event.kind == "writing"]
    text = f"{explanation['summary']} {explanation['reason']}"
    assert partial_texts
    assert all(text.startswith(partial) for partial in partial_texts)

    analysis_ids = [request("/v1/analyses", video)["id"] for video in videos]
    find_process(process, "Analyst").kill()
    analysis_ids += [request("/v1/analyses", video)["id"] for video in videos]
    stop(process, gently=False)

    process = start(folder)
    try:
        holds_within(120, lambda: not request("/healthz")["waiting"])
        statuses = [request(f"/v1/analyses/{analysis_id}") for analysis_id in analysis_ids]
        assert [status["state"] for status in statuses] == ["done"] * len(analysis_ids)
        assert request("/v1/analyses")["total"] == len(analysis_ids) + 1
        assert statuses[0]["result"]["scores"] == about_equal(first["result"]["scores"])
    finally:
        stop(process)


def test_every_accepted_video_is_analyzed_once_whichever_process_crashes(folder: Path) -> None:
    process = start(
        folder, f"checkpoint={folder}/checkpoint", f"spool={folder}/spool", "lease_seconds=3"
    )
    analysis_ids: list[str] = []
    try:
        with Client(URL, retries=8) as client:
            expected = client.analyze(folder / "0.mp4", timeout=120)
            total = request("/v1/analyses")["total"]
            for name in ("Decoder", "Clip", "Captioner", "Explainer", "Analyst", "Front",
                         "ProxyActor", "ServeController"):  # fmt: skip
                analysis_ids += [client.submit(folder / "0.mp4").id for _ in range(2)]
                find_process(process, name).kill()
                analysis_ids.append(submit_until_accepted(client, folder / "0.mp4"))
            jobs = [client.wait(analysis_id, timeout=120) for analysis_id in analysis_ids]
        assert [job.state for job in jobs] == ["done"] * len(analysis_ids)
        assert request("/v1/analyses")["total"] == total + len(analysis_ids)
        for job in jobs:
            assert job.result is not None
            assert job.result.scores == about_equal(expected.scores)
    finally:
        stop(process)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of MLflow
def test_a_new_version_of_the_alias_is_loaded_under_load(folder: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    register_version(folder / "checkpoint", uri, 1)
    (tmp_path / "serve.yaml").write_text(
        f"checkpoint: models:/exvad@champion\nspool: {tmp_path}/spool\nreload_seconds: 1\n"
    )
    process = start(tmp_path, MLFLOW_TRACKING_URI=uri)
    analysis_ids: list[str] = []
    stopped = threading.Event()

    def submit_repeatedly() -> None:
        with Client(URL) as client:
            while not stopped.is_set():
                analysis_ids.append(client.submit(folder / "0.mp4").id)
                stopped.wait(0.4)

    try:
        with Client(URL) as client:
            old_model = client.analyze(folder / "0.mp4", timeout=120).model
            load = threading.Thread(target=submit_repeatedly)
            load.start()
            next_checkpoint = save_untrained_checkpoint(tmp_path / "next", "model.fusion=gated")
            register_version(next_checkpoint, uri, 2)
            for _ in range(60):
                (served,) = request("/v1/models")["items"]
                if served["model"] != old_model:
                    break
                time.sleep(0.5)
            time.sleep(3)
            stopped.set()
            load.join()
            jobs = [client.wait(analysis_id, timeout=120) for analysis_id in analysis_ids]
            new_model = client.analyze(folder / "0.mp4").model
        assert served["problem"] is None
        assert new_model == served["model"] != old_model
        assert [job.state for job in jobs] == ["done"] * len(analysis_ids)
        models = [job.result.model for job in jobs if job.result]
        assert models == sorted(models, key=lambda model: model != old_model), "the old one first"
        assert {old_model, new_model} == set(models)
        assert request("/v1/analyses")["total"] == len(analysis_ids) + 2
    finally:
        stopped.set()
        stop(process)
