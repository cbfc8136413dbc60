"""Evidence frames show the moments of their captions, cited ones first."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from exvad.report.evidence import evidence_frames
from tests.helpers.report_cases import FIGHT, FPS, SECONDS, make_analysis


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a video of 32 seconds in which every second is 7 levels brighter than the last."""
    path = tmp_path_factory.mktemp("film") / "street.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=int(FPS))
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(int(SECONDS * FPS)):
            level = 7 * int(number / FPS)
            frame = np.full((240, 320, 3), level, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_evidence_frames_show_the_moments_of_their_captions(film: Path) -> None:
    analysis = make_analysis(FIGHT, explained="Fighting")
    frames = evidence_frames(film, analysis, limit=5)
    assert list(frames) == sorted(frames)
    assert len(frames) == 5
    for number, jpeg in frames.items():
        image = Image.open(io.BytesIO(jpeg))
        assert (image.format, image.size) == ("JPEG", (213, 160))
        brightness = float(np.asarray(image).mean())
        assert brightness == pytest.approx(7 * int(analysis.captions[number - 1].time), abs=4)


def test_evidence_frames_prefer_cited_ones_then_events(film: Path) -> None:
    analysis = make_analysis(FIGHT, explained="Fighting")
    inside = set(analysis.events[0].captions)
    assert set(evidence_frames(film, analysis, limit=2)) == {8, 9}
    assert set(evidence_frames(film, analysis, limit=4)) < inside
    assert set(evidence_frames(film, analysis, limit=8)) > inside
    assert len(evidence_frames(film, make_analysis(), limit=3)) == 3
    assert evidence_frames(film, analysis.model_copy(update={"captions": []})) == {}


def test_evidence_frames_keep_the_size_of_small_frames(film: Path) -> None:
    frames = evidence_frames(film, make_analysis(), limit=1, short_side=1000)
    assert [Image.open(io.BytesIO(jpeg)).size for jpeg in frames.values()] == [(320, 240)]
