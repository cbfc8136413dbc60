"""How an explanation contradicts what the scores found, in one sentence."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exvad.results.analysis import Analysis, Explanation


def class_name(label: str) -> str:
    """Return a class in words: "RoadAccidents" as "Road accidents"."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label.replace("_", " ")).strip().split()
    text = " ".join(word if word.isupper() else word.lower() for word in words)
    return text[:1].upper() + text[1:]


def describe_disagreement(analysis: Analysis) -> str:
    """Describe in a sentence how scores and explanation differ; empty if they agree.

    Args:
        analysis: the analysis of a video.
    """
    found = {event.label for event in analysis.events}
    sentence = describe_contradiction(found, analysis.explanation)
    if sentence and not any(event.captions for event in analysis.events) and found:
        return sentence[:-1] + ": none of its captions lies inside an event."
    if not sentence and not found and analysis.label != analysis.classes[0]:
        return (
            f"The most likely class of the whole video is {_lower_name(analysis.label)}, "
            "but no score exceeds the threshold."
        )
    return sentence


def describe_contradiction(found: Collection[str], explanation: Explanation | None) -> str:
    """Describe in a sentence how an explanation contradicts events; empty if they agree.

    Args:
        found: the classes of the events.
        explanation: the explanation; None contradicts nothing.
    """
    if explanation is None:
        return ""
    if explanation.anomalous and not found:
        return (
            f"The explanation names {_lower_name(explanation.category)}, "
            "but no score exceeds the threshold."
        )
    if not explanation.anomalous and found:
        return "The explanation finds nothing abnormal, but scores exceed the threshold."
    if found and explanation.category not in found:
        names = " and ".join(sorted(map(_lower_name, found)))
        return f"The explanation names {_lower_name(explanation.category)}, not {names}."
    return ""


def _lower_name(label: str) -> str:
    return class_name(label).lower()
