"""Run the trained network over videos of any length.

T snippets of a video · C classes
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from exvad.modeling.exvad import ExVAD, class_probabilities, coarse_scores
from exvad.store.examples import Example, collate

if TYPE_CHECKING:
    from numpy.typing import NDArray

Branch = Literal["classifier", "alignment"]
# The paper's, whatever `train.divisor` is: metrics of whole videos must not depend on a setting of
# training, or a sweep would compare different things.
DIVISOR = 16
BRANCHES: tuple[Branch, ...] = ("classifier", "alignment")


@dataclass(frozen=True)
class Prediction:
    """The output of the network for one video.

    Args:
        scores: anomaly scores of each branch, float32 [T], 0 to 1: s of the classifier, and
            1 − p(normal) of the alignment.
        probabilities_TC: class probabilities softmax(M / τ).
    """

    scores: dict[Branch, NDArray[np.float32]]
    probabilities_TC: NDArray[np.float32]

    def video_score(self, branch: Branch) -> float:
        """Return the mean of the K = ⌊T / 16⌋ + 1 highest scores (equation 7)."""
        return float(_top_k_mean(self.scores[branch][:, None])[0])

    def video_probabilities(self) -> NDArray[np.float32]:
        """Return the mean of the K = ⌊T / 16⌋ + 1 highest probabilities of each class, [C]."""
        return _top_k_mean(self.probabilities_TC)


def predict(
    network: ExVAD,
    label_CD: torch.Tensor,
    examples: Iterable[Example],
    tau: float,
    max_snippets: int = 256,
    batch_size: int = 32,
) -> list[Prediction]:
    """Run the network over videos, each cut into clips of at most `max_snippets`.

    Args:
        network: the trained network; it is left in evaluation mode.
        label_CD: label embeddings F_L.
        examples: the videos; their labels are not used.
        tau: τ of the class probabilities.
        max_snippets: maximum length of a clip.
        batch_size: clips per forward pass.

    Returns:
        One prediction per video, in order.
    """
    network.eval()
    device = next(network.parameters()).device
    clips: list[Example] = []
    video_of_clip: list[int] = []
    for video, example in enumerate(examples):
        for clip in _cut(example, max_snippets):
            clips.append(clip)
            video_of_clip.append(video)
    num_videos = max(video_of_clip, default=-1) + 1
    parts: list[list[tuple[NDArray[np.float32], ...]]] = [[] for _ in range(num_videos)]
    with torch.inference_mode():
        for start in range(0, len(clips), batch_size):
            batch_clips = clips[start : start + batch_size]
            batch = collate(batch_clips).to(device)
            output = network(batch.visual_BTD, batch.lengths_B, batch.text, label_CD.to(device))
            arrays = [coarse_scores(output, tau, branch).cpu().numpy() for branch in BRANCHES]
            arrays.append(class_probabilities(output, tau).cpu().numpy())
            for row, clip in enumerate(batch_clips):
                length = len(clip.visual_TD)
                clip_arrays = tuple(array[row, :length] for array in arrays)
                parts[video_of_clip[start + row]].append(clip_arrays)
    return [_join(video_parts) for video_parts in parts]


def _cut(example: Example, max_snippets: int) -> Iterator[Example]:
    for start in range(0, len(example.visual_TD), max_snippets):
        clip = slice(start, start + max_snippets)
        text = example.text
        if text is not None and text.ndim == 2:
            text = text[clip]
        yield Example(example.video_id, example.visual_TD[clip], text, example.target_C)


def _join(parts: Sequence[tuple[NDArray[np.float32], ...]]) -> Prediction:
    *scores, probabilities_TC = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Prediction(dict(zip(BRANCHES, scores, strict=True)), probabilities_TC)


def _top_k_mean(values_TC: NDArray[np.float32]) -> NDArray[np.float32]:
    count = min(len(values_TC) // DIVISOR + 1, len(values_TC))
    mean_C: NDArray[np.float32] = np.partition(values_TC, -count, axis=0)[-count:].mean(0)
    return mean_C
