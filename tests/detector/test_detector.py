"""The detector answers about real files through the shipped models, once loaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exvad.checkpoints.checkpoint import CheckpointError
from exvad.data.world.activities import CLASSES
from exvad.data.world.render import render_video
from exvad.data.world.scene import Scene
from exvad.detector.detector import Detector, Listener
from exvad.detector.extraction import Extractor
from exvad.video.chunks import Chunk
from exvad.video.container import DecodingLimitError, VideoError
from exvad.video.decoder import PlainDecoder
from exvad.video.decoding import DecodedChunk
from exvad.video.sandbox import DecodingProcess
from tests.helpers.checkpoints import LABELS, save
from tests.helpers.videos import write_video


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector(save(tmp_path_factory.mktemp("detector") / "checkpoint"))


@pytest.fixture(scope="module")
def robbery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "robbery.mp4"
    render_video(Scene(4, "Robbery", 11, 12), path)
    return path


def test_an_answer_has_a_score_for_every_snippet_and_says_why(
    detector: Detector, robbery: Path
) -> None:
    scene = Scene(4, "Robbery", 11, 12)
    answer = detector.analyze(robbery)
    assert answer.num_frames == scene.num_frames
    assert len(answer.scores) == len(answer.times) == -(-scene.num_frames // 16)
    np.testing.assert_allclose(np.sum(answer.probabilities, axis=1), 1, atol=1e-4)
    assert answer.explanation is not None
    assert answer.explanation.category == "Robbery"
    shown = [answer.captions[number - 1].text for number in answer.explanation.evidence]
    assert any("gun" in text or "bag" in text for text in shown)
    assert [event.start for event in answer.events] == sorted(e.start for e in answer.events)
    assert all(0 <= event.start < event.end <= answer.duration + 0.1 for event in answer.events)


def test_the_same_file_gets_the_same_answer(detector: Detector, robbery: Path) -> None:
    assert detector.analyze(robbery) == detector.analyze(str(robbery))


def test_one_frame_is_enough(detector: Detector, tmp_path: Path) -> None:
    answer = detector.analyze(write_video(tmp_path / "one.mp4", 1, size=(160, 120)))
    assert answer.num_frames == 1
    assert len(answer.scores) == 1


def test_a_detector_without_text_needs_no_captions(tmp_path: Path, robbery: Path) -> None:
    folder = save(tmp_path / "checkpoint", "model.text=none", "llm.model=/no/such/model")
    answer = Detector(folder).analyze(robbery)
    assert answer.explanation is None
    assert answer.scores


def test_a_class_described_in_words_is_looked_for_too(detector: Detector, robbery: Path) -> None:
    categories = {"robbery": LABELS.phrases["Robbery"], "Queue": ["people stand in a line"]}
    answer = detector.analyze(robbery, categories=categories)
    assert answer.untrained == ["robbery", "Queue"]
    assert answer.classes == [*CLASSES, "robbery", "Queue"]
    np.testing.assert_allclose(np.sum(answer.probabilities, axis=1), 1, atol=1e-4)
    plain = detector.analyze(robbery)
    assert plain.untrained == []
    np.testing.assert_allclose(answer.scores, plain.scores, atol=1e-5)
    # The same words as those of a trained class make the same embedding.
    share_TC = np.array(answer.probabilities)
    same = share_TC[:, list(CLASSES).index("Robbery")]
    np.testing.assert_allclose(share_TC[:, -2], same, atol=1e-5)
    assert np.abs(share_TC[:, -1] - same).max() > 1e-4
    wrongs: list[dict[str, list[str]]] = [{"Robbery": ["x"]}, {"New": []}, {"": ["x"]}]
    for wrong in [*wrongs, {"New": [" "]}]:
        with pytest.raises(ValueError, match="category"):
            detector.analyze(robbery, categories=wrong)


def test_no_video_and_no_checkpoint_are_named(detector: Detector, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(VideoError, match=r"text\.mp4"):
        detector.analyze(tmp_path / "text.mp4")
    with pytest.raises(CheckpointError, match="nowhere"):
        Detector(tmp_path / "nowhere")


def test_a_threshold_of_ones_own_decides_what_is_an_event(
    detector: Detector, robbery: Path
) -> None:
    plain = detector.analyze(robbery)
    strict = detector.analyze(robbery, threshold=1.0)
    assert plain.events
    assert strict.events == []
    assert strict.threshold == 1
    assert strict.scores == plain.scores
    with pytest.raises(ValueError, match="between 0 and 1"):
        detector.analyze(robbery, threshold=1.1)


def test_first_scores_come_while_the_video_is_seen(detector: Detector, robbery: Path) -> None:
    heard: list[tuple[list[float], list[float]]] = []
    shares: list[float] = []
    answer = detector.analyze(
        robbery,
        listener=Listener(
            progress=shares.append,
            scores=lambda times_t, scores_t: heard.append((times_t.tolist(), scores_t.tolist())),
        ),
    )
    assert [time for times, _ in heard for time in times] == answer.times
    assert all(0 <= score <= 1 for _, scores in heard for score in scores)
    assert shares[-1] == 1


def test_the_explanation_is_told_while_it_is_written(
    detector: Detector, robbery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exvad.encoders.llm.TOLD_SECONDS", 0)
    heard: list[str] = []
    answer = detector.analyze(robbery, listener=Listener(words=heard.append))
    assert answer.explanation is not None
    whole = answer.explanation.text
    assert len(heard) > 2
    assert all(whole.startswith(said.strip()) for said in heard)
    assert len(heard[-1]) > len(whole) / 2
    assert answer == detector.analyze(robbery)


def test_without_an_explanation_the_pictures_alone_are_scored(
    detector: Detector, robbery: Path
) -> None:
    told = detector.examine(robbery, explain=False)
    assert told.analysis.explanation is None
    assert told.analysis.captions == []
    assert any("pictures alone" in problem for problem in told.analysis.problems)
    assert told.seconds["captioning"] < 0.01
    full = detector.examine(robbery)
    assert full.analysis.scores != told.analysis.scores
    assert set(full.seconds) == {"decoding", "encoding", "captioning", "explaining", "detecting"}


def test_another_process_may_decode(detector: Detector, robbery: Path, tmp_path: Path) -> None:
    folder = save(tmp_path / "checkpoint")
    with DecodingProcess() as decoder:
        elsewhere = Detector(folder, models=detector.models, decoder=decoder)
        assert elsewhere.analyze(robbery) == Detector(folder, models=detector.models).analyze(
            robbery
        )


class BrokenAfter(PlainDecoder):
    """Decodes the first chunks only."""

    def __init__(self, good: int, error: type[VideoError] = VideoError) -> None:
        self.good, self.error = good, error

    def decode(self, chunk: Chunk, short_side: int | None = None) -> DecodedChunk:
        if chunk.chunk >= self.good:
            raise self.error(chunk.path, f"chunk {chunk.chunk} is broken")
        return super().decode(chunk, short_side)


def test_a_stretch_that_cannot_be_decoded_is_stood_in_for_and_said(
    detector: Detector, robbery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exvad.detector.extraction.SNIPPETS_AT_ONCE", 4)
    extractor = Extractor(detector.config, detector.models, detector.classes, BrokenAfter(2))
    found = extractor.extract(robbery)
    visual_TD = found.features.visual
    assert len(visual_TD) == len(found.features.times) > 8
    np.testing.assert_array_equal(visual_TD[8:], np.repeat(visual_TD[7:8], len(visual_TD) - 8, 0))
    assert "chunk 2 is broken" in found.problems[0]
    assert max(found.features.caption_snippets) < 8
    for decoder in (BrokenAfter(0), BrokenAfter(2, DecodingLimitError)):
        extractor = Extractor(detector.config, detector.models, detector.classes, decoder)
        with pytest.raises(VideoError, match="is broken"):
            extractor.extract(robbery)
