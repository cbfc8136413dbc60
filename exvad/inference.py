"""What the trained network says of videos, and how its scores become answers.

T snippets · C classes · N videos
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import expit, logit

from exvad.modeling.exvad import ExVAD, class_probabilities, coarse_scores
from exvad.results import DetectedEvent
from exvad.training import Example, collate

if TYPE_CHECKING:
    from numpy.typing import NDArray

Branch = Literal["classifier", "alignment"]
BRANCHES: tuple[Branch, ...] = ("classifier", "alignment")
HALF = 0.5
CERTAIN = 1e-3  # scores nearer to 0 or 1 count as this near


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


class Calibration(BaseModel):
    """What validation chose for answering; stored in the checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    branch: Branch = Field("classifier", description="which coarse score is used")
    threshold: float = Field(0.5, ge=0, le=1, description="snippets above it are abnormal")
    slope: float = Field(1.0, ge=0, description="of the confidence, over the score's log-odds")
    offset: float = Field(0.0, description="log-odds of the confidence at a score of 0.5")

    def confidence(self, score: float) -> float:
        """Return how likely a video with this score was abnormal on validation, 0 to 1."""
        return float(expit(self.slope * _log_odds(np.asarray(score)) + self.offset))

    def even_score(self) -> float:
        """Return the score from which abnormal is likelier than not; the threshold at least."""
        if not self.slope:
            return self.threshold
        return max(self.threshold, float(expit(-self.offset / self.slope)))


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


def calibrate(predictions: Sequence[Prediction], abnormal_N: NDArray[np.bool_]) -> Calibration:
    """Choose branch and threshold on videos of which only "abnormal or not" is known.

    The branch is the classifier, unless the alignment's video scores rank abnormal videos clearly
    higher (by an AUC of more than 1/(2√N)). The threshold lies in the middle of the widest range
    of those that tell the videos apart best (Youden's J).
    """
    if abnormal_N.all() or not abnormal_N.any():
        return Calibration(branch="classifier", threshold=0.5)
    auc = {branch: _ranking(_video_scores(predictions, branch), abnormal_N) for branch in BRANCHES}
    # Whole videos tell little of where a branch is high. The classifier is there for that, so the
    # other branch takes over only where the difference is more than noise.
    noise = 0.5 / np.sqrt(len(predictions))
    best: Branch = "alignment" if auc["alignment"] > auc["classifier"] + noise else "classifier"
    scores_N = _video_scores(predictions, best)
    edges = np.concatenate([[0.0], np.unique(scores_N), [1.0]])
    middles = (edges[:-1] + edges[1:]) / 2
    above = scores_N[None, :] > middles[:, None]
    gain = above[:, abnormal_N].mean(1) - above[:, ~abnormal_N].mean(1)
    widths = np.where(gain >= gain.max() - 1e-9, np.diff(edges), -1)
    slope, offset = _platt(scores_N, abnormal_N)
    threshold = float(middles[widths.argmax()])
    return Calibration(branch=best, threshold=threshold, slope=slope, offset=offset)


def _platt(scores_N: NDArray[np.float64], abnormal_N: NDArray[np.bool_]) -> tuple[float, float]:
    """Fit confidence to outcomes by logistic regression, with Platt's (1999) smoothed targets.

    The smoothing keeps the confidence away from 0 and 1 as far as few videos demand it. Scores that
    rank abnormal videos no better than chance tell nothing: the slope is then 0.
    """
    from sklearn.linear_model import LogisticRegression

    abnormal, normal = int(abnormal_N.sum()), int((~abnormal_N).sum())
    hoped_N = np.where(abnormal_N, (abnormal + 1) / (abnormal + 2), 1 / (normal + 2))
    odds_N1 = _log_odds(scores_N)[:, None]
    fitted = LogisticRegression(C=1e4, max_iter=1000).fit(
        np.concatenate([odds_N1, odds_N1]),
        np.repeat([1, 0], len(scores_N)),
        sample_weight=np.concatenate([hoped_N, 1 - hoped_N]),
    )
    slope, offset = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    return (slope, offset) if slope > 0 else (0.0, float(np.log(abnormal / normal)))


def _log_odds(scores_N: NDArray[np.floating]) -> NDArray[np.float64]:
    clipped_N = np.clip(np.asarray(scores_N, np.float64), CERTAIN, 1 - CERTAIN)
    odds_N: NDArray[np.float64] = logit(clipped_N)
    return odds_N


def find_events(
    scores_T: NDArray[np.float32],
    probabilities_TC: NDArray[np.float32],
    times_T: NDArray[np.float64],
    duration: float,
    classes: Sequence[str],
    calibration: Calibration,
    caption_times: Sequence[float] = (),
) -> list[DetectedEvent]:
    """Turn scores into events: where the coarse score is high, as far as the class reaches.

    A run of snippets above the threshold is one event. It takes the abnormal class of the highest
    alignment in it, and reaches from the first to the last snippet where that class has at least
    half its peak: the text is one for the whole video and may lift the coarse score beyond the
    event's ends, the alignment map M is local. A gap of one snippet does not part a run.

    Args:
        scores_T: coarse scores.
        probabilities_TC: class probabilities, softmax(M / τ).
        times_T: start of each snippet in seconds.
        duration: length of the video in seconds.
        classes: class names, the normal one first.
        calibration: the threshold, and how scores become confidence.
        caption_times: seconds of the captions, to say which lie inside an event.
    """
    ends_T = np.append(times_T[1:], max(duration, float(times_T[-1])))
    events = []
    for run in _runs(scores_T > calibration.threshold):
        abnormal_TA = probabilities_TC[run, 1:]
        best = int(abnormal_TA.max(0).argmax())
        aligned = np.flatnonzero(abnormal_TA[:, best] >= HALF * abnormal_TA[:, best].max())
        first, last = run.start + int(aligned[0]), run.start + int(aligned[-1])
        start, end = float(times_T[first]), float(ends_T[last])
        inside = [n for n, time in enumerate(caption_times, 1) if start <= time < end]
        score = float(np.clip(scores_T[first : last + 1].mean(), 0, 1))
        events.append(
            DetectedEvent(
                start=start,
                end=end,
                label=classes[1 + best],
                score=score,
                confidence=calibration.confidence(score),
                captions=inside,
            )
        )
    return events


def _runs(marked_T: NDArray[np.bool_]) -> list[slice]:
    """Return the runs of marked snippets; a single unmarked one between two does not part them."""
    closed_T = marked_T.copy()
    if len(marked_T) > 2:
        closed_T[1:-1] |= marked_T[:-2] & marked_T[2:]
    steps = np.diff(np.concatenate([[0], closed_T.astype(np.int8), [0]]))
    edges = zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True)
    return [slice(int(start), int(stop)) for start, stop in edges]


def _video_scores(predictions: Sequence[Prediction], branch: Branch) -> NDArray[np.float64]:
    return np.array([prediction.video_score(branch) for prediction in predictions])


def _ranking(scores_N: NDArray[np.float64], abnormal_N: NDArray[np.bool_]) -> float:
    """Return the AUC: how often an abnormal video scores above a normal one, ties half."""
    difference = scores_N[abnormal_N][:, None] - scores_N[~abnormal_N][None, :]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


def _top_mean(values_TC: NDArray[np.float32], divisor: int) -> NDArray[np.float32]:
    count = min(len(values_TC) // divisor + 1, len(values_TC))
    top: NDArray[np.float32] = np.partition(values_TC, -count, axis=0)[-count:].mean(0)
    return top
