"""What the network says becomes an answer whose parts do not contradict each other."""

from __future__ import annotations

import numpy as np
import pytest

from exvad.checkpoints.checkpoint import Checkpoint, load_checkpoint
from exvad.inference.prediction import Prediction
from exvad.store.feature_bank import VideoFeatures
from tests.helpers.checkpoints import save

T = 20


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return load_checkpoint(save(tmp_path_factory.mktemp("answers") / "checkpoint"))


def video() -> VideoFeatures:
    times_T = np.arange(T) * 1.6
    return VideoFeatures(
        "v", np.zeros((T, 4), np.float16), times_T, None, [], [], [], "", None, T * 16, 10.0
    )


def said(checkpoint: Checkpoint, high: slice, label: str) -> Prediction:
    """A video of which every snippet looks normal, but for some that look a little less so."""
    classes = checkpoint.labels.classes
    probabilities_TC = np.full((T, len(classes)), 0.01, np.float32)
    probabilities_TC[:, 0] = 0.9
    probabilities_TC[high, classes.index(label)] = 0.3
    scores_T = np.zeros(T, np.float32)
    scores_T[high] = 0.8
    return Prediction({"classifier": scores_T, "alignment": scores_T}, probabilities_TC)


@pytest.mark.parametrize("label", ["Robbery", "Fighting"])
def test_a_video_with_an_event_is_called_by_it_and_not_normal(
    checkpoint: Checkpoint, label: str
) -> None:
    answer = checkpoint.compose(video(), said(checkpoint, slice(5, 9), label), "v.mp4")
    assert [(event.label, event.start, event.end) for event in answer.events] == [(label, 8, 14.4)]
    assert answer.label == label
    assert np.argmax(np.max(answer.probabilities, axis=0)) == 0, "as a whole it looks normal"


def test_a_video_without_events_is_called_what_it_looks_like(checkpoint: Checkpoint) -> None:
    answer = checkpoint.compose(video(), said(checkpoint, slice(0, 0), "Robbery"), "v.mp4")
    assert answer.events == []
    assert answer.label == checkpoint.labels.classes[0]
