"""The share of a GPU that each replica reserves, if the settings leave it to exvad."""

# No postponed annotations here, as in the other modules of this folder.

import math
from dataclasses import dataclass

import ray

from exvad.config import Config
from exvad.encoders.memory_needs import model_memory
from exvad.encoders.model_files import ModelKind
from exvad.pipeline.placement import Demand
from exvad.serving.settings import Replicas, ServerSettings

GIB = 2**30
STEP = 0.05  # shares are multiples of this
OVERHEAD = 1.1  # memory of a model beside its weights and its cache
KINDS: dict[ModelKind, str] = {"clip": "clip", "captioner": "captioner", "llm": "explainer"}


@dataclass(frozen=True)
class Gpus:
    """The GPUs for the replicas.

    Args:
        count: their number.
        memory: bytes of the smallest of them; None if it is unknown.
    """

    count: float
    memory: int | None = None


def find_gpus() -> Gpus:
    """Return the GPUs of the cluster if Ray runs, or else those of this machine."""
    import torch

    devices = range(torch.cuda.device_count())
    sizes = [torch.cuda.get_device_properties(device).total_memory for device in devices]
    if not ray.is_initialized():
        return Gpus(len(sizes), min(sizes, default=None))
    return Gpus(ray.cluster_resources().get("GPU", 0), min(sizes, default=None))


def share_gpus(config: Config, settings: ServerSettings, gpus: Gpus) -> ServerSettings:
    """Return the settings with the GPUs per replica filled in where they leave that open.

    Without GPUs, and with `device: cpu`, that is 0. Otherwise a model reserves the share of a GPU
    that its weights need, or, if the size of any model is unknown, all models the same share.

    Args:
        config: the models.
        settings: settings of the server.
        gpus: the GPUs there are.

    Raises:
        ValueError: the models do not fit the GPUs.
    """
    sections = {name: getattr(settings, name) for name in ("decoder", "analyst", *KINDS.values())}
    open_kinds = [
        kind
        for kind, name in KINDS.items()
        if sections[name].gpus is None and not _is_remote(config, kind)
    ]
    shares = dict.fromkeys(open_kinds, 0.0)
    if gpus.count and not config.device.startswith("cpu"):
        taken = sum(_total(replicas) for replicas in sections.values())
        shares = _shares(config, open_kinds, gpus, max(0.0, gpus.count - taken), settings)
    chosen = {KINDS[kind]: share for kind, share in shares.items()}
    update = {
        name: replicas.model_copy(update={"gpus": chosen.get(name, 0.0)})
        for name, replicas in sections.items()
        if replicas.gpus is None
    }
    return settings.model_copy(update=update)


def demands(config: Config, settings: ServerSettings, front_cpus: float) -> list[Demand]:
    """Return what the replicas of the start reserve.

    Args:
        config: the models.
        settings: settings of the server, with all GPUs filled in.
        front_cpus: CPU cores of the front.
    """
    listed = [Demand("front", "the front", front_cpus)]
    for name in ("decoder", "clip", "captioner", "explainer", "analyst"):
        replicas: Replicas = getattr(settings, name)
        count = replicas.max_replicas if name == "analyst" else replicas.min_replicas
        count *= _shards(config) if name == "explainer" else 1
        listed.append(Demand("replica", name, replicas.cpus, replicas.gpus or 0, count))
    return listed


def _shares(
    config: Config,
    kinds: list[ModelKind],
    gpus: Gpus,
    free: float,
    settings: ServerSettings,
) -> dict[ModelKind, float]:
    """Return the share of a GPU of each model."""
    shards = {kind: _shards(config) if kind == "llm" else 1 for kind in kinds}
    counts = {kind: getattr(settings, KINDS[kind]).min_replicas * shards[kind] for kind in kinds}
    replicas = sum(counts.values())
    try:
        needs = {kind: OVERHEAD * _bytes(config, kind) / shards[kind] for kind in kinds}
    except ValueError:
        needs = {}
    if gpus.memory is None or not needs:
        equal = 1.0 if free >= replicas else math.floor(free / max(replicas, 1) * 100) / 100
        return dict.fromkeys(kinds, equal)
    shares = {
        kind: max(STEP, round(math.ceil(need / gpus.memory / STEP) * STEP, 2))
        for kind, need in needs.items()
    }
    total = sum(shares[kind] * counts[kind] for kind in kinds)
    if total > free + 1e-6 or any(share > 1 for share in shares.values()):
        listed = ", ".join(f"{kind} {need / GIB:.1f} GiB" for kind, need in needs.items())
        raise ValueError(
            f"the models do not fit the GPUs of the server ({listed}; {free:g} free GPUs of "
            f"{gpus.memory / GIB:.1f} GiB): run the language model elsewhere (models: "
            "{llm.backend: openai, llm.endpoint.base_url: …}), take a quantised or smaller one "
            "(models: {llm.model: …}), or add a GPU"
        )
    return shares


def _bytes(config: Config, kind: ModelKind) -> float:
    memory = model_memory(config, kind, uses_gpu=True)
    cache = memory.cache_per_token * config.llm.batch_tokens if kind == "llm" else 0
    return memory.weights + cache


def _shards(config: Config) -> int:
    """Return the number of GPUs that share one copy of the language model."""
    return config.llm.engine.tensor_parallel if config.llm.backend == "vllm" else 1


def _is_remote(config: Config, kind: ModelKind) -> bool:
    backends = {"captioner": config.captioner.backend, "llm": config.llm.backend}
    return backends.get(kind) == "openai"


def _total(replicas: Replicas) -> float:
    return (replicas.gpus or 0) * replicas.min_replicas
