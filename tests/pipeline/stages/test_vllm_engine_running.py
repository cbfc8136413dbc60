"""What is left of vLLM's engines on a cluster when they end or fail; vLLM itself is not needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import ray
from ray.exceptions import RayTaskError

from exvad.encoders.engine import EngineError
from exvad.pipeline.stages.vllm_engine import engines_running
from tests.helpers.ray_sessions import fake_cluster
from tests.helpers.waiting import holds_within

pytestmark = pytest.mark.slow
VLLM_TRACEBACK = """ray::MapWorker.__init__() (pid=7, ip=192.0.2.2)
  File "/venv/lib/python3.12/site-packages/vllm/v1/engine/core_client.py", line 81, in make_client
    raise RuntimeError(
RuntimeError: Engine core initialization failed. See root cause above."""


@pytest.fixture(scope="module", autouse=True)
def four_gpus() -> Iterator[None]:
    with fake_cluster(num_cpus=1, num_gpus=4):
        yield


def test_engines_running_frees_the_gpus_of_tensor_parallel_engines() -> None:
    def free_gpus() -> Any:
        return ray.available_resources().get("GPU", 0)

    with engines_running("my/llm"):
        group = ray.util.placement_group([{"GPU": 1}] * 4)
        ray.get(group.ready())
        assert holds_within(10, lambda: free_gpus() == 0)
    assert holds_within(10, lambda: free_gpus() == 4)


def test_engines_running_describes_the_failure_of_an_engine() -> None:
    failure = RayTaskError("MapWorker.__init__", VLLM_TRACEBACK, RuntimeError("failed"))
    with (
        pytest.raises(EngineError, match=r"vLLM can't run model 'my/llm' \(RuntimeError: Engine"),
        engines_running("my/llm"),
    ):
        raise failure
    elsewhere = RayTaskError("decode", VLLM_TRACEBACK.replace("vllm", "av"), OSError("disk full"))
    with pytest.raises(RayTaskError), engines_running("my/llm"):
        raise elsewhere
