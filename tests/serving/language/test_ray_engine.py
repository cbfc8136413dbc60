"""The engine of vLLM in Ray Serve: its settings, its events, and, in a lane of its own, its words.

vLLM pins another torch, so it has an environment of its own, which `make test-vllm` makes.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
from ray import serve

from exvad.config import load_config
from exvad.encoders.llm import TransformersLLM
from exvad.serving.deployments.one_node import on_node
from exvad.serving.language.ray_engine import engine_settings, read_events
from exvad.serving.settings import Replicas
from tests.helpers.processes import ROOT
from tests.helpers.ray_sessions import cluster_of_nodes
from tests.helpers.serve_sessions import session_with_serve

VLLM = Path(os.environ.get("EXVAD_VLLM", ROOT / ".venv-vllm")) / "bin"
PROMPTS = [
    "1: a person in red walks in a park by day\nrecord:",
    "1: a person in red sets fire to a bin in a park by day\nrecord:",
]
SERVE_TWO = f"""
import asyncio, ray
from ray import serve
from exvad.config import load_config
from exvad.serving.deployments.explainer import build_explainer
from exvad.serving.settings import Replicas

config = load_config("demo", ["llm.backend=vllm", "llm.engine.max_model_len=1024",
                              "llm.structured=false"])
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
serve.start(proxy_location="Disabled")  # another server may have the port
explainer = build_explainer(config, ("Normal", "Arson"), Replicas(cpus=1), {{}})
handle = serve.run(explainer, route_prefix=None)
events = []

async def ask(number, prompt):
    async for answers in handle.options(stream=True).stream.remote([prompt]):
        if answers[0].text and f"{{number}} began" not in events:
            events.append(f"{{number}} began")
    events.append(f"{{number}} ended")
    print("answer", number, answers[0].text)

async def both():
    await asyncio.gather(*(ask(*item) for item in enumerate({PROMPTS!r})))

asyncio.run(both())
print("order", events)
serve.shutdown()
ray.shutdown()
"""


def node_of_this_process() -> str:
    return str(ray.get_runtime_context().get_node_id())


class WhereItRuns:
    """A deployment with a worker beside it, as an engine has."""

    def nodes(self) -> list[str]:
        """Return the nodes of the replica and of a task in its placement group."""
        task = ray.remote(num_cpus=1)(node_of_this_process)
        return [node_of_this_process(), ray.get(task.remote())]


def test_engine_settings_reserve_a_share_of_a_gpu_for_each_worker() -> None:
    config = load_config(
        "demo", ["device=auto", "llm.backend=vllm", "llm.engine.tensor_parallel=2"]
    )
    settings = engine_settings(config, Replicas(cpus=0.5, gpus=1, max_replicas=3, concurrency=20))
    assert settings["placement_group_config"]["bundles"] == [{"CPU": 0.5, "GPU": 1}] * 2
    assert settings["engine_kwargs"]["tensor_parallel_size"] == 2
    assert settings["engine_kwargs"]["gpu_memory_utilization"] == 0.9
    assert settings["engine_kwargs"]["max_model_len"] == 1024, "the model's own limit"
    assert settings["deployment_config"]["autoscaling_config"] == {
        "min_replicas": 1,
        "max_replicas": 3,
        "target_ongoing_requests": 20,
    }


def test_engine_settings_keep_all_workers_on_the_node_of_the_server() -> None:
    config = load_config("demo", ["llm.backend=vllm", "llm.engine.tensor_parallel=2"])
    settings = engine_settings(config, Replicas(cpus=1), on_node("abc"))
    assert settings["placement_group_config"]["strategy"] == "STRICT_PACK"
    selector = settings["deployment_config"]["placement_group_bundle_label_selector"]
    assert selector == [{"ray.io/node-id": "abc"}]
    anywhere = engine_settings(config, Replicas(cpus=1), on_node(""))
    assert "strategy" not in anywhere["placement_group_config"]
    assert "placement_group_bundle_label_selector" not in anywhere["deployment_config"]


@pytest.mark.slow
def test_ray_serve_places_an_engine_by_these_settings_on_the_node() -> None:
    config = load_config("demo", ["llm.backend=vllm", "llm.engine.tensor_parallel=2"])
    with cluster_of_nodes(4, 4) as cluster, session_with_serve(cluster.address):
        nodes = [node["NodeID"] for node in ray.nodes() if node["Resources"].get("CPU")]
        assert len(nodes) == 2
        for node in nodes:
            settings = engine_settings(config, Replicas(cpus=1), on_node(node))
            placement = settings["placement_group_config"]
            # As Ray's deployment of a language model merges them.
            deployment = serve.deployment(WhereItRuns).options(
                **settings["deployment_config"],
                placement_group_bundles=placement["bundles"],
                placement_group_strategy=placement["strategy"],
            )
            handle = serve.run(deployment.bind(), name=node, route_prefix=None)
            assert handle.nodes.remote().result() == [node, node]


def test_engine_settings_without_gpus_run_on_the_cpu() -> None:
    config = load_config("demo", ["llm.backend=vllm"])
    settings = engine_settings(config, Replicas(cpus=1))
    assert settings["placement_group_config"]["bundles"] == [{"CPU": 1}]
    assert "gpu_memory_utilization" not in settings["engine_kwargs"]


def test_read_events_finds_texts_and_errors() -> None:
    error = SimpleNamespace(model_dump=lambda: {"error": {"message": "too long", "code": 400}})
    part = ['data: {"choices": [{"text": "a"}]}\n\ndata: [DONE]\n\n', error]
    assert list(read_events(part)) == [
        {"choices": [{"text": "a"}]},
        {"error": {"message": "too long", "code": 400}},
    ]
    assert list(read_events(error)) == [{"error": {"message": "too long", "code": 400}}]


@pytest.mark.vllm
@pytest.mark.timeout(600)
def test_engine_answers_two_callers_at_once_with_the_words_of_transformers() -> None:
    environment = {
        **os.environ,
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }
    finished = subprocess.run(
        [str(VLLM / "python"), "-W", "ignore", "-c", SERVE_TWO],
        env=environment,
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    llm = TransformersLLM("package:llm", "cpu", "float32", max_new_tokens=96)
    for number, answer in enumerate(llm.complete(PROMPTS)):
        assert f"answer {number} {answer.text}" in finished.stdout
    (order,) = [line for line in finished.stdout.splitlines() if line.startswith("order")]
    last_began = max(order.index("0 began"), order.index("1 began"))
    assert last_began < min(order.index("0 ended"), order.index("1 ended"))
