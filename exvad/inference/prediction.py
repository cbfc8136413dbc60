"""What the trained network says of videos, and how its scores become answers.

T snippets · C classes · N videos
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from exvad.modeling.exvad import ExVAD, class_probabilities, coarse_scores
from exvad.store.examples import Example, collate

if TYPE_CHECKING:
    from numpy.typing import NDArray

Branch = Literal["classifier", "alignment"]
BRANCHES: tuple[Branch, ...] = ("classifier", "alignment")


@dataclass(frozen=True)
class Prediction:
    """The network's word on one video.

    Args:
        scores: anomaly score per snippet of each branch, [T] each, 0 to 1.
        probabilities_TC: class probabilities per snippet, softmax(M / τ).
    """

    scores: dict[Branch, NDArray[np.float32]]
    probabilities_TC: NDArray[np.float32]

    def video_score(self, branch: Branch, divisor: int = 16) -> float:
        """Return the mean of the K = ⌊T / divisor⌋ + 1 highest scores (equation 7)."""
        return float(_top_mean(self.scores[branch][:, None], divisor)[0])

    def video_probabilities(self, divisor: int = 16) -> NDArray[np.float32]:
        """Return [C] class scores of the whole video: the mean of the K highest per class."""
        return _top_mean(self.probabilities_TC, divisor)


def predict(
    network: ExVAD,
    label_CD: torch.Tensor,
    examples: Iterable[Example],
    tau: float,
    max_snippets: int = 256,
    batch_size: int = 32,
) -> list[Prediction]:
    """Run the network over videos of any length, cut into clips of `max_snippets`.

    Args:
        network: the trained network; it is put into evaluation mode.
        label_CD: label embeddings F_L.
        examples: the videos; their targets are ignored.
        tau: τ.
        max_snippets: longest clip.
        batch_size: clips per forward pass.

    Returns:
        One prediction per video, in order.
    """
    network.eval()
    device = next(network.parameters()).device
    clips: list[Example] = []
    owners: list[int] = []
    for owner, example in enumerate(examples):
        for start in range(0, len(example.visual_TD), max_snippets):
            stop = start + max_snippets
            text = example.text
            part = text[start:stop] if text is not None and text.ndim == 2 else text
            visual_TD = example.visual_TD[start:stop]
            clips.append(Example(example.video_id, visual_TD, part, example.target_C))
            owners.append(owner)
    parts: list[list[tuple[NDArray[np.float32], ...]]] = [[] for _ in range(len(set(owners)))]
    with torch.inference_mode():
        for start in range(0, len(clips), batch_size):
            chosen = clips[start : start + batch_size]
            batch = collate(chosen).to(device)
            output = network(batch.visual_BTD, batch.lengths_B, batch.text, label_CD.to(device))
            arrays = [coarse_scores(output, tau, branch).cpu().numpy() for branch in BRANCHES]
            arrays.append(class_probabilities(output, tau).cpu().numpy())
            for row, clip in enumerate(chosen):
                length = len(clip.visual_TD)
                own = tuple(array[row, :length] for array in arrays)
                parts[owners[start + row]].append(own)
    return [_join(part) for part in parts]


def _join(parts: Sequence[tuple[NDArray[np.float32], ...]]) -> Prediction:
    joined = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
    return Prediction(dict(zip(BRANCHES, joined, strict=False)), joined[-1])


def _top_mean(values_TC: NDArray[np.float32], divisor: int) -> NDArray[np.float32]:
    count = min(len(values_TC) // divisor + 1, len(values_TC))
    top: NDArray[np.float32] = np.partition(values_TC, -count, axis=0)[-count:].mean(0)
    return top
