"""Preprocessing on a cluster of several nodes survives faults of its parts.

After each fault, or after running the command again, every row is there once, and all rows are
those of an undisturbed run.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

from exvad.store.store import Store
from tests.helpers.chat_endpoint import Reply, answer_reply, base_url, fake_endpoint
from tests.helpers.disks import small_disk
from tests.helpers.processes import descendants_named, exvad_command, stop
from tests.helpers.ray_sessions import cluster_of_nodes
from tests.helpers.world_videos import render_videos, write_listing

LABELS = ("Normal", "Fighting", "Arson", "Explosion", "Normal", "Robbery")
SNIPPETS_PER_CHUNK = 2
WAIT_SECONDS = 200

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of six short videos of several chunks each."""
    folder = tmp_path_factory.mktemp("videos")
    videos = render_videos(folder, LABELS, seed=6_000_000, snippets=(14, 16))
    return write_listing(folder / "videos.csv", videos)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without CPUs and two nodes of one CPU; tests may add nodes and kill them."""
    with cluster_of_nodes(1, 1) as cluster:
        yield cluster


def arguments(run: Path, listing: Path, *overrides: str) -> list[str]:
    """Return the arguments of the job, small enough for the cluster."""
    return [
        "preprocess", "data.kind=manifest", f"data.manifest={listing}", f"run={run}",
        f"data.snippets_per_chunk={SNIPPETS_PER_CHUNK}", "stages.decode_cpus=0.2",
        "stages.vision.cpus=0.4", "stages.language.cpus=0.4", "stages.language_batch=2",
        "llm.backend=openai", "llm.model=hashing", "llm.endpoint.concurrency=2", *overrides,
    ]  # fmt: skip


@contextmanager
def started(cluster: Any, arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Start the job on the cluster; it has ended after the block."""
    with subprocess.Popen(
        exvad_command(*arguments),
        env={**os.environ, "RAY_ADDRESS": cluster.address},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                stop(process, gently=False)


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    """Wait for the end of the job and check its exit code; return its messages as one line."""
    _, messages = process.communicate(timeout=280)
    assert process.returncode == code, messages
    return " ".join(messages.split())


def run(cluster: Any, arguments: list[str], code: int = 0) -> str:
    """Run the job on the cluster to its end; see `finish`."""
    with started(cluster, arguments) as process:
        return finish(process, code)


def wait_while_running(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    """Wait for a condition while the job runs."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert process.poll() is None, "the job ended before it could be disturbed"
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for_parts(process: subprocess.Popen[str], store: Path, stage: str = "vision") -> None:
    """Wait until the first rows are written; more follow."""
    wait_while_running(process, lambda: any((store / stage).glob("*.parquet")))


def actor_processes(cluster: Any, name: str) -> list[psutil.Process]:
    """Return the processes of a kind of actor on all nodes."""
    return [
        process
        for node in cluster.list_all_nodes()
        for raylet in node.all_processes.get("raylet", [])
        for process in descendants_named(raylet.process, name)
    ]


def assert_complete(store: Path, undisturbed: Store) -> None:
    """Check that every row is there once and equals that of the undisturbed run."""
    disturbed = Store(store)
    for stage in ("vision", "language"):
        expected = undisturbed.read_stage(stage)
        actual = disturbed.read_stage(stage)
        assert actual.table(["video_id"]).num_rows == expected.table(["video_id"]).num_rows
        assert actual.digest() == expected.digest()
    assert disturbed.failures.rows() == []


def count_raw_rows(store: Path, stage: str) -> Counter[tuple[Any, ...]]:
    """Count how often each key is in the part files themselves."""
    keys = ["video_id", "chunk"] if stage == "vision" else ["video_id"]
    counts: Counter[tuple[Any, ...]] = Counter()
    for part in (store / stage).glob("*.parquet"):
        counts.update(tuple(row.values()) for row in pq.read_table(part, columns=keys).to_pylist())
    return counts


@pytest.fixture(scope="module")
def undisturbed(cluster: Any, listing: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The store that the job fills without a fault."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with fake_endpoint() as model:
        messages = run(cluster, arguments(folder, listing, model.override))
    assert "6 of 6 videos are ready, 0 failed" in messages
    store = folder / "store"
    assert set(count_raw_rows(store, "vision").values()) == {1}
    return Store(store)


def copy_vision(undisturbed: Store, run: Path) -> None:
    """Begin a run whose videos are encoded and captioned, but not explained."""
    ignored = shutil.ignore_patterns("language")
    shutil.copytree(str(undisturbed.root), run / "store", ignore=ignored)


def test_killed_actors_are_replaced(
    cluster: Any, listing: Path, undisturbed: Store, tmp_path: Path
) -> None:
    def slow(*_: object) -> None:
        time.sleep(1)

    with (
        fake_endpoint(slow) as model,
        started(cluster, arguments(tmp_path, listing, model.override)) as process,
    ):
        for stage in ("Vision", "Language"):
            wait_for_parts(process, tmp_path / "store", stage.lower())
            actor_processes(cluster, f"{stage}Actor")[0].send_signal(signal.SIGKILL)
        finish(process)
    assert_complete(tmp_path / "store", undisturbed)


def test_lost_node_is_replaced_by_the_others(
    cluster: Any, listing: Path, undisturbed: Store, tmp_path: Path
) -> None:
    node = cluster.add_node(num_cpus=2)
    cluster.wait_for_nodes()
    # More actors than the other nodes have room for.
    overrides = ("stages.vision.cpus=0.7", "stages.vision.min_actors=4",
                 "stages.vision.max_actors=4", "captioner.batch_size=1")  # fmt: skip
    with (
        fake_endpoint() as model,
        started(cluster, arguments(tmp_path, listing, model.override, *overrides)) as process,
    ):
        raylet = node.all_processes["raylet"][0].process
        wait_while_running(process, lambda: bool(descendants_named(raylet, "VisionActor")))
        raylet.send_signal(signal.SIGKILL)
        finish(process)
    cluster.remove_node(node, allow_graceful=False)
    assert_complete(tmp_path / "store", undisturbed)


def test_killed_driver_continues_when_run_again(
    cluster: Any, listing: Path, undisturbed: Store, tmp_path: Path
) -> None:
    vision = tmp_path / "store/vision"
    with fake_endpoint() as model:
        same = arguments(tmp_path, listing, model.override)
        with started(cluster, same) as process:
            wait_for_parts(process, tmp_path / "store")
            process.kill()
        before = {part.name for part in vision.glob("*.parquet")}
        run(cluster, same)
    assert before <= {part.name for part in vision.glob("*.parquet")}
    assert_complete(tmp_path / "store", undisturbed)


def test_model_that_is_busy_broken_or_answers_nonsense_is_asked_again(
    cluster: Any, listing: Path, undisturbed: Store, tmp_path: Path
) -> None:
    def unreliable(number: int, prompt: str) -> Reply | None:
        faults: dict[int, Reply] = {
            1: (429, b"busy", {"Retry-After": "1"}),
            2: (500, b"broken", {}),
            3: (200, b"<html>no JSON</html>", {}),
            4: answer_reply("I am not sure."),
            5: answer_reply('{"anomalous": true}'),
        }
        return faults.get(number)

    copy_vision(undisturbed, tmp_path)
    with fake_endpoint(unreliable) as model:
        run(cluster, arguments(tmp_path, listing, model.override, "llm.attempts=4"))
        assert len(model.requests) >= len(LABELS) + 5
    assert_complete(tmp_path / "store", undisturbed)


def test_model_that_is_down_is_waited_for_within_the_patience(
    cluster: Any, listing: Path, undisturbed: Store, tmp_path: Path
) -> None:
    copy_vision(undisturbed, tmp_path)
    with fake_endpoint() as model:
        port = model.port
    # Nothing listens on the port now.
    impatient = arguments(tmp_path, listing, base_url(port), "llm.endpoint.patience=3")
    assert "gave no answer for 3 s" in run(cluster, impatient, code=2)
    assert count_raw_rows(tmp_path / "store", "language") == Counter()

    patient = arguments(tmp_path, listing, base_url(port), "llm.endpoint.patience=200")
    with started(cluster, patient) as process:
        time.sleep(25)
        assert process.poll() is None
        with fake_endpoint(port=port):
            finish(process)
    assert_complete(tmp_path / "store", undisturbed)


def test_video_that_always_gets_nonsense_fails_alone_until_it_is_retried(
    cluster: Any, listing: Path, undisturbed: Store, tmp_path: Path
) -> None:
    rows = undisturbed.read_stage("language").table(["video_id", "cleaned_captions"]).to_pylist()
    captions = rows[0]["cleaned_captions"]
    same_prompt = [row["video_id"] for row in rows if row["cleaned_captions"] == captions]
    numbered = "\n".join(f"{number}: {text}" for number, text in enumerate(captions, 1))

    def confused(_: int, prompt: str) -> Reply | None:
        return answer_reply("???") if numbered in prompt else None

    copy_vision(undisturbed, tmp_path)
    with fake_endpoint(confused) as model:
        messages = run(cluster, arguments(tmp_path, listing, model.override))
    good = len(LABELS) - len(same_prompt)
    assert f"{good} of 6 videos are ready, {len(same_prompt)} failed" in messages
    failures = Store(tmp_path / "store").failures.rows("language")
    assert [row["id"] for row in failures] == sorted(same_prompt)
    with fake_endpoint() as model:
        run(cluster, [*arguments(tmp_path, listing, model.override), "--retry-failed"])
    assert_complete(tmp_path / "store", undisturbed)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that a few rows fill."""
    with small_disk(tmp_path / "disk", "64k") as folder:
        yield folder


def test_full_disk_stops_the_job_with_one_sentence_and_whole_rows(
    cluster: Any, listing: Path, undisturbed: Store, tmp_path: Path, disk: Path
) -> None:
    with fake_endpoint() as model:
        same = arguments(tmp_path, listing, model.override, f"store={disk}/store")
        messages = run(cluster, same, code=2)
        assert "No space left on device; make room and run again to continue" in messages
        assert "Traceback" not in messages
        before = count_raw_rows(disk / "store", "vision")
        assert list((disk / "store/vision").glob(".*.tmp")) == []
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        run(cluster, same)
    assert before.keys() <= count_raw_rows(disk / "store", "vision").keys()
    assert_complete(disk / "store", undisturbed)
