"""Extraction replaces chunks that cannot be decoded, and reports them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from exvad.config import override_config
from exvad.detector.detector import Detector
from exvad.detector.extraction import Extractor
from exvad.detector.guided_clips import SnippetScores
from exvad.encoders.answers import Answer
from exvad.report.evidence import evidence_frames
from exvad.store.examples import snippet_text
from exvad.store.feature_bank import VideoFeatures
from exvad.store.grounding import VOTES
from exvad.video.chunks import Chunk
from exvad.video.container import DecodingLimitError, VideoError
from exvad.video.decoder import InProcessDecoder
from exvad.video.decoding import DecodedChunk
from tests.helpers.explanations import explanation_json
from tests.helpers.fakes import FrozenModels, RefusingCaptioner, ScriptedLLM
from tests.helpers.videos import draw_index, write_video


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


@pytest.mark.parametrize("declines", ["captioner", "llm"])
def test_analyze_keeps_the_scores_of_a_video_that_a_model_declines_to_explain(
    detector: Detector, robbery: Path, declines: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    captioner, llm = detector.models.captioner, ScriptedLLM([Answer("", refusal="too violent")])
    if declines == "captioner":
        captioner = RefusingCaptioner()
    models = FrozenModels(detector.models.clip, captioner, llm)
    extractor = Extractor(detector.config, models, detector.classes)
    plain = detector.analyze(robbery, explain=False)
    monkeypatch.setattr(detector, "_extractor", extractor)
    analysis = detector.analyze(robbery)
    np.testing.assert_allclose(analysis.scores, plain.scores, atol=1e-5)  # batches differ
    assert analysis.explanation is None
    (problem,) = analysis.problems
    assert problem.startswith("no explanation: ")
    assert problem.endswith("refused: too violent (the scores use the images alone)")
    assert bool(analysis.captions) == (declines == "llm")


@pytest.mark.parametrize(
    "decoder", [FailingDecoder(0), FailingDecoder(2, DecodingLimitError)], ids=["all", "limit"]
)
def test_extract_raises_if_all_chunks_fail_or_a_limit_is_reached(
    detector: Detector, robbery: Path, decoder: FailingDecoder
) -> None:
    with pytest.raises(VideoError, match="is broken"):
        extractor(detector, decoder).extract(robbery)


def test_analyze_names_what_is_odd_about_a_file(detector: Detector, tmp_path: Path) -> None:
    times = [100 * index + 600_000 * (index >= 32) for index in range(64)]
    path = write_video(tmp_path / "gap.mkv", 64, milliseconds=times)
    analysis = detector.analyze(path, explain=False)
    assert "nothing was recorded from second 3.2 to 603.2" in analysis.problems
    assert analysis.duration == pytest.approx(606.4)
    assert analysis.fps == pytest.approx(10)
    always = detector.analyze(path, explain=False, threshold=0.0)
    assert any(event.end == pytest.approx(3.2) for event in always.events)
    assert all(event.end <= 3.21 or event.start >= 603.19 for event in always.events)


def test_analyze_takes_a_folder_of_frames(detector: Detector, tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for index in range(40):
        Image.fromarray(draw_index(index, (64, 48))).save(folder / f"{index}.png")
    analysis = detector.analyze(folder)
    assert (analysis.video, analysis.num_frames, analysis.fps) == ("frames", 40, 25)
    assert len(evidence_frames(folder, analysis)) == len(analysis.captions)


@pytest.mark.parametrize("parallel", [False, True])
def test_extract_puts_guided_captions_where_the_network_sees_something(
    detector: Detector, robbery: Path, parallel: bool
) -> None:
    captioner = {"per_video": 4, "placement": "guided"}
    config = override_config(
        detector.config, {f"captioner.{name}": value for name, value in captioner.items()}
    )
    even = override_config(config, {"captioner.placement": "even"})

    def score(visual_tD: NDArray[np.float16]) -> NDArray[np.float32]:
        return visual_tD[:, 0].astype(np.float32)

    features = [
        Extractor(settings, detector.models, detector.classes, parallel=parallel, score=score)
        .extract(robbery)
        .features
        for settings in (even, config)
    ]
    evenly, guided = (set(video.caption_snippets) for video in features)
    assert len(guided) == len(features[1].captions) == 4
    assert features[1].caption_snippets == sorted(guided)
    assert set(sorted(evenly)[::2]) <= guided
    scores_T = score(features[1].visual)
    moved, free = guided - set(sorted(evenly)[::2]), set(range(len(scores_T)))
    best = max(free - set(sorted(evenly)[::2]), key=scores_T.__getitem__)
    assert best in moved


def test_extract_places_captions_of_a_long_video_where_the_network_sees_something(
    detector: Detector, robbery: Path
) -> None:
    """At even distances an event may have none, and the text says that nothing happens."""

    def score(visual_tD: NDArray[np.float16]) -> NDArray[np.float32]:
        return visual_tD[:, 0].astype(np.float32)

    def extract(stride: int, score: SnippetScores | None) -> VideoFeatures:
        settings = {"data.stride": stride, "captioner.per_video": 4}
        config = override_config(detector.config, settings)
        return (
            Extractor(config, detector.models, detector.classes, parallel=True, score=score)
            .extract(robbery)
            .features
        )

    short = [extract(16, given) for given in (None, score)]
    assert short[0].caption_snippets == short[1].caption_snippets
    even, guided = (extract(2, given) for given in (None, score))
    assert len(even.times) > 4 * 16
    kept = even.caption_snippets[::2]
    moved = sorted(set(guided.caption_snippets) - set(kept))
    assert len(guided.captions) == 4
    assert len(moved) == 2
    scores_T = score(guided.visual)
    assert scores_T[moved].min() > np.median(scores_T)
    assert moved != even.caption_snippets[1::2]


def test_extract_gives_grounded_text_that_differs_from_snippet_to_snippet(
    detector: Detector, robbery: Path
) -> None:
    config = override_config(detector.config, {"model.text": "grounded"})
    features = Extractor(config, detector.models, detector.classes).extract(robbery).features
    text = snippet_text(features)
    assert features.grounded
    assert features.text is not None
    snippets, width = features.visual.shape
    assert features.text.shape == (len(features.captions), width + VOTES)
    assert text is not None
    assert text.shape == (snippets, width + VOTES)
    assert text[:, -1].max() > 0.5, "the captions vote for the snippets of the robbery"
    declining = FrozenModels(
        detector.models.clip, detector.models.captioner, ScriptedLLM([Answer("", refusal="no")])
    )
    unexplained = Extractor(config, declining, detector.classes).extract(robbery).features
    silent = snippet_text(unexplained)
    assert silent is not None
    assert silent.shape == (width + VOTES,)
    assert not silent.any()


class InterleavingLLM:
    """Answers all prompts at once, a few letters of each in turn.

    Attributes:
        prompts: the prompts so far.
    """

    def __init__(self) -> None:
        self.prompts: list[str] = []

    def complete(self, prompts: Sequence[str]) -> list[Answer]:
        return self.stream(prompts, lambda *_: None)

    def stream(self, prompts: Sequence[str], on_text: Callable[[int, str], None]) -> list[Answer]:
        self.prompts += prompts
        answers = [
            explanation_json(
                anomalous=number == 2,
                category="Robbery" if number == 2 else "Normal",
                summary=f"part {number}.",
                reason="so.",
            )
            for number in range(1, len(prompts) + 1)
        ]
        for end in range(0, max(map(len, answers)) + 1, 8):
            for index, answer in enumerate(answers):
                on_text(index, answer[:end])
        return [Answer(answer) for answer in answers]


def test_extract_explains_each_segment_of_a_long_video(detector: Detector, robbery: Path) -> None:
    llm, reported = InterleavingLLM(), list[str]()
    settings = {"model.text": "grounded", "llm.segment_captions": 3, "captioner.per_video": 8}
    config = override_config(detector.config, settings)
    models = FrozenModels(detector.models.clip, detector.models.captioner, llm)
    extractor = Extractor(config, models, detector.classes)
    features = extractor.extract(robbery, on_text=reported.append).features
    assert len(llm.prompts) == 3
    assert features.segment_ends == [2, 5, 8]
    assert [segment["evidence"] for segment in features.segment_records] == [[1], [3], [6]]
    assert features.record is not None
    assert (features.record["category"], features.record["evidence"]) == ("Robbery", [3])
    assert features.text is not None
    assert features.text.shape == (8, features.visual.shape[1] + VOTES)
    np.testing.assert_array_equal(features.text[0], features.text[1])
    assert np.abs(features.text[0] - features.text[-1]).max() > 0.01
    assert "part 1. part 2. part 3." in reported
    assert reported[-1].startswith("part 1. so. part 2. so. part 3. so")
