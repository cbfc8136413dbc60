"""What the stages of a pipeline share: what they take, what became of an input, what is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exvad.config import Resources
    from exvad.store.store import Stage


def actors(resources: Resources) -> dict[str, Any]:
    """Return what a stage of actors takes of the cluster, as Ray Data wants to be told."""
    import ray

    return {
        "compute": ray.data.ActorPoolStrategy(
            min_size=resources.min_actors, max_size=resources.max_actors
        ),
        "num_cpus": resources.cpus,
        "num_gpus": resources.gpus,
    }


@dataclass(frozen=True)
class Outcome:
    """What became of an input: it failed, or it is done with or without a remark."""

    video_id: str
    error: str = ""
    message: str = ""

    def to_json(self) -> str:
        """Return the text in which it travels through the pipeline."""
        return json.dumps([self.video_id, self.error, self.message])

    @classmethod
    def from_json(cls, text: str) -> Outcome:
        """Read it back."""
        return cls(*json.loads(text))

    @classmethod
    def of(cls, video_id: str, error: Exception) -> Outcome:
        """Return the outcome of an input that could not be processed."""
        return cls(video_id, type(error).__name__, str(error))


def outcomes(dataset: Any) -> Iterator[Outcome]:
    """Run a data set to its end, yielding what became of its rows as they come out."""
    for batch in dataset.iter_batches(batch_size=None, batch_format="numpy"):
        yield from map(Outcome.from_json, batch["outcome"])


def keep(stage: Stage, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows to a stage of the store.

    Raises:
        UnwritableError: it can't be written, such as on a full disk.
    """
    from exvad.store.parts import UnwritableError

    try:
        stage.append(rows)
    except OSError as problem:
        # A full disk would fail every other row too: what is done is kept, the rest can wait.
        raise UnwritableError(
            f"{problem.filename}: {problem.strerror}; make room and run again to go on"
        ) from problem
