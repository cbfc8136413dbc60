"""The detector analyzes real files with the shipped models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from exvad.checkpoints.layout import CheckpointError
from exvad.data.world.activities import CLASSES
from exvad.data.world.scene import Scene
from exvad.detector.detector import AnalysisCallbacks, Detector
from exvad.video.container import VideoError
from exvad.video.sandbox import DecodingProcess
from tests.helpers.checkpoints import LABELS, save_untrained_checkpoint
from tests.helpers.videos import write_video


def test_analyze_scores_every_snippet_and_explains(detector: Detector, robbery: Path) -> None:
    scene = Scene(4, "Robbery", 11, 12)
    analysis = detector.analyze(robbery)
    assert analysis.num_frames == scene.num_frames
    assert len(analysis.scores) == len(analysis.times) == -(-scene.num_frames // 16)
    np.testing.assert_allclose(np.sum(analysis.probabilities, axis=1), 1, atol=1e-4)
    assert analysis.explanation is not None
    assert analysis.explanation.category == "Robbery"
    cited = [analysis.captions[number - 1].text for number in analysis.explanation.evidence]
    assert any("gun" in text or "bag" in text for text in cited)
    assert [event.start for event in analysis.events] == sorted(e.start for e in analysis.events)
    assert all(0 <= event.start < event.end <= analysis.duration + 0.1 for event in analysis.events)


def test_analyze_is_deterministic(detector: Detector, robbery: Path) -> None:
    assert detector.analyze(robbery) == detector.analyze(str(robbery))


def test_analyze_accepts_a_video_of_one_frame(detector: Detector, tmp_path: Path) -> None:
    analysis = detector.analyze(write_video(tmp_path / "one.mp4", 1, size=(160, 120)))
    assert analysis.num_frames == 1
    assert len(analysis.scores) == 1


def test_analyze_without_text_needs_no_captioner_and_no_language_model(
    tmp_path: Path, robbery: Path
) -> None:
    folder = save_untrained_checkpoint(
        tmp_path / "checkpoint", "model.text=none", "llm.model=/no/such/model"
    )
    analysis = Detector(folder).analyze(robbery)
    assert analysis.explanation is None
    assert analysis.scores


def test_analyze_detects_additional_classes_by_their_phrases(
    detector: Detector, robbery: Path
) -> None:
    categories = {"robbery": LABELS.phrases["Robbery"], "Queue": ["people stand in a line"]}
    analysis = detector.analyze(robbery, categories=categories)
    assert analysis.untrained == ["robbery", "Queue"]
    assert analysis.classes == [*CLASSES, "robbery", "Queue"]
    np.testing.assert_allclose(np.sum(analysis.probabilities, axis=1), 1, atol=1e-4)
    plain = detector.analyze(robbery)
    assert plain.untrained == []
    np.testing.assert_allclose(analysis.scores, plain.scores, atol=1e-5)
    # The phrases of a trained class give the same embedding.
    share_TC = np.array(analysis.probabilities)
    same = share_TC[:, list(CLASSES).index("Robbery")]
    np.testing.assert_allclose(share_TC[:, -2], same, atol=1e-5)
    assert np.abs(share_TC[:, -1] - same).max() > 1e-4
    wrongs: list[dict[str, list[str]]] = [{"Robbery": ["x"]}, {"New": []}, {"": ["x"]}]
    for wrong in [*wrongs, {"New": [" "]}]:
        with pytest.raises(ValueError, match="category"):
            detector.analyze(robbery, categories=wrong)


def test_detector_names_the_video_or_checkpoint_that_it_cannot_read(
    detector: Detector, tmp_path: Path
) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(VideoError, match=r"text\.mp4"):
        detector.analyze(tmp_path / "text.mp4")
    with pytest.raises(CheckpointError, match="nowhere"):
        Detector(tmp_path / "nowhere")


def test_analyze_finds_events_above_the_given_threshold(detector: Detector, robbery: Path) -> None:
    plain = detector.analyze(robbery)
    strict = detector.analyze(robbery, threshold=1.0)
    assert plain.events
    assert strict.events == []
    assert strict.threshold == 1
    assert strict.scores == plain.scores
    with pytest.raises(ValueError, match="between 0 and 1"):
        detector.analyze(robbery, threshold=1.1)


def test_callbacks_get_first_scores_and_progress_of_every_chunk(
    detector: Detector, robbery: Path
) -> None:
    times: list[float] = []
    scores: list[float] = []
    shares: list[float] = []

    def on_scores(times_t: NDArray[np.float64], scores_t: NDArray[np.float32]) -> None:
        times.extend(times_t.tolist())
        scores.extend(scores_t.tolist())

    callbacks = AnalysisCallbacks(on_progress=shares.append, on_scores=on_scores)
    analysis = detector.analyze(robbery, callbacks=callbacks)
    assert times == analysis.times
    assert len(scores) == len(times)
    assert all(0 <= score <= 1 for score in scores)
    assert shares[-1] == 1


def test_callbacks_get_the_explanation_while_it_is_generated(
    detector: Detector, robbery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exvad.encoders.llm.STREAM_INTERVAL_SECONDS", 0)
    texts: list[str] = []
    analysis = detector.analyze(robbery, callbacks=AnalysisCallbacks(on_text=texts.append))
    assert analysis.explanation is not None
    full_text = analysis.explanation.text
    assert len(texts) > 2
    assert all(full_text.startswith(text.strip()) for text in texts)
    assert len(texts[-1]) > len(full_text) / 2
    assert analysis == detector.analyze(robbery)


def test_analyze_without_explanation_scores_the_images_alone(
    detector: Detector, robbery: Path
) -> None:
    unexplained = detector.analyze_timed(robbery, explain=False)
    assert unexplained.analysis.explanation is None
    assert unexplained.analysis.captions == []
    assert any("images alone" in problem for problem in unexplained.analysis.problems)
    assert unexplained.seconds["captioning"] < 0.01
    explained = detector.analyze_timed(robbery)
    assert explained.analysis.scores != unexplained.analysis.scores
    stages = {"decoding", "encoding", "captioning", "explaining", "detecting"}
    assert set(explained.seconds) == stages


def test_analyze_with_a_decoding_process_gives_the_same_analysis(
    detector: Detector, robbery: Path, tmp_path: Path
) -> None:
    folder = save_untrained_checkpoint(tmp_path / "checkpoint")
    with DecodingProcess() as decoder:
        in_process = Detector(folder, models=detector.models)
        with_process = Detector(folder, models=detector.models, decoder=decoder)
        assert with_process.analyze(robbery) == in_process.analyze(robbery)
