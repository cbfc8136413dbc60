"""What a baseline is: its input, its recipe, its loss and its output.

B videos · T snippets · D feature width · C classes · H width of the last features
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

import torch
from torch import nn

LengthRule: TypeAlias = Literal["segments", "mean", "index"]


@dataclass(frozen=True)
class Recipe:
    """How a system is trained where it was published; the batch rule is part of it.

    Args:
        videos: videos per batch.
        pairs: whether half of every batch is normal and half abnormal. Both halves are drawn in
            their own order, which starts again where it ends.
        length: how the snippets of a training video are reduced: "segments" to the means of
            `snippets` segments, shorter videos too; "mean" to at most `snippets` means; "index"
            to at most `snippets` snippets at equal distances.
        snippets: maximum T in training.
        learning_rate: of the optimizer.
        steps: gradient steps; 0 if `epochs` is given.
        epochs: passes over the training videos; 0 if `steps` is given.
        optimizer: "adam", "adamw" or "adagrad".
        weight_decay: of the optimizer.
        milestones: shares of the training after which the learning rate drops tenfold.
        cosine: length of a cosine schedule in multiples of the training; 0 for none.
        betas: decay rates of the moments of "adam" and "adamw".
        warm_up: share of the training in which the learning rate rises in a line from 0.
    """

    videos: int
    pairs: bool
    length: LengthRule
    snippets: int
    learning_rate: float
    steps: int = 0
    epochs: int = 0
    optimizer: Literal["adam", "adamw", "adagrad"] = "adam"
    weight_decay: float = 0.0
    milestones: tuple[float, ...] = ()
    cosine: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    warm_up: float = 0.0

    def __post_init__(self) -> None:
        assert bool(self.steps) != bool(self.epochs), "a recipe has either steps or epochs"


@dataclass(frozen=True)
class Clips:
    """A batch of videos, padded with zeros to the longest.

    Args:
        visual_BTD: image features.
        lengths_B: number of valid snippets of each video, 1 to T.
        text: text features, [B, D] of videos or [B, T, D] of snippets; None without text.
        targets_BC: multi-hot labels, the normal class first; C is 0 for a prediction.
        videos_B: number of each video in the training set.
    """

    visual_BTD: torch.Tensor
    lengths_B: torch.Tensor
    text: torch.Tensor | None
    targets_BC: torch.Tensor
    videos_B: torch.Tensor

    @property
    def abnormal_B(self) -> torch.Tensor:
        """Which videos are abnormal, bool."""
        return self.targets_BC[:, 0] == 0

    @property
    def valid_BT(self) -> torch.Tensor:
        """Which snippets are not padding, bool."""
        times_T = torch.arange(self.visual_BTD.shape[1], device=self.lengths_B.device)
        return times_T < self.lengths_B[:, None]

    @property
    def unpadded_BTD(self) -> torch.Tensor:
        """The image features of videos of one length, for systems without masks."""
        assert bool((self.lengths_B == self.visual_BTD.shape[1]).all()), (
            "this system has no masks: all videos of a batch must have the same length"
        )
        return self.visual_BTD

    def to(self, device: torch.device) -> Clips:
        """Return the batch on a device."""
        return Clips(
            self.visual_BTD.to(device),
            self.lengths_B.to(device),
            None if self.text is None else self.text.to(device),
            self.targets_BC.to(device),
            self.videos_B.to(device),
        )


@dataclass(frozen=True)
class Output:
    """The output of a system; rows of padding are undefined.

    Args:
        scores_BT: anomaly scores, 0 to 1.
        features_BTH: the features before the last layer, for class heads.
        probabilities_BTC: class map, 0 to 1, the normal class first; None without a class head.
    """

    scores_BT: torch.Tensor
    features_BTH: torch.Tensor
    probabilities_BTC: torch.Tensor | None = None


class Step(NamedTuple):
    """The output for a training batch and the terms of its loss.

    Args:
        output: of the system.
        terms: name → scalar, weighted; their sum is the loss.
    """

    output: Output
    terms: dict[str, torch.Tensor]

    @property
    def total(self) -> torch.Tensor:
        """The loss."""
        return torch.stack(list(self.terms.values())).sum()


class Baseline(nn.Module, ABC):
    """A trainable detector of anomalies on features.

    Attributes:
        recipe: how it is trained where it was published.
        feature_width: H, width of the features before the last layer.
        needs_text: whether it needs text features.
        chunk: maximum T of a test video, which is cut into chunks of that length; None for any.
        progress: share of the training that is done, set before every step.
        reload_best: whether training goes on from the best weights so far after every look at the
            videos that select.
    """

    recipe: Recipe
    feature_width: int
    needs_text: ClassVar[bool] = False
    chunk: int | None = None
    progress: float = 0.0
    reload_best: bool = False

    @abstractmethod
    def forward(self, clips: Clips) -> Output:
        """Score the snippets of videos.

        Args:
            clips: the videos.

        Raises:
            ValueError: the system needs text features, and there are none.
        """

    @abstractmethod
    def loss(self, clips: Clips) -> Step:
        """Compute the loss of a training batch.

        Args:
            clips: videos with labels, drawn by the recipe.

        Raises:
            ValueError: the system needs text features, and there are none.
        """

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """Return what the optimizer trains, as groups with their own learning rates.

        Args:
            learning_rate: the rate of the recipe.
        """
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return [{"params": trained, "lr": learning_rate}]


def set_progress(system: Baseline, share: float) -> None:
    """Set the progress of a system and of the systems in it.

    Args:
        system: the system in training.
        share: of the training that is done, 0 to 1.
    """
    for module in system.modules():
        if isinstance(module, Baseline):
            module.progress = share


def trainable_parameters(system: nn.Module) -> int:
    """Return the number of trainable parameters of a system."""
    return sum(parameter.numel() for parameter in system.parameters() if parameter.requires_grad)


def snippet_text(clips: Clips) -> torch.Tensor:
    """Return the text features of every snippet, [B, T, D]; that of a video is repeated.

    Raises:
        ValueError: there are none.
    """
    if clips.text is None:
        raise ValueError(
            "this system needs text features, but the videos have none: run the language stage, or "
            "import text features"
        )
    if clips.text.ndim == 3:
        return clips.text
    return clips.text[:, None].expand(-1, clips.visual_BTD.shape[1], -1)
