"""What each job needs: models, processors with their models, folders and data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from exvad.data.storage.places import resolve_place
from exvad.laam.run_labels import IMPORTED_LABELS_FILE

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.encoders.model_files import ModelKind

Job = Literal["preprocess", "labels", "train", "evaluate", "sweep", "ablate", "compare"]


@dataclass(frozen=True)
class Stage:
    """A group of processes that compute on a device.

    Args:
        setting: the section or field that sets their resources.
        gpus: GPUs that each process reserves; a fraction shares one.
        models: the frozen models that each process holds.
        shards: processes that work together and, if they hold models, share one copy.
        is_engine: whether vLLM runs the models.
    """

    setting: str
    gpus: float
    models: tuple[ModelKind, ...] = ()
    shards: int = 1
    is_engine: bool = False


@dataclass(frozen=True)
class Needs:
    """What a job needs.

    Args:
        driver_models: models that the process of the command loads.
        worker_models: models that actors of Ray load.
        stages: the groups of processes.
        writes_store: whether the job writes features.
        reads_videos: whether the job reads videos.
    """

    driver_models: tuple[ModelKind, ...] = ()
    worker_models: tuple[ModelKind, ...] = ()
    stages: tuple[Stage, ...] = ()
    writes_store: bool = False
    reads_videos: bool = False


def job_needs(config: Config, job: Job | None) -> Needs:
    """Return what a job needs.

    Args:
        config: the configuration of the run.
        job: the job; None for all jobs together.
    """
    if job is None:
        stages = (*preprocessing_stages(config), *_training_stage(config, 1, config.train.workers))
        kinds: tuple[ModelKind, ...] = ("clip", "captioner", "llm")
        return Needs((), kinds, stages, writes_store=True, reads_videos=True)
    if job == "preprocess":
        # The driver tokenizes for vLLM's stages.
        driver: list[ModelKind] = ["captioner"] if config.captioner.backend == "vllm" else []
        driver += ["llm"] if config.llm.backend == "vllm" else []
        return Needs(
            driver_models=tuple(driver),
            worker_models=("clip", "captioner", "llm"),
            stages=preprocessing_stages(config),
            writes_store=True,
            reads_videos=True,
        )
    has_imported_labels = resolve_place(config.in_run(IMPORTED_LABELS_FILE)).exists()
    if job == "labels":
        if has_imported_labels or config.labels.file:
            return Needs()
        if config.llm.backend == "vllm":  # the driver tokenizes
            return Needs(driver_models=("llm",), stages=_language_stages(config))
        return Needs(worker_models=("llm",))
    if job == "evaluate":
        return Needs()
    clip: tuple[ModelKind, ...] = () if has_imported_labels else ("clip",)
    if job == "train":
        return Needs(driver_models=clip, stages=_training_stage(config, 1, config.train.workers))
    return Needs(driver_models=clip, stages=_training_stage(config, config.tune.gpus))


def preprocessing_stages(config: Config) -> tuple[Stage, ...]:
    """Return the stages of preprocessing that hold models."""
    gpus = config.stages.vision.gpus
    if config.captioner.backend == "vllm":
        shards = config.captioner.engine.tensor_parallel
        engine = Stage("stages.vision", gpus, ("captioner",), shards, is_engine=True)
        return (engine, Stage("stages.vision", gpus, ("clip",)), *_language_stages(config))
    held: tuple[ModelKind, ...] = ("clip", "captioner")
    models = held if config.captioner.backend == "transformers" else held[:1]
    return (Stage("stages.vision", gpus, models), *_language_stages(config))


def _language_stages(config: Config) -> tuple[Stage, ...]:
    gpus, backend = config.stages.language.gpus, config.llm.backend
    if backend == "vllm":
        shards = config.llm.engine.tensor_parallel
        return (Stage("stages.language", gpus, ("llm",), shards, is_engine=True),)
    held: tuple[ModelKind, ...] = ("clip", "llm") if backend == "transformers" else ("clip",)
    return (Stage("stages.language", gpus, held),)


def _training_stage(config: Config, gpus: float, workers: int = 1) -> tuple[Stage, ...]:
    stage = Stage("train.gpu", gpus, shards=workers)
    return (stage,) if config.train.gpu else ()
