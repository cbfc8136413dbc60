"""An accepted analysis is stored, held by one worker at a time, and finished once."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from exvad.serving.queue.analyses import MAX_ATTEMPTS, AnalysisQueue
from exvad.serving.queue.leased import QueueFullError
from exvad.serving.queue.webhooks import WebhookQueue
from exvad.serving.schemas.analyses import AnalysisOptions
from tests.helpers.fake_detector import make_analysis

LEASE_SECONDS = 0.3


@pytest.fixture
def queue(tmp_path: Path) -> AnalysisQueue:
    return AnalysisQueue(tmp_path / "queue.sqlite", LEASE_SECONDS)


def add(queue: AnalysisQueue, name: str = "a.mp4", **options: object) -> str:
    return queue.add(name, Path("/a"), False, AnalysisOptions.model_validate(options))


def test_claim_returns_the_oldest_analysis_once(queue: AnalysisQueue) -> None:
    analysis_ids = [add(queue) for _ in range(3)]
    claims = [queue.claim(f"worker {worker}") for worker in range(4)]
    assert [claim and claim.analysis_id for claim in claims] == [*analysis_ids, None]


def test_claim_never_gives_an_analysis_to_two_workers(queue: AnalysisQueue) -> None:
    for _ in range(40):
        add(queue)
    patient_queue = AnalysisQueue(queue.path, lease_seconds=60)
    claimed: list[str] = []

    def work(holder: str) -> None:
        while (claim := patient_queue.claim(holder)) is not None:
            claimed.append(claim.analysis_id)
            assert patient_queue.finish(claim.analysis_id, holder, "no video")

    threads = [threading.Thread(target=work, args=(str(worker),)) for worker in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == 40


def test_publish_without_the_lease_appends_nothing(queue: AnalysisQueue) -> None:
    analysis_id = add(queue)
    assert queue.claim("crashed") is not None
    assert queue.publish(analysis_id, "crashed", "progress", {})
    time.sleep(LEASE_SECONDS + 0.05)
    assert queue.claim("other") is not None
    assert not queue.publish(analysis_id, "crashed", "scores", {})
    assert queue.finish(analysis_id, "other", "no video")
    assert not queue.publish(analysis_id, "other", "scores", {})
    assert [kind for _, kind, _ in queue.read_events(analysis_id)] == ["failed"]


def test_finish_after_the_lease_expired_stores_nothing(queue: AnalysisQueue) -> None:
    analysis_id = add(queue)
    assert queue.claim("silent") is not None
    assert queue.claim("other") is None
    time.sleep(LEASE_SECONDS + 0.05)
    assert queue.claim("other") is not None
    assert not queue.finish(analysis_id, "silent", make_analysis("late"))
    assert not queue.renew(analysis_id, "silent")
    assert queue.finish(analysis_id, "other", make_analysis("a.mp4"))
    status = queue.status(analysis_id)
    assert status is not None
    assert status.state == "done"
    assert status.result == make_analysis("a.mp4")


def test_renew_extends_the_lease(queue: AnalysisQueue) -> None:
    analysis_id = add(queue)
    queue.claim("alive")
    for _ in range(4):
        time.sleep(LEASE_SECONDS / 2)
        assert queue.renew(analysis_id, "alive", 0.5)
        assert queue.claim("other") is None


def test_claim_gives_up_a_video_that_crashed_its_workers(queue: AnalysisQueue) -> None:
    analysis_id = add(queue, "bomb.mp4", webhook="http://receiver/")
    for worker in range(MAX_ATTEMPTS):
        assert queue.claim(f"worker {worker}") is not None
        time.sleep(LEASE_SECONDS + 0.05)
    assert queue.claim("another") is None
    status = queue.status(analysis_id)
    assert status is not None
    assert status.state == "failed"
    assert status.error == "processing crashed the worker 3 times; the file was given up"
    assert [kind for _, kind, _ in queue.read_events(analysis_id)] == ["failed"]
    assert queue.read_counters()["failed"] == 1
    webhook = WebhookQueue(queue.path).claim()
    assert webhook is not None
    assert webhook.analysis_id == analysis_id


def fail_to_write(queue: AnalysisQueue) -> None:
    """Let a write fail as on a full disk."""
    with pytest.raises(sqlite3.OperationalError), queue.write():
        raise sqlite3.OperationalError("database or disk is full")


def test_a_lease_that_could_not_be_renewed_has_not_expired(queue: AnalysisQueue) -> None:
    analysis_id = add(queue)
    assert queue.claim("alive") is not None
    for _ in range(2 * MAX_ATTEMPTS):
        time.sleep(LEASE_SECONDS)
        fail_to_write(queue)
    assert queue.claim("other") is None
    assert queue.renew(analysis_id, "alive")
    time.sleep(LEASE_SECONDS + 0.05)
    assert queue.claim("other") is not None  # it has had the time to renew


def test_other_analyses_are_claimed_right_after_a_full_disk(queue: AnalysisQueue) -> None:
    analysis_ids = [add(queue) for _ in range(2)]
    assert queue.claim("alive") is not None
    time.sleep(LEASE_SECONDS + 0.05)
    fail_to_write(queue)
    claim = queue.claim("other")
    assert claim is not None
    assert claim.analysis_id == analysis_ids[1]


def test_a_worker_that_could_not_renew_its_lease_takes_its_attempt_back(
    queue: AnalysisQueue,
) -> None:
    analysis_id, held_by = add(queue), queue
    assert queue.claim("worker 0") is not None
    for worker in range(1, 2 * MAX_ATTEMPTS):
        fail_to_write(held_by)
        time.sleep(LEASE_SECONDS + 0.05)
        other = AnalysisQueue(queue.path, LEASE_SECONDS)  # of another replica
        assert other.claim(f"worker {worker}") is not None
        assert not held_by.renew(analysis_id, f"worker {worker - 1}")
        held_by.take_back_attempt(analysis_id, f"worker {worker - 1}")
        held_by = other
    assert held_by.finish(analysis_id, f"worker {worker}", make_analysis("a.mp4"))


def test_a_video_that_keeps_its_workers_from_renewing_is_given_up(queue: AnalysisQueue) -> None:
    fail_to_write(queue)  # before the analysis is claimed
    time.sleep(LEASE_SECONDS)
    analysis_id = add(queue)
    assert queue.claim("worker 0") is not None
    for worker in range(1, MAX_ATTEMPTS):
        time.sleep(LEASE_SECONDS + 0.05)
        assert queue.claim(f"worker {worker}") is not None
        queue.take_back_attempt(analysis_id, f"worker {worker - 1}")
    time.sleep(LEASE_SECONDS + 0.05)
    assert queue.claim("another") is None
    status = queue.status(analysis_id)
    assert status is not None
    assert status.state == "failed"


def test_a_released_analysis_is_queued_without_an_attempt(queue: AnalysisQueue) -> None:
    analysis_id = add(queue)
    for worker in range(2 * MAX_ATTEMPTS):
        assert queue.claim(f"worker {worker}") is not None
        queue.release(analysis_id, f"worker {worker}")
        queue.release(analysis_id, "another")
    status = queue.status(analysis_id)
    assert status is not None
    assert status.state == "queued"


def test_add_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    code = (
        "import sys; from pathlib import Path\n"
        "from exvad.serving.queue.analyses import AnalysisQueue\n"
        "queue = AnalysisQueue(Path(sys.argv[1]))\n"
        "while True: print(queue.add('a', Path('/a'), False), flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        analysis_ids = [process.stdout.readline().strip() for _ in range(20)]
        os.kill(process.pid, signal.SIGKILL)
        analysis_ids += [line.strip() for line in process.stdout if len(line) == 33]
    queue = AnalysisQueue(path)
    assert all(queue.status(analysis_id) is not None for analysis_id in analysis_ids)


def test_add_accepts_no_more_than_may_wait_even_in_parallel(queue: AnalysisQueue) -> None:
    def try_to_add(_: int) -> bool:
        try:
            queue.add("a.mp4", Path("/a"), False, max_waiting=3)
        except QueueFullError:
            return False
        return True

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(try_to_add, range(12))) == 3


def test_delete_older_deletes_ended_analyses_with_their_uploads(
    queue: AnalysisQueue, tmp_path: Path
) -> None:
    video = tmp_path / "video"
    video.write_bytes(b"x")
    ended = queue.add("a.mp4", video, uploaded=True)
    waiting = queue.add("b.mp4", tmp_path / "b", uploaded=True)
    queue.claim("worker")
    queue.finish(ended, "worker", "no video")
    assert queue.delete_older(1) == 0
    assert queue.delete_older(0) == 1
    assert queue.status(ended) is None
    assert queue.status(waiting) is not None
    assert not video.exists()


def test_delete_deletes_the_events_and_later_ones_are_dropped(queue: AnalysisQueue) -> None:
    analysis_id = add(queue)
    queue.append_event(analysis_id, "progress", {})
    assert queue.read_events(analysis_id)
    queue.delete(analysis_id)
    queue.append_event(analysis_id, "progress", {})
    assert queue.read_events(analysis_id) == []
