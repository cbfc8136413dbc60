"""Extraction replaces chunks that cannot be decoded, and reports them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exvad.detector.detector import Detector
from exvad.detector.extraction import Extractor
from exvad.video.chunks import Chunk
from exvad.video.container import DecodingLimitError, VideoError
from exvad.video.decoder import InProcessDecoder
from exvad.video.decoding import DecodedChunk


class FailingDecoder(InProcessDecoder):
    """Decodes the first chunks only.

    Args:
        good: number of chunks that it decodes.
        error: the error of all others.
    """

    def __init__(self, good: int, error: type[VideoError] = VideoError) -> None:
        self.good, self.error = good, error

    def decode(self, chunk: Chunk, short_side: int | None = None) -> DecodedChunk:
        if chunk.chunk >= self.good:
            raise self.error(chunk.path, f"chunk {chunk.chunk} is broken")
        return super().decode(chunk, short_side)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exvad.detector.extraction.SNIPPETS_AT_ONCE", 4)


def extractor(detector: Detector, decoder: FailingDecoder) -> Extractor:
    return Extractor(detector.config, detector.models, detector.classes, decoder)


def test_extract_replaces_failed_chunks_by_the_nearest_frame(
    detector: Detector, robbery: Path
) -> None:
    extraction = extractor(detector, FailingDecoder(2)).extract(robbery)
    visual_TD = extraction.features.visual
    assert len(visual_TD) == len(extraction.features.times) > 8
    np.testing.assert_array_equal(visual_TD[8:], np.repeat(visual_TD[7:8], len(visual_TD) - 8, 0))
    assert "chunk 2 is broken" in extraction.problems[0]
    assert max(extraction.features.caption_snippets) < 8


@pytest.mark.parametrize(
    "decoder", [FailingDecoder(0), FailingDecoder(2, DecodingLimitError)], ids=["all", "limit"]
)
def test_extract_raises_if_all_chunks_fail_or_a_limit_is_reached(
    detector: Detector, robbery: Path, decoder: FailingDecoder
) -> None:
    with pytest.raises(VideoError, match="is broken"):
        extractor(detector, decoder).extract(robbery)
