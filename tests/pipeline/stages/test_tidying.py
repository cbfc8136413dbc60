"""After a stage, its parts are merged; that they can't be costs no result."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from exvad.data.storage import retries
from exvad.pipeline.stages.tidying import finish_stage
from exvad.store.index.compaction import MIN_PARTS
from exvad.store.index.spread import IN_THREADS
from exvad.store.store import Store
from exvad.store.survey import Survey
from tests.helpers.compaction import fill_stage
from tests.helpers.feature_store import vision_row
from tests.helpers.object_store import Faults, ObjectStore, object_store

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
