"""What the stages request is checked before the first of them starts."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
import ray

from exvad.config import Config, load_config
from exvad.data.storage.remote import retries
from exvad.pipeline import placement
from exvad.pipeline.placement import PlacementError
from exvad.pipeline.stages.actors import append_rows, check_stages, engine_demand
from exvad.pipeline.stages.outcomes import Outcome
from exvad.store.parts import UnwritableError
from exvad.store.store import Store
from tests.helpers.disks import fill, small_disk
from tests.helpers.feature_store import FINGERPRINT, vision_row
from tests.helpers.object_store import Faults, object_store


@pytest.fixture(autouse=True)
def two_cores_and_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster of one node, without an autoscaler."""
    node = {"Alive": True, "Resources": {"CPU": 2.0, "GPU": 1.0}}
    monkeypatch.setattr(ray, "nodes", lambda: [node])
    monkeypatch.setattr("ray._private.state.state.get_cluster_config", lambda: None)
    monkeypatch.setattr(placement, "_internal_kv_get", lambda _: None)


def demo(*overrides: str) -> Config:
    return load_config("demo", overrides)


@pytest.mark.parametrize(
    ("overrides", "setting"),
    [
        (["stages.vision.gpus=2"], "stages.vision"),
        (["stages.vision.cpus=2"], "stages.decode_cpus"),
        (["stages.language.gpus=2"], "stages.language"),
        (["llm.backend=vllm", "stages.text.cpus=1"], "stages.text"),
        (["captioner.backend=vllm", "stages.text.cpus=1"], "stages.text"),
        (
            ["llm.backend=vllm", "stages.language.gpus=1", "llm.engine.tensor_parallel=2"],
            "2 engine workers with 1 CPU and 1 GPU each",
        ),
    ],
)
def test_check_stages_refuses_a_stage_that_can_never_run(
    overrides: list[str], setting: str
) -> None:
    with pytest.raises(PlacementError, match=setting):
        check_stages(demo(*overrides))


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["stages.vision.cpus=1", "stages.decode_cpus=1"],
        ["stages.vision.gpus=1", "stages.language.gpus=1"],
        ["llm.backend=vllm", "captioner.backend=vllm", "stages.language.gpus=1"],
    ],
)
def test_check_stages_allows_stages_that_fit_with_fewer_actors(overrides: list[str]) -> None:
    check_stages(demo(*overrides))


def test_engine_demand_has_a_worker_for_each_part_of_the_model() -> None:
    config = demo("llm.engine.tensor_parallel=4", "stages.language.gpus=1")
    demand = engine_demand("stages.language", config.stages.language, config.llm.engine)
    assert (demand.count, demand.gpus) == (4, 1)


DONE = [Outcome("a").to_json(), Outcome.failure("b", ValueError("broken")).to_json()]


def test_append_rows_interrupts_what_a_bucket_does_not_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retries, "FIRST_DELAY", 0.01)
    with object_store() as bucket:
        stage = Store(bucket.url("store")).stage("vision", FINGERPRINT)
        bucket.proxy.faults = [Faults("503", 3, "PUT")]
        assert append_rows(stage, [vision_row("a")], DONE) == DONE
        bucket.proxy.faults = [Faults("503", 99, "PUT")]
        after, failed = append_rows(stage, [vision_row("c")], DONE)
        assert json.loads(after)[:2] == ["a", "StorageError"]
        assert Outcome.from_json(after).is_interruption
        assert failed == DONE[1]
        assert stage.keys() == {("a", 0, 0)}


def test_append_rows_ends_the_job_only_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "disk", "256k") as folder:
        stage = Store(folder).stage("vision", FINGERPRINT)
        fill(folder)
        with pytest.raises(UnwritableError, match=r"No space left.*make room and run again"):
            append_rows(stage, [vision_row("a")], DONE)
    stage = Store(tmp_path / "store").stage("vision", FINGERPRINT)

    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "replace", broken)
    after, _ = append_rows(stage, [vision_row("a")], DONE)
    assert Outcome.from_json(after).is_interruption
    assert "Input/output error" in after
