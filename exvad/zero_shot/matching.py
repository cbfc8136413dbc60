"""Scores of snippets by the scenes of a memory that are nearest to them.

T snippets · M scenes · K nearest scenes · C classes · D feature width
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.special import softmax

from exvad.encoders.vectors import MIN_LENGTH, unit_vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.config import Config
    from exvad.zero_shot.encoding import EncodedMemory

CLASS_SCENES = 5  # scenes of a class whose mean similarity speaks for the class
BLOCK = 4096  # snippets matched at once, so that a long video needs little memory


@dataclass(frozen=True, eq=False)
class Match:
    """How the snippets of a video match a memory.

    Args:
        scores_T: weighted share of incidents among the nearest scenes, smoothed, 0 to 1.
        probabilities_TC: class probabilities; that of the normal class is one minus the score.
    """

    scores_T: NDArray[np.float32]
    probabilities_TC: NDArray[np.float32]


def match_snippets(visual_TD: NDArray[np.floating], memory: EncodedMemory, config: Config) -> Match:
    """Match the snippets of a video, or of a window of a stream, to a memory of scenes.

    As in Flashback, the features of incidents are shortened by `zero_shot.penalty` (scaled anomaly
    penalization), the K nearest scenes get softmax weights, and the score is the weight of the
    incidents among them. The class comes from the mean similarity of the nearest scenes of each
    kind, so that a kind with more scenes has no advantage.

    The memory describes one thing in dozens of ways, and all of them are among the K nearest when
    it happens; a user describes it once. So the user's nearest normal scene, and their nearest
    scene of each kind, has the weight of K scenes, as much as the memory has together, but only
    among the K nearest: a phrase about something else has none. In the mean of its kind, the user's
    nearest scene stands for all.

    Args:
        visual_TD: CLIP features of the snippets, in order of time.
        memory: the memory.
        config: its section `zero_shot` has the settings.
    """
    settings = config.zero_shot
    blocks = [
        _match_block(visual_TD[start : start + BLOCK], memory, config)
        for start in range(0, len(visual_TD), BLOCK)
    ]
    scores_T = np.concatenate([scores for scores, _ in blocks])
    kinds_TA = np.concatenate([kinds for _, kinds in blocks])
    if settings.smoothing:
        scores_T = gaussian_filter1d(scores_T, settings.smoothing, mode="nearest")
        kinds_TA = gaussian_filter1d(kinds_TA, settings.smoothing, axis=0, mode="nearest")
    scores_T = scores_T.clip(0, 1)
    probabilities_TC = np.concatenate([1 - scores_T[:, None], scores_T[:, None] * kinds_TA], 1)
    return Match(scores_T.astype(np.float32), probabilities_TC.astype(np.float32))


def nearest_scene(
    visual_D: NDArray[np.floating], memory: EncodedMemory, label: int
) -> tuple[str, float]:
    """Return the scene of a class that is nearest to a snippet, and its cosine similarity.

    Args:
        visual_D: CLIP feature of the snippet.
        memory: the memory.
        label: index of the class; 0 is normal.
    """
    (rows,) = np.nonzero(memory.label_M == label)
    similarity = memory.scene_MD[rows] @ unit_vectors(visual_D, MIN_LENGTH)
    best = int(similarity.argmax())
    return memory.texts[rows[best]], float(similarity[best])


def _match_block(
    visual_TD: NDArray[np.floating], memory: EncodedMemory, config: Config
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return scores and the probability of each kind of incident given one, [T] and [T, C − 1]."""
    settings = config.zero_shot
    similarity_TM = unit_vectors(visual_TD, MIN_LENGTH) @ memory.scene_MD.T
    is_incident_M = memory.label_M > 0
    penalized_TM = similarity_TM * np.where(is_incident_M, settings.penalty, 1.0)
    k = min(settings.top_k, len(memory.texts))
    nearest_TK = np.argpartition(penalized_TM, -k, axis=1)[:, -k:]
    logits_TK = np.take_along_axis(penalized_TM, nearest_TK, 1) / settings.temperature
    votes_TK = np.take_along_axis(_votes(penalized_TM, memory, k), nearest_TK, 1)
    weights_TK = softmax(logits_TK.astype(np.float64) + np.log(votes_TK), axis=1)
    scores_T = (weights_TK * is_incident_M[nearest_TK]).sum(1)
    kinds_TA = np.stack(
        [_kind_similarity(similarity_TM, memory, label) for label in range(1, len(memory.classes))],
        axis=1,
    )
    return scores_T, softmax(kinds_TA.astype(np.float64) / settings.temperature, axis=1)


def _votes(
    similarity_TM: NDArray[np.floating], memory: EncodedMemory, own_votes: int
) -> NDArray[np.float32]:
    """Return how many scenes of the memory each scene counts for."""
    votes_TM = np.ones(similarity_TM.shape, np.float32)
    rows_T = np.arange(len(similarity_TM))
    for label in np.unique(memory.label_M[memory.own_M]):
        (own,) = np.nonzero(memory.own_M & (memory.label_M == label))
        votes_TM[rows_T, own[similarity_TM[:, own].argmax(1)]] = own_votes
    return votes_TM


def _kind_similarity(
    similarity_TM: NDArray[np.floating], memory: EncodedMemory, label: int
) -> NDArray[np.floating]:
    """Return the mean similarity of the nearest scenes of a kind, or of the user's."""
    of_kind_M = memory.label_M == label
    similarity_T = _top_mean(similarity_TM[:, of_kind_M])
    own_M = of_kind_M & memory.own_M
    if own_M.any():
        similarity_T = np.maximum(similarity_T, similarity_TM[:, own_M].max(1))
    return similarity_T


def _top_mean(similarity_Tm: NDArray[np.floating]) -> NDArray[np.floating]:
    k = min(CLASS_SCENES, similarity_Tm.shape[1])
    mean_T: NDArray[np.floating] = np.partition(similarity_Tm, -k, axis=1)[:, -k:].mean(1)
    return mean_T
