"""After a stage, its parts are merged; that they can't be costs no result."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from exvad.data.storage.remote import retries
from exvad.pipeline.stages.tidying import finish_stage, merging_meanwhile
from exvad.store.index.compaction import MIN_PARTS
from exvad.store.index.spread import IN_THREADS
from exvad.store.store import Store
from exvad.store.survey import Survey
from tests.helpers.compaction import fill_stage, stage_files
from tests.helpers.feature_store import vision_row
from tests.helpers.object_store import Faults, ObjectStore, object_store
from tests.helpers.waiting import holds_within

VIDEOS = [f"v{video}" for video in range(MIN_PARTS)]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    monkeypatch.setattr(retries, "FIRST_DELAY", 0.01)
    with object_store() as store:
        yield store


def test_finish_stage_notes_what_was_written_and_merges_it(tmp_path: Path) -> None:
    stage = fill_stage(tmp_path, MIN_PARTS - 1)
    survey = Survey(Store(tmp_path), VIDEOS)
    assert list(survey.missing()) == VIDEOS[-1:]
    stage.append([vision_row(VIDEOS[-1])])
    finish_stage(stage, survey, IN_THREADS, worked=False)
    assert list(survey.missing()) == VIDEOS[-1:]
    finish_stage(stage, survey, IN_THREADS, worked=True)
    assert survey.missing() == {}
    assert len(stage.snapshot().parts) == 0
    assert len(survey.index("vision").snapshot.large) == 1


def test_finish_stage_goes_on_where_storage_fails(
    bucket: ObjectStore, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = fill_stage(bucket.url("store"), MIN_PARTS)
    survey = Survey(Store(bucket.url("store")), VIDEOS)
    bucket.proxy.faults = [Faults("503", 99, "PUT")]
    finish_stage(stage, survey, IN_THREADS, worked=True)
    assert "note: the small parts of s3://" in " ".join(capsys.readouterr().err.split())
    bucket.proxy.faults.clear()
    assert survey.missing() == {}
    assert len(stage.keys()) == 2 * MIN_PARTS
    finish_stage(stage, survey, IN_THREADS, worked=False)
    assert len(stage.snapshot().parts) == 0


def test_parts_are_merged_while_a_stage_is_filled(tmp_path: Path) -> None:
    stage = fill_stage(tmp_path, 0)
    with merging_meanwhile(stage, IN_THREADS, seconds=0.05, min_parts=8):
        for video in range(20):
            stage.append([vision_row(f"v{video}")])
        assert holds_within(30, lambda: bool(stage.snapshot().large))
    assert stage.keys() == {(f"v{video}", 0, 0) for video in range(20)}


def test_merging_ends_with_the_stage_and_leaves_nothing(tmp_path: Path) -> None:
    stage = fill_stage(tmp_path, 8)
    files, begun, stopping = stage_files(tmp_path), threading.Event(), threading.Event()

    def slow(function: Callable[[Any], Any], arguments: Sequence[Any]) -> Iterator[Any]:
        results = list(IN_THREADS(function, arguments))
        begun.set()
        assert stopping.wait(30)
        yield from results

    with merging_meanwhile(stage, slow, seconds=0.05, min_parts=8):
        assert begun.wait(30)
        threading.Timer(0.3, stopping.set).start()
    assert stage_files(tmp_path) == files


def test_merging_meanwhile_goes_on_where_storage_fails(
    bucket: ObjectStore, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = fill_stage(bucket.url("store"), 8)
    bucket.proxy.faults = [Faults("503", 5, "PUT")]
    with merging_meanwhile(stage, IN_THREADS, seconds=0.05, min_parts=8):
        assert holds_within(30, lambda: bool(stage.snapshot().large))
    assert "note: the small parts of s3://" in " ".join(capsys.readouterr().err.split())
    assert len(stage.keys()) == 16
