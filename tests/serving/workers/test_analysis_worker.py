"""A worker publishes the course of an analysis, keeps to the limits, and stops when it is lost."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exvad.detector.detector import AnalysisCallbacks, TimedAnalysis
from exvad.serving.queue.analyses import MAX_ATTEMPTS, AnalysisQueue
from exvad.serving.schemas.analyses import AnalysisStatus
from exvad.serving.settings import ServerSettings
from exvad.serving.workers.analysis_worker import AnalysisWorker
from exvad.serving.workers.errors import NoReplicaError
from tests.helpers.fake_detector import FakeDetector
from tests.helpers.videos import write_video


@pytest.fixture
def settings(tmp_path: Path) -> ServerSettings:
    return ServerSettings(spool=tmp_path / "spool")


@pytest.fixture
def queue(settings: ServerSettings) -> AnalysisQueue:
    return AnalysisQueue(settings.database_path)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clips") / "clip.mp4", 48, size=(64, 48))


def make_worker(
    queue: AnalysisQueue, settings: ServerSettings, detector: FakeDetector | None = None
) -> AnalysisWorker:
    return AnalysisWorker(detector or FakeDetector(), queue, settings)  # type: ignore[arg-type]


def read_status(queue: AnalysisQueue, analysis_id: str) -> AnalysisStatus:
    status = queue.status(analysis_id)
    assert status is not None
    return status


def test_work_publishes_the_course_and_stores_the_result(
    queue: AnalysisQueue, settings: ServerSettings, clip: Path
) -> None:
    analysis_id = queue.add("my clip.mp4", clip, uploaded=True)
    worker = make_worker(queue, settings)
    assert worker.work()
    assert not worker.work()
    status = read_status(queue, analysis_id)
    assert status.state == "done"
    assert status.result is not None
    assert status.result.video == "my clip.mp4"
    assert [kind for _, kind, _ in queue.read_events(analysis_id)] == [
        "progress", "progress", "writing", "first_scores", "scores", "events", "explanation", "done"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("update", "error"),
    [
        ({"max_seconds": 1}, "my clip.mp4: lasts 2 s, more than 1 s"),
        ({"max_pixels": 100}, "my clip.mp4: frames of 64x48 pixels are too large"),
    ],
)
def test_work_fails_an_analysis_beyond_the_limits(
    queue: AnalysisQueue, settings: ServerSettings, clip: Path, update: Any, error: str
) -> None:
    analysis_id = queue.add("my clip.mp4", clip, uploaded=True)
    worker = make_worker(queue, ServerSettings(**{**settings.model_dump(), **update}))
    assert worker.work()
    status = read_status(queue, analysis_id)
    assert (status.state, status.error) == ("failed", error)


def test_work_fails_a_path_that_left_the_allowed_root(
    queue: AnalysisQueue, settings: ServerSettings, clip: Path
) -> None:
    analysis_id = queue.add("clip.mp4", clip, uploaded=False)
    assert make_worker(queue, settings).work()
    assert "allowed_root" in (read_status(queue, analysis_id).error or "")


class RaisingDetector(FakeDetector):
    """A detector whose models raise an error.

    Args:
        error: the error.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def analyze_timed(self, *arguments: Any) -> TimedAnalysis:
        """Raise the error."""
        raise self.error


@pytest.mark.parametrize("error", [RuntimeError("shapes at /models"), KeyError("a")])
def test_work_fails_an_analysis_on_which_a_model_fails(
    queue: AnalysisQueue,
    settings: ServerSettings,
    clip: Path,
    error: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:
    analysis_id = queue.add("my clip.mp4", clip, uploaded=True)
    assert make_worker(queue, settings, RaisingDetector(error)).work()
    status = read_status(queue, analysis_id)
    name = type(error).__name__
    text = f"my clip.mp4: a model failed on this video ({name}); the server's log says where"
    assert (status.state, status.error) == ("failed", text)
    assert str(error) in caplog.text  # with its traceback


def test_work_ends_with_a_device_that_is_broken(
    queue: AnalysisQueue, settings: ServerSettings, clip: Path
) -> None:
    analysis_id = queue.add("my clip.mp4", clip, uploaded=True)
    error = RuntimeError("CUDA error: an illegal memory access was encountered")
    with pytest.raises(RuntimeError, match="illegal memory access"):
        make_worker(queue, settings, RaisingDetector(error)).work()
    assert read_status(queue, analysis_id).state == "running"


def test_an_error_while_the_worker_stops_is_no_result(
    queue: AnalysisQueue, settings: ServerSettings, clip: Path
) -> None:
    analysis_id, stopped = queue.add("my clip.mp4", clip, uploaded=True), threading.Event()

    class StoppedDetector(FakeDetector):
        def analyze_timed(self, *arguments: Any) -> TimedAnalysis:
            stopped.set()
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    make_worker(queue, settings, StoppedDetector()).run(stopped)
    assert read_status(queue, analysis_id).state == "queued"


def test_work_leaves_an_analysis_in_the_queue_while_no_model_answers(
    queue: AnalysisQueue, settings: ServerSettings, clip: Path
) -> None:
    analysis_id = queue.add("my clip.mp4", clip, uploaded=True)
    worker = make_worker(queue, settings, RaisingDetector(NoReplicaError("no replica")))
    for _ in range(2 * MAX_ATTEMPTS):
        assert worker.work()
    assert read_status(queue, analysis_id).state == "queued"
    assert make_worker(queue, settings).work()
    assert read_status(queue, analysis_id).state == "done"


def test_work_on_a_deleted_analysis_stops(
    queue: AnalysisQueue, settings: ServerSettings, tmp_path: Path, clip: Path
) -> None:
    copies = [Path(shutil.copy(clip, tmp_path / name)) for name in ("first", "second")]
    deleted_id, other_id = (queue.add(copy.name, copy, uploaded=True) for copy in copies)
    shares_after_deletion: list[float] = []

    class DeletingDetector(FakeDetector):
        """Deletes the first analysis while it is computed."""

        def analyze_timed(self, *arguments: Any) -> TimedAnalysis:
            *others, callbacks, normal = arguments
            assert isinstance(callbacks, AnalysisCallbacks)
            report = callbacks.on_progress
            assert report is not None

            def on_progress(share: float) -> None:
                queue.delete(deleted_id)
                report(share)
                shares_after_deletion.append(share)

            callbacks = replace(callbacks, on_progress=on_progress)
            return super().analyze_timed(*others, callbacks, normal)

    worker = make_worker(queue, settings, DeletingDetector())
    assert worker.work()
    assert shares_after_deletion == []
    assert queue.status(deleted_id) is None
    assert worker.work()
    assert read_status(queue, other_id).state == "done"


def test_worker_is_listed_while_it_is_busy_with_short_analyses(
    settings: ServerSettings, clip: Path
) -> None:
    class SlowDetector(FakeDetector):
        """Takes a tenth of a second for each video."""

        def analyze_timed(self, *arguments: Any) -> TimedAnalysis:
            time.sleep(0.1)
            return super().analyze_timed(*arguments)

    settings = ServerSettings(spool=settings.spool, lease_seconds=1)
    queue = AnalysisQueue(settings.database_path, settings.lease_seconds)
    for _ in range(30):
        queue.add("clip.mp4", clip, uploaded=True)
    worker, stopped = make_worker(queue, settings, SlowDetector()), threading.Event()
    thread = threading.Thread(target=worker.run, args=(stopped,))
    thread.start()
    num_listed = []
    while queue.num_waiting():
        time.sleep(0.1)
        num_listed.append(len(queue.list_models()))
    stopped.set()
    thread.join()
    assert len(num_listed) > 10, "all analyses ended within a lease"
    assert set(num_listed) == {1}


def test_report_problem_is_part_of_the_model_until_another_detector_is_set(
    queue: AnalysisQueue, settings: ServerSettings
) -> None:
    worker = make_worker(queue, settings)
    worker.report_problem("version 2 needs other frozen models")
    worker.send_heartbeat()
    (model,) = queue.list_models()
    assert model.problem == "version 2 needs other frozen models"
    worker.set_detector(FakeDetector(), "models:/exvad@champion")  # type: ignore[arg-type]
    worker.send_heartbeat()
    (model,) = queue.list_models()
    assert (model.checkpoint, model.problem) == ("models:/exvad@champion", None)
