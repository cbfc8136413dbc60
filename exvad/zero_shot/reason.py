"""The reason of an answer: the scenes of the memory that the video resembles most.

T snippets · D feature width
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from exvad.results import Explanation
from exvad.zero_shot.matching import nearest_scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.results import DetectedEvent
    from exvad.zero_shot.encoding import EncodedMemory

FRAMES_PER_EVENT = 3
FRAMES_WITHOUT_EVENTS = 4


class Reason(NamedTuple):
    """The scenes behind an answer.

    Args:
        snippets: indices of the snippets that they describe, in order of time.
        scenes: the nearest scene of each.
        explanation: the answer in words; its evidence are the numbers of the scenes, from 1.
    """

    snippets: list[int]
    scenes: list[str]
    explanation: Explanation


def find_reason(
    visual_TD: NDArray[np.floating],
    times_T: NDArray[np.float64],
    scores_T: NDArray[np.floating],
    events: Sequence[DetectedEvent],
    label: str,
    memory: EncodedMemory,
) -> Reason:
    """Find the scenes of the memory that speak for the answer about a video.

    Args:
        visual_TD: CLIP features of the snippets.
        times_T: seconds of each snippet.
        scores_T: their anomaly scores.
        events: the events of the video.
        label: its class.
        memory: the memory that it was matched to.
    """
    chosen: dict[int, str] = {}
    for event in events:
        (inside,) = np.nonzero((times_T >= event.start) & (times_T < event.end))
        highest = inside[np.argsort(-scores_T[inside], kind="stable")[:FRAMES_PER_EVENT]]
        chosen |= {int(snippet): event.label for snippet in highest}
    if not chosen:
        even = np.linspace(0, len(times_T) - 1, min(FRAMES_WITHOUT_EVENTS, len(times_T)))
        chosen = {int(snippet): memory.classes[0] for snippet in even.round()}
    snippets = sorted(chosen)
    nearest = [
        nearest_scene(visual_TD[snippet], memory, memory.classes.index(chosen[snippet]))
        for snippet in snippets
    ]
    best = max(
        (index for index, snippet in enumerate(snippets) if chosen[snippet] == label),
        key=lambda index: nearest[index][1],
        default=0,
    )
    explanation = _explain(
        nearest[best],
        chosen[snippets[best]],
        visual_TD[snippets[best]],
        memory,
        0 if events else _likeliest_incident(visual_TD, scores_T, memory),
        evidence=[index + 1 for index in range(len(snippets)) if chosen[snippets[index]] == label]
        or [best + 1],
    )
    return Reason(snippets, [text for text, _ in nearest], explanation)


def explain_snippet(
    visual_D: NDArray[np.floating], label: str, memory: EncodedMemory
) -> tuple[str, Explanation]:
    """Return the scene that a snippet resembles, and why that is an incident.

    Args:
        visual_D: CLIP feature of the snippet.
        label: the kind of incident that it was found to be.
        memory: the memory.
    """
    nearest = nearest_scene(visual_D, memory, memory.classes.index(label))
    return nearest[0], _explain(nearest, label, visual_D, memory, 0, evidence=[1])


def _explain(
    nearest: tuple[str, float],
    label: str,
    visual_D: NDArray[np.floating],
    memory: EncodedMemory,
    other_label: int,
    evidence: list[int],
) -> Explanation:
    """Word the nearest scene of a class beside the nearest one of another class."""
    (scene, similarity), anomalous = nearest, other_label == 0
    other, other_similarity = nearest_scene(visual_D, memory, other_label)
    return Explanation(
        anomalous=anomalous,
        category=label,
        summary=f"The frames resemble the scene “{scene}” most.",
        reason=f"In the memory of scenes it stands under {label} (similarity {similarity:.2f}); "
        f"the nearest {'normal scene' if anomalous else 'incident'} is “{other}” "
        f"({other_similarity:.2f}).",
        evidence=evidence,
    )


def _likeliest_incident(
    visual_TD: NDArray[np.floating], scores_T: NDArray[np.floating], memory: EncodedMemory
) -> int:
    """Return the index of the kind of incident nearest to the snippet with the highest score."""
    visual_D = visual_TD[int(np.argmax(scores_T))]
    labels = range(1, len(memory.classes))
    return max(labels, key=lambda label: nearest_scene(visual_D, memory, label)[1])
