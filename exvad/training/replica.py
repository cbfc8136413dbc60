"""One of the data-parallel workers that train a network together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from exvad.encoders.devices import resolve_device

if TYPE_CHECKING:
    from exvad.config import TrainConfig
    from exvad.inference.prediction import Prediction


@dataclass(frozen=True)
class Replica:
    """One of the data-parallel workers that train a network together.

    Args:
        device: the device it trains on.
        rank: its index.
        world_size: number of workers.
        wrap: wraps the network for data parallelism.
        gather: the predictions of this worker → those of every worker, by rank; all call it.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    rank: int = 0
    world_size: int = 1
    wrap: Callable[[torch.nn.Module], torch.nn.Module] = lambda network: network
    gather: Callable[[list[Prediction]], list[list[Prediction]]] = lambda predictions: [predictions]

    @classmethod
    def alone(cls, config: TrainConfig) -> Replica:
        """Return the only worker of a training, on the GPU of this process if `gpu` is set.

        Raises:
            ValueError: `gpu` is set and there is none.
        """
        return cls(resolve_device("cuda" if config.gpu else "cpu"))
