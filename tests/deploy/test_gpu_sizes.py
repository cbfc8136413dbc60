"""The GPUs that the clusters ask for hold what is loaded on them, by the models' sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from open_clip import get_model_config

from exvad.config import Config, build_config, load_config
from exvad.encoders.memory_needs import ModelMemory, clip_memory, transformers_memory
from tests.helpers.kustomize import pod_specs, render
from tests.helpers.paper_models import BLIP_2, LLAMA_8B

ROOT = Path(__file__).resolve().parents[2]
# Usable memory in GiB, by what the providers call machines and cards.
A10G, L4, A100, L40S = 22.05, 22.0, 39.5, 44.4
GPUS = {
    "g5.2xlarge": A10G,
    "g5.4xlarge": A10G,
    "g6.4xlarge": L4,
    "g6e.2xlarge": L40S,
    "g6e.4xlarge": L40S,
    "nvidia-l4": L4,
    "nvidia-tesla-a100": A100,
}
ACCELERATOR = "cloud.google.com/gke-accelerator"
GIB = 2**30


@pytest.fixture(scope="module")
def models() -> dict[str, ModelMemory]:
    """The memory of the models of the run."""
    config = load_config("ucf_crime")
    return {
        "clip": clip_memory(get_model_config(config.clip.model), "float16"),
        "captioner": transformers_memory(BLIP_2, "captioner", "float16"),
        "llm": transformers_memory(LLAMA_8B, "llm"),
    }


def cards(overlay: str, kind: str) -> list[float]:
    """Return the memory of the GPUs on which the pods of an overlay may run, in GiB.

    Args:
        overlay: `eks` or `gke`.
        kind: `RayJob` or `RayService`.
    """
    objects = render(overlay)
    selectors = [
        pod["nodeSelector"]
        for thing in objects
        if thing["kind"] == kind
        for _, _, pod in pod_specs(thing)
        if "nvidia.com/gpu" in pod["containers"][0]["resources"]["limits"]
    ]
    assert selectors
    names: set[str] = set()
    for selector in selectors:
        if ACCELERATOR in selector:
            names.add(selector[ACCELERATOR])
        else:
            names |= set(machines(objects, selector["exvad/nodes"]))
    return [GPUS[name] for name in names]


def machines(objects: tuple[dict[str, Any], ...], pool: str) -> list[str]:
    """Return the types of machines of a pool."""
    (spec,) = [
        thing["spec"]["template"]["spec"]
        for thing in objects
        if thing["kind"] == "NodePool" and thing["metadata"]["name"] == f"exvad-{pool}"
    ]
    values: list[str]
    (values,) = [
        requirement["values"]
        for requirement in spec["requirements"]
        if requirement["key"] == "node.kubernetes.io/instance-type"
    ]
    return values


def run_config(overlay: str) -> Config:
    """Return the configuration of the run of an overlay."""
    path = ROOT / "deploy" / "overlays" / overlay / "run.yaml"
    return build_config(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize("overlay", ["eks", "gke"])
def test_gpu_of_a_job_holds_each_stage_with_a_full_batch(
    overlay: str, models: dict[str, ModelMemory]
) -> None:
    config = run_config(overlay)
    clip, captioner, llm = models["clip"], models["captioner"], models["llm"]
    vision = clip.for_batch(config.clip.batch_size, 0, 0) + captioner.for_batch(
        config.captioner.batch_size, 8, config.captioner.max_new_tokens
    )
    # A batch has at most llm.batch_tokens tokens, prompts and answers together.
    per_token = llm.cache_per_token + llm.activations_per_token
    language = clip.weights + llm.weights + config.llm.batch_tokens * per_token
    assert min(cards(overlay, "RayJob")) > max(vision, language) / GIB


@pytest.mark.parametrize("overlay", ["eks", "gke"])
def test_gpu_of_the_server_holds_the_three_models_and_one_of_24_gb_does_not(
    overlay: str, models: dict[str, ModelMemory]
) -> None:
    weights = sum(model.weights for model in models.values()) / GIB
    assert weights > A10G
    # Room for batches, as each of the models has its own.
    assert min(cards(overlay, "RayService")) > weights + 8


def test_gpu_of_24_gb_holds_the_server_without_the_language_model(
    models: dict[str, ModelMemory],
) -> None:
    rest = models["clip"].weights + models["captioner"].weights
    assert rest / GIB + 8 < L4


def test_workers_of_the_aws_cluster_have_a_gpu_for_jobs() -> None:
    cluster = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    worker = cluster["available_node_types"]["gpu_worker"]["node_config"]
    assert GPUS[worker["InstanceType"]] in cards("eks", "RayJob")
