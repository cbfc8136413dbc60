"""A watcher releases, ends or fails a stream, depending on the error."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from exvad.serving.queue.streams import StreamQueue
from exvad.serving.schemas.streams import StreamOptions, StreamSource, StreamStatus
from exvad.serving.settings import ServerSettings
from exvad.serving.workers.errors import NoReplicaError
from exvad.serving.workers.stream_watcher import StreamWatcher
from tests.helpers.waiting import holds_within


class FailingDetector:
    """A detector that raises an error as soon as it is used.

    Args:
        error: the error.
    """

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.checkpoint = SimpleNamespace()

    def with_categories(
        self, categories: Mapping[str, Sequence[str]], normal: Sequence[str]
    ) -> Any:
        """Raise the error."""
        raise self.error


def watch(folder: Path, error: Exception) -> tuple[StreamWatcher, StreamStatus]:
    """Watch a stream until its watching failed; return the watcher and the stream's status."""
    settings = ServerSettings(spool=folder / "spool", allowed_root=folder)
    (folder / "door.ts").write_bytes(b"")
    streams = StreamQueue(settings.database_path)
    options = StreamOptions(categories={"Fire": ["flames"]})
    stream_id = streams.add("door", StreamSource(path=str(folder / "door.ts")), options)
    watcher = StreamWatcher(FailingDetector(error), streams, settings)  # type: ignore[arg-type]
    stopped = threading.Event()
    thread = threading.Thread(target=watcher.run, args=(stopped,))
    thread.start()

    def status() -> StreamStatus:
        status = streams.status(stream_id)
        assert status is not None
        return status

    assert holds_within(10, lambda: watcher.failed or status().notice is not None)
    stopped.set()
    thread.join(10)
    return watcher, status()


def test_watch_ends_a_stream_that_cannot_be_watched(tmp_path: Path) -> None:
    watcher, status = watch(tmp_path, ValueError("give a name that is no class yet"))
    assert (status.state, status.notice) == ("ended", "give a name that is no class yet")
    assert not watcher.failed


def test_watch_releases_a_stream_while_no_replica_answers(tmp_path: Path) -> None:
    watcher, status = watch(tmp_path, NoReplicaError("no replica has answered"))
    assert (status.state, status.notice) == ("lost", "no replica has answered")
    assert not watcher.failed


def test_watch_waits_for_a_file_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a restart of the server before a disk is mounted again."""
    monkeypatch.setattr("exvad.serving.workers.stream_watcher.MISSING_SECONDS", 0.1)
    settings = ServerSettings(spool=tmp_path / "spool", allowed_root=tmp_path)
    streams = StreamQueue(settings.database_path)
    source = StreamSource(path=str(tmp_path / "door.ts"))
    options = StreamOptions(categories={"Fire": ["flames"]})
    stream_id = streams.add("door", source, options)
    detector: Any = FailingDetector(ValueError("the file is watched"))
    watcher = StreamWatcher(detector, streams, settings)
    stopped = threading.Event()
    thread = threading.Thread(target=watcher.run, args=(stopped,))

    def shows(state: str, notice: str) -> bool:
        status = streams.status(stream_id)
        assert status is not None
        return status.state == state and notice in (status.notice or "")

    thread.start()
    text = "door: there is no such file below the allowed root; trying again every 0 s"
    assert holds_within(10, lambda: shows("lost", text))
    assert len(streams.read_events(stream_id)) == 1
    (tmp_path / "door.ts").write_bytes(b"")
    assert holds_within(10, lambda: shows("ended", "the file is watched"))
    stopped.set()
    thread.join(10)
    assert not watcher.failed


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_watch_fails_the_watcher_on_any_other_error(tmp_path: Path) -> None:
    watcher, status = watch(tmp_path, TypeError("a programming error"))
    assert watcher.failed
    assert status.state == "waiting"
