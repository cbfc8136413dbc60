"""Preprocessing on a cluster of several nodes survives what kills its parts.

After each fault, or after running the command again, every row is there once and all of them are
those of an undisturbed run.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

from exvad.data.world import Scene, render_video
from exvad.data.world.activities import CLASSES
from exvad.store.store import Store
from tests.helpers.disks import small_disk

ROOT = Path(__file__).resolve().parents[2]
LABELS = ("Normal", "Fighting", "Arson", "Explosion", "Normal", "Robbery")
CHUNK = 2
Reply = tuple[int, bytes, dict[str, str]]

pytestmark = pytest.mark.slow


class Endpoint:
    """A language model behind HTTP whose answer depends on its prompt alone, when it is well.

    Args:
        fault: what to answer instead, given the number of the request; None to answer well.
        port: where; 0 for any free one.

    Attributes:
        requests: how many came.
    """

    def __init__(self, fault: Callable[[int, str], Reply | None], port: int = 0) -> None:
        self.requests = 0
        lock = threading.Lock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                prompt = body["messages"][0]["content"]
                with lock:
                    endpoint.requests += 1
                    number = endpoint.requests
                status, content, headers = fault(number, prompt) or said(explanation(prompt))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.http.daemon_threads = True
        self.port = int(self.http.server_address[1])
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Refuse connections from now on."""
        self.http.shutdown()
        self.http.server_close()


def said(text: str) -> Reply:
    return 200, json.dumps({"choices": [{"message": {"content": text}}]}).encode(), {}


def explanation(prompt: str) -> str:
    """What the model says of a video; the same however often it is asked."""
    first = prompt.split("\n(The last answer was refused")[0]
    digest = hashlib.sha256(first.encode()).digest()
    category = CLASSES[digest[0] % len(CLASSES)]
    return json.dumps(
        {
            "anomalous": category != CLASSES[0],
            "category": category,
            "summary": f"scene {digest[1]}",
            "reason": f"it looks like number {digest[2]}",
            "evidence": [1],
        }
    )


@contextmanager
def endpoint(fault: Callable[[int, str], Reply | None], port: int = 0) -> Iterator[Endpoint]:
    served = Endpoint(fault, port)
    try:
        yield served
    finally:
        served.close()


def well(number: int, prompt: str) -> None:
    """No fault."""


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six short world videos of several chunks each."""
    folder = tmp_path_factory.mktemp("videos")
    lines = [f"# classes: {', '.join(CLASSES)}", "video_id,path,split,labels"]
    for number, label in enumerate(LABELS):
        scene = Scene(6_000_000 + number, label, min_snippets=14, max_snippets=16)
        render_video(scene, folder / f"v{number}.mp4")
        lines.append(f"v{number},v{number}.mp4,train,{label}")
    path = folder / "videos.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without work and two nodes of one core; tests may add nodes and lose them."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        yield cluster
    finally:
        cluster.shutdown()


def command(run: Path, manifest: Path, *overrides: str) -> list[str]:
    """The job, small enough for the cluster, asking `overrides`' endpoint for explanations."""
    return [
        sys.executable, str(ROOT / "jobs/preprocess.py"), "--preset", "demo",
        "data.kind=manifest", f"data.manifest={manifest}", f"run={run}",
        f"data.snippets_per_chunk={CHUNK}", "stages.decode_cpus=0.2", "stages.vision.cpus=0.4",
        "stages.language.cpus=0.4", "stages.language_batch=2", "llm.backend=openai",
        "llm.model=hashing", "llm.endpoint.concurrency=2", *overrides,
    ]  # fmt: skip


def start(cluster: Any, arguments: list[str]) -> subprocess.Popen[str]:
    """Start the job on the cluster."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_ADDRESS": cluster.address}
    return subprocess.Popen(
        arguments, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    """Wait for the job's end; return what it told."""
    _, told = process.communicate(timeout=280)
    assert process.returncode == code, told
    return " ".join(told.split())


def run(cluster: Any, arguments: list[str], code: int = 0) -> str:
    return finish(start(cluster, arguments), code)


def wait_for_parts(process: subprocess.Popen[str], store: Path, stage: str = "vision") -> None:
    """Wait until the first rows are written, with more to come."""
    deadline = time.monotonic() + 200
    while not list((store / stage).glob("*.parquet")):
        assert process.poll() is None, "the job ended before it could be disturbed"
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for_actors(process: subprocess.Popen[str], raylet: int) -> None:
    """Wait until a node has actors of the job, which goes on."""
    deadline = time.monotonic() + 200
    while not any("VisionActor" in "".join(p.cmdline()) for p in psutil.Process(raylet).children()):
        assert process.poll() is None, "the job ended before it could be disturbed"
        assert time.monotonic() < deadline
        time.sleep(0.02)


def assert_complete(store: Path, undisturbed: Store) -> None:
    """Every row once, and equal to those of the undisturbed run."""
    found = Store(store)
    for stage in ("vision", "language"):
        expected = undisturbed.read_stage(stage)
        actual = found.read_stage(stage)
        assert actual.table(["video_id"]).num_rows == expected.table(["video_id"]).num_rows
        assert actual.digest() == expected.digest()
    assert found.failures.rows() == []


def raw_rows(store: Path, stage: str) -> Counter[tuple[Any, ...]]:
    """How often each key is in the part files themselves."""
    keys = ["video_id", "chunk"] if stage == "vision" else ["video_id"]
    counted: Counter[tuple[Any, ...]] = Counter()
    for part in (store / stage).glob("*.parquet"):
        counted.update(tuple(row.values()) for row in pq.read_table(part, columns=keys).to_pylist())
    return counted


def actors(cluster: Any, name: str) -> list[psutil.Process]:
    """The processes of a stage's actors on all nodes."""
    found = []
    for node in cluster.list_all_nodes():
        for raylet in node.all_processes.get("raylet", []):
            for process in psutil.Process(raylet.process.pid).children():
                if f"{name}" in "".join(process.cmdline()):
                    found.append(process)
    return found


@pytest.fixture(scope="module")
def undisturbed(cluster: Any, manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("undisturbed")
    with endpoint(well) as model:
        told = run(cluster, command(folder, manifest, url(model.port)))
    assert "6 of 6 videos are ready, 0 failed" in told
    store = folder / "store"
    assert set(raw_rows(store, "vision").values()) == {1}
    return Store(store)


def url(port: int) -> str:
    return f"llm.endpoint.base_url=http://127.0.0.1:{port}/v1"


@pytest.mark.parametrize("stage", ["Vision", "Language"])
def test_a_killed_actor_is_replaced(
    cluster: Any, manifest: Path, undisturbed: Store, tmp_path: Path, stage: str
) -> None:
    def slow(*_: object) -> None:
        time.sleep(1)

    with endpoint(slow) as model:
        process = start(cluster, command(tmp_path, manifest, url(model.port)))
        wait_for_parts(process, tmp_path / "store", stage.lower())
        (victim, *_) = actors(cluster, f"{stage}Actor")
        victim.send_signal(signal.SIGKILL)
        finish(process)
    assert_complete(tmp_path / "store", undisturbed)


def test_a_lost_node_costs_time_only(
    cluster: Any, manifest: Path, undisturbed: Store, tmp_path: Path
) -> None:
    doomed = cluster.add_node(num_cpus=2)
    cluster.wait_for_nodes()
    with endpoint(well) as model:
        # More work than the other nodes have room for.
        greedy = ("stages.vision.cpus=0.7", "stages.vision.min_actors=4",
                  "stages.vision.max_actors=4")  # fmt: skip
        process = start(
            cluster, command(tmp_path, manifest, url(model.port), *greedy, "captioner.batch_size=1")
        )
        raylet = doomed.all_processes["raylet"][0].process
        wait_for_actors(process, raylet.pid)
        raylet.send_signal(signal.SIGKILL)
        finish(process)
    cluster.remove_node(doomed, allow_graceful=False)
    assert_complete(tmp_path / "store", undisturbed)


def test_a_killed_driver_goes_on_when_run_again(
    cluster: Any, manifest: Path, undisturbed: Store, tmp_path: Path
) -> None:
    with endpoint(well) as model:
        arguments = command(tmp_path, manifest, url(model.port))
        process = start(cluster, arguments)
        wait_for_parts(process, tmp_path / "store")
        process.kill()
        process.communicate()
        kept = {part.name for part in (tmp_path / "store/vision").glob("*.parquet")}
        run(cluster, arguments)
    assert kept <= {part.name for part in (tmp_path / "store/vision").glob("*.parquet")}
    assert_complete(tmp_path / "store", undisturbed)


def test_a_model_that_is_busy_broken_or_talks_rubbish_is_asked_again(
    cluster: Any, manifest: Path, undisturbed: Store, tmp_path: Path
) -> None:
    def moody(number: int, prompt: str) -> Reply | None:
        faults: dict[int, Reply] = {
            1: (429, b"busy", {"Retry-After": "1"}),
            2: (500, b"broken", {}),
            3: (200, b"<html>no JSON</html>", {}),
            4: said("I am not sure."),
            5: said('{"anomalous": true}'),
        }
        return faults.get(number)

    with endpoint(moody) as model:
        run(cluster, command(tmp_path, manifest, url(model.port), "llm.attempts=4"))
        assert model.requests >= len(LABELS) + 5
    assert_complete(tmp_path / "store", undisturbed)


def test_a_model_that_is_down_for_a_while_is_waited_for_and_then_given_up(
    cluster: Any, manifest: Path, undisturbed: Store, tmp_path: Path
) -> None:
    with endpoint(well) as model:
        port = model.port
    # Nothing listens there now.
    impatient = command(tmp_path, manifest, url(port), "llm.endpoint.patience=3")
    assert "gave no answer for 3 s" in run(cluster, impatient, code=2)
    assert raw_rows(tmp_path / "store", "language") == Counter()

    process = start(cluster, command(tmp_path, manifest, url(port), "llm.endpoint.patience=200"))
    time.sleep(25)
    assert process.poll() is None
    with endpoint(well, port):
        finish(process)
    assert_complete(tmp_path / "store", undisturbed)


def test_rubbish_without_end_costs_its_own_video_until_it_is_tried_again(
    cluster: Any, manifest: Path, undisturbed: Store, tmp_path: Path
) -> None:
    victim = undisturbed.read_stage("language").table(["video_id", "cleaned_captions"]).to_pylist()
    captions = victim[0]["cleaned_captions"]
    twins = [row["video_id"] for row in victim if row["cleaned_captions"] == captions]
    listed = "\n".join(f"{number}: {text}" for number, text in enumerate(captions, 1))

    def confused(_: int, prompt: str) -> Reply | None:
        return said("???") if listed in prompt else None

    with endpoint(confused) as model:
        told = run(cluster, command(tmp_path, manifest, url(model.port)))
    good = len(LABELS) - len(twins)
    assert f"{good} of 6 videos are ready, {len(twins)} failed" in told
    failures = Store(tmp_path / "store").failures.rows("language")
    assert [row["id"] for row in failures] == sorted(twins)
    with endpoint(well) as model:
        run(cluster, [*command(tmp_path, manifest, url(model.port)), "--retry-failed"])
    assert_complete(tmp_path / "store", undisturbed)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that a few rows fill."""
    with small_disk(tmp_path / "disk", "64k") as folder:
        yield folder


def test_a_full_disk_stops_the_job_in_one_sentence_and_leaves_whole_rows(
    cluster: Any, manifest: Path, undisturbed: Store, tmp_path: Path, disk: Path
) -> None:
    with endpoint(well) as model:
        arguments = command(tmp_path, manifest, url(model.port), f"store={disk}/store")
        told = run(cluster, arguments, code=2)
        assert "No space left on device; make room and run again to go on" in told
        assert "Traceback" not in told
        before = raw_rows(disk / "store", "vision")
        assert list((disk / "store/vision").glob(".*.tmp")) == []
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        run(cluster, arguments)
    assert before.keys() <= raw_rows(disk / "store", "vision").keys()
    assert_complete(disk / "store", undisturbed)
