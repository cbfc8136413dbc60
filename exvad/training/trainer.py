"""Training: the loop one worker runs. Knows torch, not Ray.

B videos of a batch · T snippets · D feature width · C classes
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from exvad.modeling.losses import LossTerms, exvad_loss
from exvad.store.examples import Batch, Example, collate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.config import TrainConfig
    from exvad.modeling.exvad import Output


class NotFiniteError(ValueError):
    """A loss is NaN or infinite: names the videos of the batch."""


def without_text(batch: Batch, share: float, rng: np.random.Generator) -> Batch:
    """Take the text from a share of the videos, drawn at random.

    The text is one for a whole video and tells its label nearly alone. A network that always has it
    need not look; one that must do without it now and then learns where in the video things happen.
    """
    if batch.text is None or share == 0:
        return batch
    kept_B = torch.from_numpy(rng.random(len(batch.video_ids)) >= share).to(batch.text)
    return replace(batch, text=batch.text * kept_B.view(-1, *[1] * (batch.text.ndim - 1)))


def epoch_batches(
    targets_NC: NDArray[np.float32], batch_size: int, balanced: bool, seed: int, epoch: int
) -> list[NDArray[np.intp]]:
    """Draw the batches of one epoch: every video once, in an order that seed and epoch decide.

    Balanced batches share out normal and abnormal videos evenly over the epoch's steps, so that no
    video is repeated and every batch has both.
    """
    rng = np.random.default_rng([seed, epoch])
    count = len(targets_NC)
    steps = max(1, math.ceil(count / batch_size))
    groups = [np.arange(count)]
    if balanced:
        normal_N = targets_NC[:, 0] > 0
        groups = [np.flatnonzero(normal_N), np.flatnonzero(~normal_N)]
    parts = [np.array_split(rng.permutation(group), steps) for group in groups]
    batches = [np.concatenate(shares) for shares in zip(*parts, strict=True)]
    return [batches[step] for step in rng.permutation(steps) if len(batches[step])]


@dataclass
class Progress:
    """What training has done so far; with the model's weights, all it takes to go on."""

    epoch: int
    optimizer: dict[str, Any]
    scheduler: dict[str, Any]


class Trainer:
    """Trains one replica of the network on its share of every batch.

    Args:
        network: the network, wrapped for data parallelism where there are several workers.
        label_CD: label embeddings F_L.
        config: the settings.
        tau: τ.
        device: where the network is.
        rank: this worker's number.
        world: how many workers there are.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        label_CD: torch.Tensor,
        config: TrainConfig,
        tau: float,
        device: torch.device,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.network = network
        self.label_CD = label_CD.to(device)
        self.config = config
        self.tau = tau
        self.device = device
        self.rank, self.world = rank, world
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.scheduler = torch.optim.lr_scheduler.MultiStepLR(
            self.optimizer, config.milestones, gamma=0.1
        )

    def train_epoch(self, examples: Sequence[Example], epoch: int) -> dict[str, float]:
        """Train one epoch and return the mean of each loss term.

        Raises:
            NotFiniteError: a loss is NaN or infinite.
        """
        self.network.train()
        targets_NC = np.stack([example.target_C for example in examples])
        sums: dict[str, float] = {}
        config = self.config
        batches = epoch_batches(targets_NC, config.batch_size, config.balanced, config.seed, epoch)
        rng = np.random.default_rng([config.seed, epoch, self.rank, 1])
        for batch in self._batches(examples, batches):
            terms = self._step(without_text(batch, config.text_dropout, rng), epoch)
            for name, value in zip(terms._fields, terms, strict=True):
                sums[name] = sums.get(name, 0.0) + value.item()
        self.scheduler.step()
        return {name: total / len(batches) for name, total in sums.items()}

    def _batches(
        self, examples: Sequence[Example], batches: Sequence[NDArray[np.intp]]
    ) -> Iterator[Batch]:
        for chosen in batches:
            own = chosen[self.rank :: self.world] if len(chosen) >= self.world else chosen
            yield collate([examples[index] for index in own]).to(self.device)

    def _step(self, batch: Batch, epoch: int) -> LossTerms:
        half = self.config.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            output: Output = self.network(
                batch.visual_BTD, batch.lengths_B, batch.text, self.label_CD
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
                "lower train.learning_rate, or look at their features"
            )
        self.optimizer.zero_grad(set_to_none=True)
        terms.total.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return terms

    def progress(self, epoch: int) -> Progress:
        """Return what is needed to go on after `epoch`."""
        return Progress(epoch, self.optimizer.state_dict(), self.scheduler.state_dict())

    def restore(self, progress: Progress) -> None:
        """Go on from where `progress` was taken."""
        self.optimizer.load_state_dict(progress.optimizer)
        self.scheduler.load_state_dict(progress.scheduler)
