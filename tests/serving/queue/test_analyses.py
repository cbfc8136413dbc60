"""What is accepted is kept, worked on once, and answered once, whoever dies."""

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

from exvad.serving.queue.analyses import MOST_ATTEMPTS, Queue
from tests.helpers.served import analysis

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path / "queue.sqlite", lease_seconds=0.3)


def test_the_oldest_is_taken_first_and_only_once(queue: Queue) -> None:
    numbers = [queue.add(f"{n}.mp4", Path(f"/{n}"), uploaded=False) for n in range(3)]
    taken = [queue.claim(f"worker {n}") for n in range(4)]
    assert [claim and claim[0] for claim in taken] == [*numbers, None]


def test_a_file_that_is_no_queue_is_named(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    path.write_bytes(b"rubbish " * 1000)
    with pytest.raises(ValueError, match=r"queue\.sqlite can't be read"):
        Queue(path)


def test_many_workers_never_share_an_analysis(queue: Queue) -> None:
    for n in range(40):
        queue.add(f"{n}.mp4", Path("/x"), uploaded=False)
    slow = Queue(queue.path, lease_seconds=60)
    taken: list[str] = []

    def work(name: str) -> None:
        while (claim := slow.claim(name)) is not None:
            taken.append(claim[0])
            assert slow.finish(claim[0], name, "no")

    threads = [threading.Thread(target=work, args=(str(n),)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 40


def test_who_lost_an_analysis_can_tell_nothing_of_it(queue: Queue) -> None:
    number = queue.add("a.mp4", Path("/a"), uploaded=False)
    assert queue.claim("dead") is not None
    assert queue.tell(number, "dead", "progress", {})
    time.sleep(0.35)
    assert queue.claim("other") is not None
    assert not queue.tell(number, "dead", "scores", {})
    assert queue.finish(number, "other", "no")
    assert not queue.tell(number, "other", "scores", {})
    assert [kind for _, kind, _ in queue.events(number)] == ["failed"]


def test_a_silent_worker_loses_its_analysis_and_cant_answer_any_more(queue: Queue) -> None:
    number = queue.add("a.mp4", Path("/a"), uploaded=False)
    assert queue.claim("dead") is not None
    assert queue.claim("other") is None
    time.sleep(0.35)
    assert queue.claim("other") is not None
    assert not queue.finish(number, "dead", analysis("late"))
    assert not queue.renew(number, "dead")
    assert queue.finish(number, "other", analysis("a.mp4"))
    found = queue.status(number)
    assert found is not None
    assert found.state == "done"
    assert found.result == analysis("a.mp4")


def test_renewing_keeps_it(queue: Queue) -> None:
    number = queue.add("a.mp4", Path("/a"), uploaded=False)
    queue.claim("alive")
    for _ in range(4):
        time.sleep(0.15)
        assert queue.renew(number, "alive", 0.5)
        assert queue.claim("other") is None


def test_a_video_that_kills_its_workers_is_given_up(queue: Queue) -> None:
    number = queue.add("bomb.mp4", Path("/a"), uploaded=False)
    for n in range(MOST_ATTEMPTS):
        assert queue.claim(f"worker {n}") is not None
        time.sleep(0.35)
    assert queue.claim("another") is None
    found = queue.status(number)
    assert found is not None
    assert found.state == "failed"
    assert "died" in (found.error or "")


def test_what_was_accepted_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    code = (
        "import sys, time; from pathlib import Path\n"
        "from exvad.serving.queue.analyses import Queue\n"
        "queue = Queue(Path(sys.argv[1]))\n"
        "while True: print(queue.add('a', Path('/a'), False), flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = [process.stdout.readline().strip() for _ in range(20)]
        os.kill(process.pid, signal.SIGKILL)
        told += [line.strip() for line in process.stdout if len(line) == 33]
    queue = Queue(path)
    assert all(queue.status(number) is not None for number in told)


def test_old_answers_are_forgotten_with_their_uploads(queue: Queue, tmp_path: Path) -> None:
    video = tmp_path / "video"
    video.write_bytes(b"x")
    number = queue.add("a.mp4", video, uploaded=True)
    waiting = queue.add("b.mp4", tmp_path / "b", uploaded=True)
    queue.claim("worker")
    queue.finish(number, "worker", "no video")
    assert queue.forget_older(1) == 0
    assert queue.forget_older(0) == 1
    assert queue.status(number) is None
    assert queue.status(waiting) is not None
    assert not video.exists()


def test_a_queue_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    Queue(path)
    Queue(path)
    with sqlite3.connect(path) as base:
        base.execute("pragma user_version = 99")
    with pytest.raises(ValueError, match="another version"):
        Queue(path)


def test_processes_that_open_a_new_queue_together_do_not_quarrel(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        queues = list(pool.map(lambda _: Queue(tmp_path / "queue.sqlite"), range(32)))
    assert {queue.waiting() for queue in queues} == {0}
