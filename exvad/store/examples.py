"""Examples, the network's input made of stored features, and padded batches of them.

B videos of a batch · T snippets · c captioned snippets · L shortened length · C classes
D feature width
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from exvad.store.grounding import ground_text, shortened_places

if TYPE_CHECKING:
    from numpy.typing import NDArray


class InputFeatures(Protocol):
    """The features of a video that the network needs: float16, as they are stored.

    Where a video was shortened already, they are float32: float16 would round the means.

    `VideoFeatures` has them and more.
    """

    @property
    def video_id(self) -> str:
        """Name of the video in messages."""

    @property
    def visual(self) -> NDArray[Any]:
        """Image features [T, D]."""

    @property
    def text(self) -> NDArray[Any] | None:
        """Text features: [D] of the explanation, [c, D] of the captions, [T, D], or None."""

    @property
    def caption_snippets(self) -> Sequence[int] | None:
        """Indices [c] of the captioned snippets, or None if `text` does not belong to captions."""

    @property
    def grounded(self) -> bool:
        """Whether `text` has the rows of `exvad.store.grounding`, which reach over snippets."""


@dataclass(frozen=True)
class VideoInput:
    """The `InputFeatures` of one video, and nothing else."""

    video_id: str
    visual: NDArray[Any]
    text: NDArray[Any] | None
    caption_snippets: Sequence[int] | None = None
    grounded: bool = False


@dataclass(frozen=True)
class Example:
    """One video as input of the network.

    Args:
        video_id: name of the video in messages.
        visual_TD: image features F_I.
        text: text features F_T, [D] of the video or [T, D] of its snippets; None without text.
        target_C: multi-hot labels, the normal class first; empty for a prediction.
    """

    video_id: str
    visual_TD: NDArray[np.float32]
    text: NDArray[np.float32] | None
    target_C: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))


@dataclass(frozen=True)
class Batch:
    """Several examples, padded with zeros to the longest.

    Args:
        video_ids: names of the videos in messages.
        visual_BTD: image features F_I.
        lengths_B: number of valid snippets of each video, 1 to T.
        text: text features F_T, [B, D] of videos or [B, T, D] of snippets; None without text.
        targets_BC: multi-hot labels, the normal class first.
    """

    video_ids: tuple[str, ...]
    visual_BTD: torch.Tensor
    lengths_B: torch.Tensor
    text: torch.Tensor | None
    targets_BC: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        text = None if self.text is None else self.text.to(device)
        return Batch(
            self.video_ids,
            self.visual_BTD.to(device),
            self.lengths_B.to(device),
            text,
            self.targets_BC.to(device),
        )


def snippet_text(features: InputFeatures) -> NDArray[np.float32] | None:
    """Return the text features of a video: [D] of its explanation or [T, D] of its snippets.

    Every snippet has the cleaned caption of the nearest captioned snippet, or the texts that speak
    about it if they are grounded. Without captions, as with imported texts, every snippet has F_T.
    A video without text features gives None.
    """
    if features.text is None:
        return None
    if features.text.ndim == 1 or features.caption_snippets is None:
        return features.text.astype(np.float32, copy=False)
    if features.grounded:
        return ground_text(features.visual, features.text, features.caption_snippets)
    snippets_T = np.arange(len(features.visual))
    if not len(features.caption_snippets):
        return np.repeat(features.text[:1].astype(np.float32), len(snippets_T), axis=0)
    captioned_c = np.asarray(features.caption_snippets)
    nearest_T = np.abs(snippets_T[:, None] - captioned_c[None, :]).argmin(1)
    text_TD: NDArray[np.float32] = features.text[nearest_T].astype(np.float32)
    return text_TD


def shorten(rows_TD: NDArray[np.float32], limit: int) -> NDArray[np.float32]:
    """Shorten a sequence to at most `limit` rows, each the mean of nearly equally many rows.

    Args:
        rows_TD: the sequence.
        limit: L.

    Returns:
        float32 [min(T, L), D].
    """
    if len(rows_TD) <= limit:
        return rows_TD
    edges = np.linspace(0, len(rows_TD), limit + 1).astype(int)
    sums_LD = np.add.reduceat(rows_TD, edges[:-1], axis=0)
    shortened: NDArray[np.float32] = (sums_LD / np.diff(edges)[:, None]).astype(np.float32)
    return shortened


def shortened(features: InputFeatures, max_snippets: int) -> VideoInput:
    """Return a video shortened to `max_snippets` rows, for training examples to be made of it.

    It is worth the memory, because the means take more time than reading features.
    """
    example = make_example(features, np.zeros(0, np.float32), max_snippets)
    return VideoInput(features.video_id, example.visual_TD, example.text)


def make_example(
    features: InputFeatures, target_C: NDArray[np.float32], max_snippets: int
) -> Example:
    """Make a training example of a stored video.

    Args:
        features: of the video.
        target_C: multi-hot labels, the normal class first.
        max_snippets: maximum length; a longer video is shortened.
    """
    length = len(features.visual)
    visual_TD = shorten(features.visual.astype(np.float32, copy=False), max_snippets)
    if features.grounded and features.caption_snippets is not None:
        # Texts are weighted over the rows that the network reads.
        places = shortened_places(features.caption_snippets, length, max_snippets)
        features = VideoInput(features.video_id, visual_TD, features.text, places, grounded=True)
    text = snippet_text(features)
    if text is not None and text.ndim == 2:
        text = shorten(text, max_snippets)
    return Example(features.video_id, visual_TD, text, target_C)


def whole_example(features: InputFeatures) -> Example:
    """Make an example of a stored video at full length and without labels, for prediction."""
    return Example(features.video_id, features.visual.astype(np.float32), snippet_text(features))


def collate(examples: Sequence[Example]) -> Batch:
    """Combine examples into a batch, padded with zeros to the longest."""
    lengths = [len(example.visual_TD) for example in examples]
    width = examples[0].visual_TD.shape[1]
    visual_BTD = torch.zeros(len(examples), max(lengths), width)
    for row, example in enumerate(examples):
        visual_BTD[row, : lengths[row]] = torch.from_numpy(example.visual_TD)
    texts = [example.text for example in examples if example.text is not None]
    text = None
    if texts and texts[0].ndim == 1:
        text = torch.from_numpy(np.stack(texts))
    elif texts:
        text = torch.zeros(*visual_BTD.shape[:2], texts[0].shape[1])
        for row, rows_TD in enumerate(texts):
            text[row, : len(rows_TD)] = torch.from_numpy(rows_TD)
    return Batch(
        tuple(example.video_id for example in examples),
        visual_BTD,
        torch.tensor(lengths),
        text,
        torch.from_numpy(np.stack([example.target_C for example in examples])),
    )
