"""What all actors share: requests for resources, and writing to the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ray.data import ActorPoolStrategy

from exvad.store.parts import UnwritableError

if TYPE_CHECKING:
    from exvad.config import Resources
    from exvad.store.store import Stage


def actor_options(resources: Resources) -> dict[str, Any]:
    """Return the arguments of `map_batches` that request the resources of a pool of actors."""
    return {
        "compute": ActorPoolStrategy(min_size=resources.min_actors, max_size=resources.max_actors),
        "num_cpus": resources.cpus,
        "num_gpus": resources.gpus,
    }


def append_rows(stage: Stage, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append rows to a stage of the store.

    Args:
        stage: the stage.
        rows: the rows; none writes nothing.

    Raises:
        UnwritableError: the file can't be written, for example because the disk is full. That
            stops the job, as every other row would fail too.
    """
    try:
        stage.append(rows)
    except OSError as error:
        raise UnwritableError(
            f"{error.filename}: {error.strerror}; make room and run again to continue"
        ) from error
