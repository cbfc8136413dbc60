"""Preprocess, train and evaluate on nodes with disks of their own: everything is in a bucket.

While the features are computed, a node is added and another one is killed. The result is that of an
undisturbed run on one machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import obstore
import psutil
import pytest
import ray

from exvad.data.world.activities import CLASSES
from exvad.laam.phrases import LabelPhrases
from exvad.pipeline.session import ray_output_hidden
from exvad.store.store import Store
from tests.helpers.cluster import node_with_its_own_disk
from tests.helpers.object_store import ObjectStore, object_store
from tests.helpers.processes import exvad_command, stop
from tests.helpers.ray_sessions import cluster_of_nodes
from tests.helpers.tracking import tracking_server
from tests.helpers.waiting import holds_within
from tests.helpers.world_videos import render_videos

__all__ = ["tracking_server"]

LABELS = ("Normal", "Fighting", "Arson")
SPLITS = ("train", "val", "test")  # each with all the labels
SLOW_SECONDS = 0.1  # before each answer of the bucket while the nodes change
WAIT_SECONDS = 280

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # those of Ray itself


class Job:
    """Runs verbs with the same settings in an empty folder.

    Args:
        folder: the empty folder.
        run: path or URI of the run.
        listing: URI of the manifest.
        environment: the variables to add.
    """

    def __init__(self, folder: Path, run: str, listing: str, **environment: str) -> None:
        self.folder, self.environment = folder, {**os.environ, **environment}
        self.settings = [
            "data.kind=manifest", f"data.manifest={listing}", f"run={run}",
            "data.snippets_per_chunk=6", "captioner.per_video=2", "stages.vision_batch=1",
            "stages.language_batch=2",
            *(f"stages.{stage}.{end}_actors=1"
              for stage in ("vision", "language") for end in ("min", "max")),
            "labels.k=0", "train.epochs=3", "train.milestones=[2]",
        ]  # fmt: skip

    def start(self, *verb: str) -> subprocess.Popen[str]:
        """Start a verb."""
        return subprocess.Popen(
            exvad_command(*verb, *self.settings),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, process: subprocess.Popen[str]) -> str:
        """Wait until a verb has succeeded; return its messages as one line."""
        try:
            messages, _ = process.communicate(timeout=WAIT_SECONDS)
        finally:
            stop_if_running(process)
        assert process.returncode == 0, messages
        return " ".join(messages.split())

    def run(self, *verb: str) -> str:
        """Run a verb to its end; return its messages as one line."""
        return self.finish(self.start(*verb))


@pytest.fixture
def bucket() -> Iterator[ObjectStore]:
    with object_store() as bucket:
        yield bucket


def put_videos(bucket: ObjectStore, folder: Path) -> str:
    """Put rendered videos and their manifest into a bucket; return the URI of the manifest."""
    folder.mkdir()
    videos = render_videos(folder, LABELS * len(SPLITS), seed=5_000_000)
    lines = [f"# classes: {', '.join(CLASSES)}", "path,split,labels"]
    for index, (path, label) in enumerate(videos):
        bucket.put(f"videos/{path.name}", path.read_bytes())
        path.unlink()
        lines.append(f"{path.name},{SPLITS[index // len(LABELS)]},{label}")
    return bucket.put("videos/list.csv", ("\n".join(lines) + "\n").encode())


def stop_if_running(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        stop(process, gently=False)


def wait_while_running(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    """Wait for a condition while a job runs."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def kill(node: subprocess.Popen[bytes]) -> None:
    """Kill all processes of a node at the same moment, as a machine that is taken away."""
    family = [psutil.Process(node.pid), *psutil.Process(node.pid).children(recursive=True)]
    for member in family:
        if member.is_running():
            member.kill()
    node.wait(30)


def rows_of(store: str) -> dict[str, Any]:
    """Return keys and digest of each stage, and what failed."""
    read = Store(store)
    stages = [read.read_stage(name) for name in ("vision", "language")]
    return {
        **{stage.name: (sorted(stage.keys()), stage.digest()) for stage in stages},
        "failures": read.failures.rows(),
    }


@pytest.mark.timeout(900)
def test_run_on_separate_disks_outlives_a_node_and_takes_a_new_one(
    bucket: ObjectStore, tracking_server: str, tmp_path: Path
) -> None:
    listing, uri = put_videos(bucket, tmp_path / "videos"), bucket.url("runs/mine")
    disk, machine = tmp_path / "disk", tmp_path / "machine"
    disk.mkdir()
    machine.mkdir()
    tracked = {"MLFLOW_TRACKING_URI": tracking_server}
    undisturbed = Job(machine, str(machine / "run"), listing, **tracked)
    phrases = {name: [f"a scene of {name}"] for name in CLASSES}
    labels = LabelPhrases(phrases=phrases, origin="a test").model_dump_json()
    count = len(LABELS) * len(SPLITS)
    ready = f"{count} of {count} videos are ready, 0 failed"
    assert ready in undisturbed.run("preprocess", "--no-check")
    (machine / "run/labels.json").write_text(labels)
    bucket.put("runs/mine/labels.json", labels.encode())
    undisturbed.run("train")
    undisturbed.run("evaluate", "--resamples", "0")
    expected = json.loads((machine / "run/summary.json").read_text())

    with ExitStack() as stack:
        address = stack.enter_context(cluster_of_nodes()).address

        def add_node() -> subprocess.Popen[bytes]:
            return stack.enter_context(node_with_its_own_disk(address, disk, dict(os.environ)))

        def alive() -> int:
            return sum(node["Alive"] for node in ray.nodes())

        with ray_output_hidden():
            ray.init(address, log_to_driver=False)
        stack.callback(ray.shutdown)
        first = add_node()
        assert holds_within(WAIT_SECONDS, lambda: alive() == 2)
        job = Job(disk, uri, listing, RAY_ADDRESS=address, **tracked)

        bucket.proxy.delay = SLOW_SECONDS
        process = job.start("preprocess", "--no-check")
        stack.callback(stop_if_running, process)
        parts = "runs/mine/store/vision"
        wait_while_running(process, lambda: any("parquet" in n for n in bucket.names(parts)))
        add_node()
        wait_while_running(process, lambda: alive() == 3)
        kill(first)
        bucket.proxy.delay = 0.0
        assert ready in job.finish(process)
        assert rows_of(f"{uri}/store") == rows_of(str(machine / "run/store"))

        job.run("train")
        job.run("evaluate", "--resamples", "0")
    content = obstore.get(bucket.direct, "runs/mine/summary.json").bytes()
    summary = json.loads(bytes(content))
    assert {**summary, "checkpoint": ""} == {**expected, "checkpoint": ""}
    assert not [name for name in bucket.names() if ".exvad-mark-" in name]
    assert [path for path in disk.rglob("*") if path.is_file()] == []
