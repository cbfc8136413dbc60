"""Examples: stored features as the network takes them, and batches of them.

B videos · T snippets · C classes · D feature width
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.store.feature_bank import VideoFeatures


@dataclass(frozen=True)
class Example:
    """One video as the network takes it.

    Args:
        video_id: names the video in messages.
        visual_TD: image features of its snippets.
        text: text feature [D], one per snippet [T, D], or None.
        target_C: multi-hot labels, the normal class first; empty where they are not needed.
    """

    video_id: str
    visual_TD: NDArray[np.float32]
    text: NDArray[np.float32] | None
    target_C: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))


@dataclass(frozen=True)
class Batch:
    """Padded examples."""

    video_ids: tuple[str, ...]
    visual_BTD: torch.Tensor
    lengths_B: torch.Tensor
    text: torch.Tensor | None
    targets_BC: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """Move to a device."""
        text = None if self.text is None else self.text.to(device)
        return Batch(
            self.video_ids,
            self.visual_BTD.to(device),
            self.lengths_B.to(device),
            text,
            self.targets_BC.to(device),
        )


def snippet_text(features: VideoFeatures) -> NDArray[np.float32] | None:
    """Return a video's text feature: [D] for an explanation, [T, D] for captions, or None.

    Every snippet takes the cleaned caption of the captioned snippet nearest to it.
    """
    if features.text is None:
        return None
    if features.text.ndim == 1:
        return features.text.astype(np.float32)
    snippets_T = np.arange(len(features.visual))
    captioned_c = np.asarray(features.caption_snippets)
    nearest_T = np.abs(snippets_T[:, None] - captioned_c[None, :]).argmin(1)
    text_TD: NDArray[np.float32] = features.text[nearest_T].astype(np.float32)
    return text_TD


def shorten(rows_TD: NDArray[np.float32], limit: int) -> NDArray[np.float32]:
    """Average a sequence longer than `limit` down to `limit` rows of nearly equal shares."""
    if len(rows_TD) <= limit:
        return rows_TD
    edges = np.linspace(0, len(rows_TD), limit + 1).astype(int)
    sums_LD = np.add.reduceat(rows_TD, edges[:-1], axis=0)
    shortened: NDArray[np.float32] = (sums_LD / np.diff(edges)[:, None]).astype(np.float32)
    return shortened


def make_example(
    features: VideoFeatures, target_C: NDArray[np.float32], max_snippets: int
) -> Example:
    """Make a training example of a stored video, at most `max_snippets` long."""
    visual_TD = shorten(features.visual.astype(np.float32), max_snippets)
    text = snippet_text(features)
    if text is not None and text.ndim == 2:
        text = shorten(text, max_snippets)
    return Example(features.video_id, visual_TD, text, target_C)


def whole_example(features: VideoFeatures) -> Example:
    """Make an example of a whole stored video, without labels: what is predicted."""
    return Example(features.video_id, features.visual.astype(np.float32), snippet_text(features))


def collate(examples: Sequence[Example]) -> Batch:
    """Pad examples to the longest of them."""
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
        text = torch.zeros_like(visual_BTD)
        for row, rows_TD in enumerate(texts):
            text[row, : len(rows_TD)] = torch.from_numpy(rows_TD)
    return Batch(
        tuple(example.video_id for example in examples),
        visual_BTD,
        torch.tensor(lengths),
        text,
        torch.from_numpy(np.stack([example.target_C for example in examples])),
    )
