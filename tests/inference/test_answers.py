"""The analysis of a video: its parts do not contradict each other."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from exvad.checkpoints.checkpoint import Checkpoint, load_checkpoint
from exvad.inference.domain import fit_domain
from exvad.inference.prediction import Prediction
from exvad.store.feature_bank import VideoFeatures
from tests.helpers.checkpoints import save_untrained_checkpoint

T = 20


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return load_checkpoint(
        save_untrained_checkpoint(tmp_path_factory.mktemp("answers") / "checkpoint")
    )


def video(visual_TD: NDArray[np.float16] | None = None) -> VideoFeatures:
    times_T = np.arange(T) * 1.6
    visual_TD = np.zeros((T, 4), np.float16) if visual_TD is None else visual_TD
    return VideoFeatures("v", visual_TD, times_T, None, [], [], [], "", None, T * 16, 10.0)


def prediction(checkpoint: Checkpoint, event: slice, label: str) -> Prediction:
    """Return a prediction in which normal is the most probable class even inside the event."""
    classes = checkpoint.labels.classes
    probabilities_TC = np.full((T, len(classes)), 0.01, np.float32)
    probabilities_TC[:, 0] = 0.9
    probabilities_TC[event, classes.index(label)] = 0.3
    scores_T = np.zeros(T, np.float32)
    scores_T[event] = 0.8
    return Prediction({"classifier": scores_T, "alignment": scores_T}, probabilities_TC)


@pytest.mark.parametrize("label", ["Robbery", "Fighting"])
def test_compose_gives_the_video_a_class_of_its_events(checkpoint: Checkpoint, label: str) -> None:
    analysis = checkpoint.compose(video(), prediction(checkpoint, slice(5, 9), label), "v.mp4")
    assert [(event.label, event.start, event.end) for event in analysis.events] == [
        (label, 8, 14.4)
    ]
    assert analysis.label == label
    assert np.argmax(np.max(analysis.probabilities, axis=0)) == 0, (
        "normal is the most probable class of the video"
    )


@pytest.mark.parametrize(
    ("event", "shown"), [((2, 6), "first"), ((11, 16), "second"), ((0, 0), "whole")]
)
def test_compose_says_why_by_the_segment_of_the_strongest_event(
    checkpoint: Checkpoint, event: tuple[int, int], shown: str
) -> None:
    def record(summary: str, *evidence: int) -> dict[str, Any]:
        return {
            "anomalous": True,
            "category": "Robbery",
            "summary": summary,
            "reason": "so",
            "evidence": list(evidence),
        }

    captions = [f"caption {number}" for number in range(1, 6)]
    features = replace(
        video(),
        caption_snippets=[1, 5, 8, 12, 18],
        captions=captions,
        record=record("whole", 2, 4),
        segment_ends=[2, 5],
        segment_records=[record("first", 2), record("second", 4)],
    )
    scores = prediction(checkpoint, slice(*event), "Robbery")
    explanation = checkpoint.compose(features, scores, "v.mp4").explanation
    assert explanation is not None
    assert explanation.summary == shown
    assert explanation.evidence == {"first": [2], "second": [4], "whole": [2, 4]}[shown]


def test_compose_gives_a_video_without_events_its_most_probable_class(
    checkpoint: Checkpoint,
) -> None:
    analysis = checkpoint.compose(video(), prediction(checkpoint, slice(0, 0), "Robbery"), "v.mp4")
    assert analysis.events == []
    assert analysis.label == checkpoint.labels.classes[0]


def test_compose_says_in_the_answer_that_the_text_contradicts_the_event(
    checkpoint: Checkpoint,
) -> None:
    normal = {"anomalous": False, "category": checkpoint.classes[0], "summary": "A street.",
              "reason": "Nothing happens.", "evidence": [1]}  # fmt: skip
    features = replace(
        video(), record=normal, caption_snippets=[0], captions=["a"], cleaned_captions=["a"]
    )
    event, nothing = (prediction(checkpoint, slice(5, n), "Robbery") for n in (9, 5))
    assert checkpoint.compose(features, event, "v.mp4").disagreement == (
        "The explanation finds nothing abnormal, but scores exceed the threshold: none of its "
        "captions lies inside an event."
    )
    assert checkpoint.compose(video(), event, "v.mp4").disagreement == ""
    robbery = replace(features, record=normal | {"anomalous": True, "category": "Robbery"})
    assert checkpoint.compose(robbery, event, "v.mp4").disagreement == ""
    assert checkpoint.compose(robbery, nothing, "v.mp4").disagreement == (
        "The explanation names robbery, but no score exceeds the threshold."
    )


def test_compose_says_first_that_a_video_is_outside_the_domain_and_lowers_confidences(
    checkpoint: Checkpoint,
) -> None:
    rng = np.random.default_rng(0)
    videos = [rng.normal(size=(T, 8)).astype(np.float16) for _ in range(40)]
    aware = replace(checkpoint, domain=fit_domain(videos))
    found = prediction(checkpoint, slice(5, 9), "Robbery")
    inside = aware.compose(video(videos[0]), found, "v.mp4")
    outside = aware.compose(video(videos[0] + 4), found, "v.mp4")
    unaware = checkpoint.compose(video(videos[0] + 4), found, "v.mp4")
    checks = [analysis.domain for analysis in (inside, outside, unaware)]
    assert [check.state for check in checks if check] == ["inside", "outside", "unknown"]
    assert checks[1] is not None
    assert checkpoint.config.data.about in checks[1].text
    confidences = [analysis.events[0].confidence for analysis in (inside, outside, unaware)]
    assert confidences[0] == confidences[2]
    assert confidences[1] == pytest.approx(confidences[0] * checks[1].confidence_weight)
    assert confidences[1] < 0.5 * confidences[0]
    assert list(json.loads(outside.model_dump_json()))[:2] == ["video", "domain"]
