"""Run the trained network over videos of any length.

T snippets of a video · C classes
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
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
        probabilities_TC: class probabilities; see `class_probabilities`.
    """

    scores: dict[Branch, NDArray[np.float32]]
    probabilities_TC: NDArray[np.float32]

    def is_finite(self) -> bool:
        """Return whether all scores and probabilities are numbers."""
        arrays = (*self.scores.values(), self.probabilities_TC)
        return all(bool(np.isfinite(array).all()) for array in arrays)

    def video_score(self, branch: Branch) -> float:
        """Return the mean of the K = ⌊T / 16⌋ + 1 highest scores (equation 7)."""
        return float(_top_k_mean(self.scores[branch][:, None])[0])

    def video_probabilities(self) -> NDArray[np.float32]:
        """Return the mean of the K = ⌊T / 16⌋ + 1 highest probabilities of each class, [C]."""
        return _top_k_mean(self.probabilities_TC)

    def video_class_probabilities(self) -> NDArray[np.float32]:
        """Return the class probabilities of the video as a whole, [C], which sum to 1.

        They are the mean over the K = ⌊T / 16⌋ + 1 snippets that are least normal. A video is
        normal only if these are. With the K best snippets of each class by itself, which training
        pools, nearly every video with an event would still have K normal ones.
        """
        probabilities_TC = self.probabilities_TC
        count = min(len(probabilities_TC) // DIVISOR + 1, len(probabilities_TC))
        least_normal_K = np.argpartition(probabilities_TC[:, 0], count - 1)[:count]
        mean_C: NDArray[np.float32] = probabilities_TC[least_normal_K].mean(0)
        return mean_C


def predict(
    network: ExVAD,
    label_CD: torch.Tensor,
    examples: Iterable[Example],
    tau: float,
    max_snippets: int = 256,
    batch_size: int = 32,
) -> list[Prediction]:
    """Run the network over videos, each cut into clips of at most `max_snippets`.

    Memory holds the examples of one batch.

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
    labels_CD = label_CD.to(device)
    clips = (
        (video, clip)
        for video, example in enumerate(examples)
        for clip in _cut(example, max_snippets)
    )
    parts: list[list[tuple[NDArray[np.float32], ...]]] = []
    with torch.inference_mode():
        while numbered := list(islice(clips, batch_size)):
            batch = collate([clip for _, clip in numbered]).to(device)
            output = network(batch.visual_BTD, batch.lengths_B, batch.text, labels_CD)
            arrays = [coarse_scores(output, tau, branch).cpu().numpy() for branch in BRANCHES]
            arrays.append(class_probabilities(output, tau, network.weighted_classes).cpu().numpy())
            for row, (video, clip) in enumerate(numbered):
                parts.extend([] for _ in range(video + 1 - len(parts)))
                # Copies: views would keep the padding of the whole batch.
                length = len(clip.visual_TD)
                parts[video].append(tuple(array[row, :length].copy() for array in arrays))
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
