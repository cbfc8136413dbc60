"""Work on many files as tasks of Ray."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from exvad.data.storage.errors import StorageError
from exvad.pipeline.stages.spreading import OverCluster
from exvad.store.index.compaction import compact
from exvad.store.store import Store
from exvad.store.survey import Survey
from tests.helpers.compaction import fill_stage
from tests.helpers.ray_sessions import fake_cluster

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with fake_cluster(2):
        yield


def test_tasks_return_in_the_order_of_the_arguments() -> None:
    over_cluster = OverCluster(0.5)
    assert list(over_cluster(partial(pow, 2), range(6))) == [1, 2, 4, 8, 16, 32]
    assert list(over_cluster(abs, [])) == []


@pytest.mark.parametrize(
    "error", [FileNotFoundError(2, "gone", "x"), StorageError("s3://b/x", "503", changed=True)]
)
def test_errors_of_tasks_are_those_of_the_function(error: Exception) -> None:
    def fail(number: int) -> int:
        if number:
            raise error
        return number

    with pytest.raises(type(error)) as caught:
        list(OverCluster(0.5)(fail, [0, 1, 2]))
    assert caught.type is type(error)
    assert str(caught.value) == str(error)


def test_survey_and_compaction_run_as_tasks(tmp_path: Path) -> None:
    stage = fill_stage(tmp_path, 150)
    for part in (tmp_path / "vision").glob("*.parquet"):
        time, identity, _ = part.stem.split("-", 2)
        part.rename(part.with_name(f"{time}-{identity}.parquet"))  # as a long name would be
    digest, over_cluster = stage.digest(), OverCluster(0.5)
    videos = [f"v{video}" for video in range(150)]
    assert Survey(Store(tmp_path), [*videos, "w"], over_cluster).missing() == {"w": "no features"}
    assert compact(stage, over_cluster) == 150
    assert stage.digest() == digest
    assert len(stage.snapshot().large) == 2
    assert Survey(Store(tmp_path), videos, over_cluster).missing() == {}
