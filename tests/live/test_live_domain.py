"""A stream that leaves what its checkpoint was trained on says so once, and when it is back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from exvad.checkpoints.checkpoint import Checkpoint
from exvad.detector.detector import Detector
from exvad.inference.domain import fit_domain
from exvad.live.alerts import AlertRule
from exvad.live.live_detector import LiveDetector
from exvad.live.live_domain import LiveDomain
from exvad.live.settings import LiveSettings
from exvad.results import LiveAlert, LiveNotice, LiveScores
from exvad.video.frame_buffer import LiveFrame

SETTINGS = LiveSettings(window=8, context=3)


def training_videos(width: int = 32) -> list[NDArray[np.float16]]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(12, width)).astype(np.float16) for _ in range(40)]


def test_add_gives_a_notice_when_the_stream_leaves_the_domain_and_when_it_is_back() -> None:
    *training, first, second, third = training_videos()
    live = LiveDomain(fit_domain(training), "It was trained on noise.", SETTINGS)
    snippets = [*first, *(second + 5), *third]
    notices = [(number, item) for number, row in enumerate(snippets) for item in live.add(row)]
    (left, outside), (returned, back) = notices
    assert 12 < left < 20
    assert outside.kind == "domain"
    assert (outside.outside, back.outside) == (True, False)
    assert outside.text.startswith("Outside the domain of this checkpoint")
    assert outside.text.endswith("It was trained on noise.")
    assert 24 < returned < 32
    assert "like those of training" in back.text
    assert (live.notice, live.confidence_weight) == ("", 1)


def test_add_says_nothing_before_there_is_context_or_without_statistics() -> None:
    videos = training_videos()
    live = LiveDomain(fit_domain(videos), "", SETTINGS)
    assert [len(live.add(row)) for row in videos[0] + 5][:4] == [0, 0, 1, 0]
    unaware = LiveDomain(None, "", SETTINGS)
    assert [notice for row in videos[0] + 5 for notice in unaware.add(row)] == []


@pytest.mark.parametrize("is_known", [True, False])
def test_process_says_so_before_the_first_alert_and_lowers_its_confidence(
    detector: Detector, frames: list[LiveFrame], is_known: bool
) -> None:
    images = np.stack([frame.frame for frame in frames])
    features = detector.models.clip.encode_images(images)
    rng = np.random.default_rng(0)
    if is_known:
        # These very frames, with noise and without: without any, a stream has too little of it.
        noise = [features + rng.normal(0, 0.02 * (row % 2), features.shape) for row in range(40)]
    else:
        noise = [rng.normal(0, 0.02, features.shape) for _ in range(40)]
    assert isinstance(detector.checkpoint, Checkpoint)
    checkpoint = replace(detector.checkpoint, domain=fit_domain(noise))
    always = AlertRule(on=0.0, off=0.0, least_seconds=0, cool_down_seconds=0)
    live = LiveDetector(checkpoint, detector.models, always, LiveSettings(explain=False))
    records = [record for frame in frames for record in live.process([frame])]
    alerts = [record for record in records if isinstance(record, LiveAlert)]
    notices = [record for record in records if isinstance(record, LiveNotice)]
    expected = checkpoint.calibration.confidence(alerts[0].peak)
    assert alerts[0].confidence is not None
    if is_known:
        assert notices == []
        assert alerts[0].domain == ""
        assert alerts[0].confidence == pytest.approx(expected)
        return
    assert [notice.kind for notice in notices] == ["domain"]
    assert checkpoint.config.data.about in notices[0].text
    place = records.index(notices[0])
    assert place < records.index(alerts[0])
    assert isinstance(records[place + 1], LiveScores), "the notice comes first"
    assert alerts[0].domain.startswith("Outside the domain")
    assert alerts[0].confidence < expected
