"""What the stages request is checked before the first of them starts."""

from __future__ import annotations

import pytest
import ray

from exvad.config import Config, load_config
from exvad.pipeline import placement
from exvad.pipeline.placement import PlacementError
from exvad.pipeline.stages.actors import check_stages, engine_demand


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
