"""What all actors share: requests for resources, and writing to the store.

Captioning, vision and language stages run one after another, so their actors do not need resources
at the same time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ray.data import ActorPoolStrategy

from exvad.data.storage.errors import StorageError, is_full, reason_of
from exvad.pipeline.placement import Demand, actors_demand, check_placement
from exvad.pipeline.stages.outcomes import interrupt_all
from exvad.store.parts import UnwritableError

if TYPE_CHECKING:
    from exvad.config import Config, EngineConfig, Resources
    from exvad.store.store import Stage


def actor_options(resources: Resources) -> dict[str, Any]:
    """Return the arguments of `map_batches` that request the resources of a pool of actors."""
    return {
        "compute": ActorPoolStrategy(min_size=resources.min_actors, max_size=resources.max_actors),
        "num_cpus": resources.cpus,
        "num_gpus": resources.gpus,
    }


def decoding_demand(config: Config) -> Demand:
    """Return the demand of the smallest number of decoding tasks, which is one."""
    return Demand("decoding task", "stages.decode_cpus", config.stages.decode_cpus)


def engine_demand(setting: str, resources: Resources, engine: EngineConfig) -> Demand:
    """Return the demand of one vLLM engine.

    Args:
        setting: the configuration key of the resources, such as `stages.language`.
        resources: the resources of each worker of the engine.
        engine: the settings of the engine.
    """
    workers = engine.tensor_parallel
    return Demand("engine worker", setting, resources.cpus, resources.gpus, workers)


def check_stages(config: Config) -> None:
    """Refuse stages that the cluster can never run, before any of them starts.

    Args:
        config: the resources of the stages.

    Raises:
        PlacementError: a stage cannot run even with the smallest number of actors.
    """
    stages, captioner, llm = config.stages, config.captioner, config.llm
    decoding, text = decoding_demand(config), actors_demand("stages.text", stages.text)
    if captioner.backend == "vllm":
        engine = engine_demand("stages.vision", stages.vision, captioner.engine)
        check_placement("captioning", [engine, decoding, text])
    one_actor = {"min_actors": 1}
    vision = actors_demand("stages.vision", stages.vision.model_copy(update=one_actor))
    check_placement("encoding and captioning", [vision, decoding])
    if llm.backend == "vllm":
        engine = engine_demand("stages.language", stages.language, llm.engine)
        check_placement("cleaning and explaining", [engine, text, text])
    else:
        language = actors_demand("stages.language", stages.language.model_copy(update=one_actor))
        check_placement("cleaning and explaining", [language])


def append_rows(
    stage: Stage, rows: Sequence[Mapping[str, Any]], outcomes: Sequence[str]
) -> list[str]:
    """Append the rows of a batch to a stage of the store.

    Args:
        stage: the stage.
        rows: the rows; none writes nothing.
        outcomes: the outcomes of the batch, as JSON.

    Returns:
        The outcomes. If storage fails, those of the inputs that had succeeded are interruptions:
        the inputs are not done and not failed.

    Raises:
        UnwritableError: the disk is full. That stops the job, as every other row would fail too.
    """
    try:
        stage.append(rows)
    except StorageError as error:
        return interrupt_all(outcomes, error)
    except OSError as error:
        if is_full(error):
            raise UnwritableError.from_os_error(error) from error
        place, reason = str(error.filename), reason_of(error)
        return interrupt_all(outcomes, StorageError(place, reason))
    return list(outcomes)
