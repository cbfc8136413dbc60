"""One epoch of training in one process: batches, dropout of text and adapter, gradient steps.

N videos · B videos of a batch · K of them that are adapted · T snippets · D feature width
C classes
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from exvad.modeling.losses import LossTerms, exvad_loss
from exvad.store.examples import Batch, Example, collate
from exvad.training.batches import worker_batches
from exvad.training.data import labels_of
from exvad.training.prefetch import prefetched

if TYPE_CHECKING:
    from exvad.config import TrainConfig
    from exvad.modeling.exvad import Output


# A step of Adam changes the output of a layer in proportion to its width, so that a rate which
# suits one width is too large for a greater one.
RATE_TIMES_WIDTH = 0.064


class NotFiniteError(ValueError):
    """A loss is NaN or infinite; the message names the videos of the batch."""


@dataclass
class TrainerState:
    """The state of a trainer after an epoch, on the CPU, without the weights of the network.

    Args:
        epoch: index of the last finished epoch.
        optimizer: state of the optimizer.
        scheduler: state of the learning-rate scheduler.
    """

    epoch: int
    optimizer: dict[str, Any]
    scheduler: dict[str, Any]


class Trainer:
    """Trains one replica of the network on its share of the videos.

    Args:
        network: the network, wrapped for data parallelism if there are several workers.
        label_CD: label embeddings F_L.
        config: batch size, learning rate and the like.
        tau: τ of equations 8 and 9.
        device: the device of the network.
        rank: index of this worker.
        world_size: number of workers.
        adapter_dropout: share of the videos of a step that do not go through the LGT-Adapter.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        label_CD: torch.Tensor,
        config: TrainConfig,
        tau: float,
        device: torch.device,
        rank: int = 0,
        world_size: int = 1,
        adapter_dropout: float = 0.0,
    ) -> None:
        self.network = network
        self.label_CD = label_CD.to(device)
        self.config = config
        self.tau = tau
        self.device = device
        self.rank, self.world_size = rank, world_size
        self.adapter_dropout = adapter_dropout
        rate = config.learning_rate or RATE_TIMES_WIDTH / label_CD.shape[1]
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=rate, weight_decay=config.weight_decay
        )
        self.scheduler = torch.optim.lr_scheduler.MultiStepLR(
            self.optimizer, config.milestones, gamma=0.1
        )

    def train_epoch(self, examples: Sequence[Example], epoch: int) -> dict[str, float]:
        """Train one epoch and return the mean of each loss term.

        Args:
            examples: all training examples, with labels; those that other workers own (see
                `video_owners`) are not read.
            epoch: index of the epoch; with the seed it decides the batches.

        Raises:
            NotFiniteError: a loss is NaN or infinite.
        """
        self.network.train()
        video_ids, targets_NC = labels_of(examples)
        sums: dict[str, float] = {}
        config = self.config
        batches = worker_batches(
            video_ids, targets_NC, config.batch_size, config.balanced, config.seed, epoch,
            self.rank, self.world_size,
        )  # fmt: skip
        rng = np.random.default_rng([config.seed, epoch, self.rank, 1])
        adapter_rng = np.random.default_rng([config.seed, epoch, self.rank, 2])
        padded = prefetched(collate([examples[row] for row in batch]) for batch in batches)
        with closing(padded):  # an error in a step stops the thread
            for batch in padded:
                kept = drop_text(batch.to(self.device), config.text_dropout, rng)
                adapted_K = draw_adapted(len(batch.video_ids), self.adapter_dropout, adapter_rng)
                terms = self._step(kept, adapted_K, epoch)
                for name, value in zip(terms._fields, terms, strict=True):
                    sums[name] = sums.get(name, 0.0) + value.item()
        self.scheduler.step()
        return {name: total / len(batches) for name, total in sums.items()}

    def _step(self, batch: Batch, adapted_K: torch.Tensor | None, epoch: int) -> LossTerms:
        half = self.config.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            output: Output = self.network(
                batch.visual_BTD,
                batch.lengths_B,
                batch.text,
                self.label_CD,
                None if adapted_K is None else adapted_K.to(self.device),
            )
        terms = exvad_loss(
            output,
            batch.targets_BC,
            batch.lengths_B,
            self.tau,
            self.config.lambda_,
            self.config.divisor,
        )
        if not torch.isfinite(terms.total):
            names = ", ".join(batch.video_ids[:8])
            raise NotFiniteError(
                f"the loss is {terms.total.item()} in epoch {epoch + 1} on the videos {names}…: "
                "lower train.learning_rate, or check the features of these videos"
            )
        self.optimizer.zero_grad(set_to_none=True)
        terms.total.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return terms

    def state(self, epoch: int) -> TrainerState:
        """Return the state after the epoch with this index."""
        optimizer, scheduler = self.optimizer.state_dict(), self.scheduler.state_dict()
        return TrainerState(epoch, _to_cpu(optimizer), _to_cpu(scheduler))

    def load_state(self, state: TrainerState) -> None:
        """Restore a state, to continue with the next epoch."""
        self.optimizer.load_state_dict(state.optimizer)
        self.scheduler.load_state_dict(state.scheduler)


def _to_cpu(state: Any) -> Any:
    """Move the tensors of a nested state to the CPU; a machine without GPUs may load it."""
    if isinstance(state, dict):
        return {name: _to_cpu(value) for name, value in state.items()}
    if isinstance(state, list):
        return [_to_cpu(value) for value in state]
    return state.cpu() if isinstance(state, torch.Tensor) else state


def drop_text(batch: Batch, share: float, rng: np.random.Generator) -> Batch:
    """Set the text features of randomly drawn videos to zero (text dropout).

    One text describes a whole video and nearly determines its label. A network that always has the
    text may ignore the frames; text dropout makes it learn where in the video an anomaly is.

    Args:
        batch: the batch; without text it is returned as it is.
        share: probability that a video loses its text, 0 to 1.
        rng: draws the videos.
    """
    if batch.text is None or share == 0:
        return batch
    kept_B = torch.from_numpy(rng.random(len(batch.video_ids)) >= share).to(batch.text)
    return replace(batch, text=batch.text * kept_B.view(-1, *[1] * (batch.text.ndim - 1)))


def draw_adapted(count: int, share: float, rng: np.random.Generator) -> torch.Tensor | None:
    """Draw the videos of a batch that go through the LGT-Adapter (adapter dropout).

    The adapter sees a whole video at once, and soon overfits to the videos of a small data set.
    Videos that are trained without it teach the rest of the network to judge single snippets.

    Args:
        count: videos of the batch, B.
        share: share of the videos that do not go through it, 0 to 1; one always does.
        rng: draws the videos.

    Returns:
        Their indices in ascending order, [K] int64; None for all.
    """
    if share == 0:
        return None
    adapted = max(1, round((1 - share) * count))
    return torch.from_numpy(np.sort(rng.permutation(count)[:adapted]))
