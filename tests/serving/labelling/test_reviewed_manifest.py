"""The manifest of reviews: splits, spelling and ids."""

from __future__ import annotations

from pathlib import Path

from exvad.serving.labelling.reviewed_manifest import make_manifest, summarize
from exvad.serving.queue.reviews import AnalyzedVideo, ResultFacts
from exvad.serving.schemas.reviews import Review, ReviewedEvent

FACTS = ResultFacts(("Normal", "Arson"), 100, 25)


def reviewed(path: str, *labels: str) -> AnalyzedVideo:
    """A reviewed video with an event of each class."""
    events = [
        ReviewedEvent(start=number, end=number + 1, label=label, decision="added")
        for number, label in enumerate(labels)
    ]
    return AnalyzedVideo(path, Path(path), "done", Review(events=events))


def test_a_quarter_of_every_class_is_held_out_for_testing() -> None:
    videos = [reviewed(f"/v/fall{number}.mp4", "Fall") for number in range(8)]
    videos += [reviewed(f"/v/normal{number}.mp4") for number in range(4)]
    manifest = make_manifest(videos, {v.analysis_id: FACTS for v in videos}, Path("/v/labels.csv"))
    assert manifest is not None
    tests = [video.labels for video in manifest.of_split("test")]
    assert sorted(tests) == [("Fall",), ("Fall",), ("Normal",)]


def test_classes_that_differ_in_case_are_one_and_ids_are_unique() -> None:
    videos = [
        reviewed("/v/a.mp4", "Fall", "fall"),
        reviewed("/v/a.avi", "FALL"),
        reviewed("/w/b.mp4", "Arson"),
    ]
    manifest = make_manifest(videos, {v.analysis_id: FACTS for v in videos}, Path("/v/labels.csv"))
    assert manifest is not None
    assert manifest.classes == ("Normal", "Arson", "Fall")
    assert [video.labels for video in manifest.videos] == [("Fall",), ("Fall",), ("Arson",)]
    assert [video.video_id for video in manifest.videos] == ["a.mp4", "a.avi", "w/b"]


def test_advice_names_the_classes_of_which_there_are_too_few_videos() -> None:
    path = Path("/v/labels.csv")
    assert summarize([], path).advice == ""
    videos = [reviewed(f"/v/fall{number}.mp4", "Fall", "fall") for number in range(3)]
    assert summarize(videos, path).advice == (
        "Training needs at least 3 videos of every class, one of them to validate and one to test: "
        "normal has 0."
    )
    videos += [reviewed(f"/v/normal{number}.mp4") for number in range(3)]
    assert summarize(videos, path).advice == ""
    assert "test: Arson has 1." in summarize([*videos, reviewed("/v/a.mp4", "Arson")], path).advice
