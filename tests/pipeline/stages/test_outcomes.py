"""Outcomes of inputs: as text, and collected while a data set runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exvad.data.storage.errors import StorageError
from exvad.data.storage.marks import UnsharedPlaceError
from exvad.pipeline.stages.outcomes import (
    MAX_INTERRUPTIONS,
    Outcome,
    UnfinishedError,
    interrupt_all,
    run_to_end,
)
from exvad.store.parts import UnwritableError
from exvad.store.store import Store
from exvad.video.container import MissingVideoError
from tests.helpers.disks import fill, small_disk


class FinishedDataset:
    """A data set whose outcomes are known."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = outcomes

    def iter_batches(self, **_: Any) -> Iterator[dict[str, Any]]:
        """Yield one batch per outcome."""
        for outcome in self.outcomes:
            yield {"outcome": [outcome.to_json()]}


def test_outcome_survives_the_way_through_the_pipeline() -> None:
    failure = Outcome.failure("v1", ValueError("can't be read"))
    assert failure == Outcome("v1", "ValueError", "can't be read")
    assert Outcome.from_json(failure.to_json()) == failure


def test_run_to_end_logs_failures_prints_remarks_and_returns_retries(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "store")
    retry = Outcome.failure("v3", KeyError("again"))
    dataset = FinishedDataset(
        Outcome("v0"),
        Outcome("v1", message="one frame was replaced"),
        Outcome.failure("v2", ValueError("broken")),
        retry,
    )
    to_retry = run_to_end(dataset, "working", 4, store, "vision", retry_error="KeyError")
    assert to_retry == [retry]
    assert [(row["id"], row["message"]) for row in store.failures.rows("vision")] == [
        ("v2", "broken")
    ]
    output = capsys.readouterr().err
    assert "note: v1: one frame was replaced" in output
    assert "working: 4 of 4 in 0 s" in output


def test_run_to_end_logs_every_failure_when_nothing_is_retried(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    dataset = FinishedDataset(Outcome.failure("v3", KeyError("again")))
    assert run_to_end(dataset, "working", 1, store, "language") == []
    assert [row["error"] for row in store.failures.rows("language")] == ["KeyError"]


def interruption(video_id: str) -> Outcome:
    """Return the outcome of a video that storage did not deliver."""
    return Outcome.failure(video_id, StorageError(f"s3://b/{video_id}.mp4", "503"))


def test_run_to_end_finishes_the_others_and_logs_no_interruption(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    dataset = FinishedDataset(
        interruption("v0"),
        interruption("v0"),
        Outcome("v1"),
        Outcome.failure("v2", ValueError("broken")),
        interruption("v3"),
    )
    with pytest.raises(UnfinishedError) as caught:
        run_to_end(dataset, "working", 4, store, "vision")
    assert str(caught.value) == (
        "storage failed for 2 of 4 videos, which are not done; run again to continue "
        "(the first was v0: s3://b/v0.mp4: 503)"
    )
    assert [row["id"] for row in store.failures.rows()] == ["v2"]


def test_run_to_end_stops_while_storage_is_down(tmp_path: Path) -> None:
    taken: list[str] = []

    class Endless(FinishedDataset):
        def iter_batches(self, **_: Any) -> Iterator[dict[str, Any]]:
            for index in range(10 * MAX_INTERRUPTIONS):
                taken.append(f"v{index}")
                yield {"outcome": [interruption(f"v{index}").to_json()]}

    with pytest.raises(UnfinishedError, match=f"{MAX_INTERRUPTIONS} of 999 videos"):
        run_to_end(Endless(), "working", 999, Store(tmp_path), "vision")
    assert len(taken) == MAX_INTERRUPTIONS


def test_interrupt_all_keeps_failures() -> None:
    failed = Outcome.failure("v1", ValueError("broken")).to_json()
    outcomes = [Outcome("v0").to_json(), failed]
    error = StorageError("s3://b/part", "503")
    assert interrupt_all(outcomes, error) == [Outcome.failure("v0", error).to_json(), failed]


def test_run_to_end_says_that_the_disk_of_the_log_is_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as folder:
        fill(folder)
        dataset = FinishedDataset(Outcome.failure("v2", ValueError("broken")))
        with pytest.raises(UnwritableError, match=r"No space left.*make room and run again"):
            run_to_end(dataset, "working", 1, Store(folder), "vision")


def test_video_that_only_this_process_sees_ends_the_job_on_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, seen, gone = Store(tmp_path / "store"), tmp_path / "seen.mp4", tmp_path / "gone.mp4"
    seen.write_bytes(b"video")
    paths = {"v0": str(gone), "v1": str(seen)}
    missing = [
        Outcome.failure(name, MissingVideoError(path, "there is no such file"))
        for name, path in paths.items()
    ]
    run_to_end(FinishedDataset(*missing), "working", 2, store, "vision", paths=paths)
    assert [row["id"] for row in store.failures.rows()] == ["v0", "v1"]

    store.failures.clear()
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    with pytest.raises(UnsharedPlaceError, match=r"does not see .*seen\.mp4, which the job sees"):
        run_to_end(FinishedDataset(*missing), "working", 2, store, "vision", paths=paths)
    assert [row["id"] for row in store.failures.rows()] == ["v0"]
