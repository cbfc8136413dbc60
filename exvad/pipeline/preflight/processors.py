"""GPUs and memory: what the stages of a job need beside what there is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exvad.data.storage.packaged import PACKAGE_PREFIX
from exvad.encoders.memory_needs import ModelMemory, model_memory
from exvad.pipeline.preflight.findings import Finding, gib

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.encoders.model_files import ModelKind
    from exvad.pipeline.preflight.needs import Stage

INSTRUCTION_TOKENS = 400  # of the prompts P_S and P_C that ship with exvad
ENGINE_SHARE = 0.9  # of a GPU's memory that vLLM takes by default


@dataclass(frozen=True)
class Processors:
    """What stages can run on.

    Args:
        place: where, as the end of a sentence: `on this machine`.
        gpus: the number of GPUs.
        gpu_bytes: memory of the smallest GPU; None if it is unknown.
        host_bytes: memory of the machine; None if it is unknown.
        may_grow: whether nodes with GPUs may join later.
    """

    place: str
    gpus: float
    gpu_bytes: int | None = None
    host_bytes: int | None = None
    may_grow: bool = False


def local_processors(counts_gpus: bool) -> Processors:
    """Return the processors of this machine.

    Args:
        counts_gpus: whether to ask torch for GPUs, which takes seconds the first time.
    """
    host_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    place = "on this machine"
    if not counts_gpus:
        return Processors(place, 0, None, host_bytes)
    import torch

    sizes = [
        torch.cuda.get_device_properties(index).total_memory
        for index in range(torch.cuda.device_count())
    ]
    return Processors(place, len(sizes), min(sizes, default=None), host_bytes)


def check_stage(config: Config, stage: Stage, processors: Processors) -> Finding:
    """Check that the processes of a stage get their GPUs, and that the weights fit.

    Args:
        config: the models.
        stage: the stage.
        processors: what it can run on.
    """
    what, place = " ".join((stage.setting, *stage.models)), processors.place
    uses_gpu = stage.gpus > 0 and not config.device.startswith("cpu")
    needed = stage.gpus * stage.shards
    if needed > processors.gpus and not processors.may_grow:
        has = f"only {processors.gpus:g}" if processors.gpus else "none"
        where = "more" if processors.gpus else "some"
        on_cpu = "train.gpu=false" if not stage.models else f"{stage.setting}.gpus=0"
        memory = f" ({_memory_need(config, stage, uses_gpu)[2]})" if stage.models else ""
        return Finding(
            what,
            False,
            f"asks for {needed:g} GPU{memory}, and there is {has} {place}: run it where there are "
            f"{where}, or set {on_cpu}",
        )
    if config.device.startswith("cuda") and stage.models and not stage.gpus:
        return Finding(
            what,
            False,
            f"device={config.device}, but no GPU is reserved: set {stage.setting}.gpus=1",
        )
    if not stage.models:
        return Finding(what, True, f"{needed:g} GPU {place}")
    if not uses_gpu and all(_is_packaged(config, kind) for kind in stage.models):
        return Finding(what, True, "small models on the CPU")
    return _check_memory(config, stage, processors, what, uses_gpu)


def _check_memory(
    config: Config, stage: Stage, processors: Processors, what: str, uses_gpu: bool
) -> Finding:
    """Compare what the models of a stage need with the memory of its device."""
    weights, batch, need = _memory_need(config, stage, uses_gpu)
    device = "GPU" if uses_gpu else "host"
    available = processors.gpu_bytes if uses_gpu else processors.host_bytes
    if available is None:
        return Finding(what, True, f"{need}; the memory of the {device} is unknown")
    if uses_gpu:
        share = min(1.0, stage.gpus) * (ENGINE_SHARE if stage.is_engine else 1)
        available = int(available * share)
    need = f"{need}; {gib(available)} of {device} memory {processors.place}"
    if weights > available:
        return Finding(what, False, f"{need}: the weights do not fit; {_advice(stage)}")
    if batch > available and stage.is_engine:
        section = stage.models[0]
        return Finding(what, False, f"{need}: set {section}.engine.max_model_len=4096")
    if batch > available:
        return Finding(what, True, f"{need}: lower batch_size if memory runs out")
    return Finding(what, True, need)


def _memory_need(config: Config, stage: Stage, uses_gpu: bool) -> tuple[float, float, str]:
    """Return the bytes of the weights, those with a full batch, and both as text."""
    weights, batch, unknown = 0.0, 0.0, []
    for kind in stage.models:
        try:
            memory = model_memory(config, kind, uses_gpu)
        except ValueError as error:
            unknown.append(str(error))
            continue
        weights += memory.weights / stage.shards
        batch += _batch_bytes(config, kind, memory, stage, uses_gpu) / stage.shards
    parts = [f"weights {gib(weights)}, with a full batch about {gib(batch)}"] if weights else []
    parts += [f"memory unknown: {reason}" for reason in unknown]
    return weights, batch, "; ".join(parts)


def _batch_bytes(
    config: Config, kind: ModelKind, memory: ModelMemory, stage: Stage, uses_gpu: bool
) -> int:
    """Return what a model needs while it computes its largest batch."""
    if kind == "clip":
        return memory.for_batch(config.clip.batch_size, 0, 0)
    section = config.captioner if kind == "captioner" else config.llm
    if stage.is_engine:
        # vLLM starts only if its cache has room for one sequence of the maximum length.
        longest = section.engine.max_model_len or memory.longest_sequence
        return memory.weights + memory.cache_per_token * longest
    if kind == "captioner":
        captioner = config.captioner
        prompt = len(captioner.prompt.split()) + INSTRUCTION_TOKENS // 10
        return memory.for_batch(captioner.batch_size, prompt, captioner.max_new_tokens)
    llm = config.llm
    prompt = config.captioner.per_video * config.captioner.max_new_tokens + INSTRUCTION_TOKENS
    sequences = llm.batch_size
    if uses_gpu:
        tokens = prompt + llm.max_new_tokens
        sequences = max(1, min(sequences, llm.batch_tokens // tokens))
    return memory.for_batch(sequences, prompt, llm.max_new_tokens)


def _is_packaged(config: Config, kind: ModelKind) -> bool:
    names = {
        "clip": config.clip.model,
        "captioner": config.captioner.model,
        "llm": config.llm.model,
    }
    return names[kind].startswith(PACKAGE_PREFIX)


def _advice(stage: Stage) -> str:
    if stage.is_engine:
        return f"raise {stage.models[0]}.engine.tensor_parallel, or take a smaller model"
    return "take a smaller model, a larger device, or an endpoint (backend openai)"
