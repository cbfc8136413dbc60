"""Label Studio: exports read as the player counts frames, and tasks that Label Studio accepts."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from exvad.data.annotations.annotated import AnnotatedVideo, AnnotationError, Annotations
from exvad.data.annotations.label_studio import (
    label_studio_tasks,
    labeling_interface,
    read_label_studio,
)
from exvad.data.records import Event, TimedEvent
from tests.helpers.annotation_files import (
    CLASSES,
    LABEL_STUDIO,
    LABEL_STUDIO_MIN,
    found_annotations,
    marked_annotations,
)


def write(folder: Path, content: Any) -> Path:
    path = folder / "export.json"
    path.write_text(json.dumps(content))
    return path


def test_read_label_studio_reads_timelines_tracks_and_choices(tmp_path: Path) -> None:
    read = read_label_studio(write(tmp_path, LABEL_STUDIO))
    door, quiet = read.videos
    assert (door.name, door.labels) == ("shop door.mp4", ("Robbery",))
    # The tracked box says 500 frames in 20 s, so both kinds of frames count at 25 per second.
    assert door.timed_events == (
        TimedEvent(4.8, 14.4, "Robbery"),
        TimedEvent(2.0, 3.0, "Vandalism"),
    )
    assert quiet == AnnotatedVideo("cam2/0001.mp4")
    late, unread = read.notes
    assert unread == "1 results of type 'textarea' mark no event"
    assert late.endswith("late.mp4 is not annotated yet and is left out")


def test_read_label_studio_needs_the_rate_that_frames_count_at(tmp_path: Path) -> None:
    path = write(tmp_path, LABEL_STUDIO_MIN)
    with pytest.raises(AnnotationError, match=r"frameRate of the project's <Video> tag.*--fps"):
        read_label_studio(path)
    (door,) = read_label_studio(path, fps=24).videos
    assert door.timed_events == (TimedEvent(5.0, 15.0, "Robbery"),)
    assert (door.fps, door.labels) == (None, ("Robbery",))


def test_read_label_studio_reads_regions_in_seconds(tmp_path: Path) -> None:
    region = {"type": "labels", "value": {"start": 1.5, "end": 4, "labels": ["Arson"]}}
    data = {"video_url": "https://host/a/b.mp4?token=1"}
    task = {"data": data, "annotations": [{"result": [region]}]}
    (video,) = read_label_studio(write(tmp_path, [task])).videos
    assert video == AnnotatedVideo("b.mp4", timed_events=(TimedEvent(1.5, 4, "Arson"),))


def test_read_label_studio_takes_the_ground_truth_of_several_annotations(tmp_path: Path) -> None:
    tasks = copy.deepcopy(LABEL_STUDIO[:1])
    first = tasks[0]["annotations"][0]
    truth = {"result": [], "ground_truth": True}
    skipped = {"result": [], "was_cancelled": True}
    tasks[0]["annotations"] = [skipped, first, truth]
    read = read_label_studio(write(tmp_path, tasks))
    assert read.videos[0].timed_events == ()
    assert read.notes[0].endswith("has 2 annotations; the ground truth is read")


def test_completions_of_old_versions_are_annotations(tmp_path: Path) -> None:
    tasks = copy.deepcopy(LABEL_STUDIO)
    expected = read_label_studio(write(tmp_path, tasks))
    for task in tasks:
        task["completions"] = task.pop("annotations", [])
    assert read_label_studio(write(tmp_path, tasks)) == expected
    assert expected.videos[0].timed_events
    assert not expected.videos[0].predicted


def test_the_first_annotation_counts_where_json_min_repeats_the_task(tmp_path: Path) -> None:
    (first,) = copy.deepcopy(LABEL_STUDIO_MIN)
    again = copy.deepcopy(first) | {"annotator": 2, "annotation_id": 18, "videoLabels": []}
    other = copy.deepcopy(first) | {"id": 42, "video": "/data/upload/3/aaaaaaaa-hall.mp4"}
    read = read_label_studio(write(tmp_path, [first, again, other]), fps=24)
    assert [video.name for video in read.videos] == ["shop door.mp4", "hall.mp4"]
    assert read.videos[0].timed_events == (TimedEvent(5.0, 15.0, "Robbery"),)
    (note,) = read.notes
    assert note.endswith("task 2: shop door.mp4 is annotated again; the first annotation is read")


@pytest.mark.parametrize(("rate", "known"), [("25", 25.0), (" 29.97", 29.97), ("$fps", None)])
def test_the_rate_of_a_task_may_be_a_text(tmp_path: Path, rate: str, known: float | None) -> None:
    (task,) = copy.deepcopy(LABEL_STUDIO_MIN)
    (door,) = read_label_studio(write(tmp_path, [task | {"fps": rate}]), fps=24).videos
    assert door.fps == known
    if known is not None:
        assert door.events == (Event(120, 360, "Robbery"),)


def test_a_track_without_an_end_lasts_to_the_end_of_the_video(tmp_path: Path) -> None:
    tasks = copy.deepcopy(LABEL_STUDIO[:1])
    tasks[0]["annotations"][0]["result"][1]["value"]["sequence"].pop()
    read = read_label_studio(write(tmp_path, tasks))
    assert read.videos[0].timed_events[1] == TimedEvent(2.0, 20.0, "Vandalism")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("[", "this is not JSON"),
        ([[]], r"task 1: there must be an object"),
        ([{"data": {"image": "a.jpg"}}], "there is no video among image"),
        ([{"data": {"video": "a.mp4"}, "annotations": {}}], None),
        (
            [
                {
                    "data": {"video": "a.mp4", "fps": 25},
                    "annotations": [
                        {
                            "result": [
                                {
                                    "type": "timelinelabels",
                                    "value": {
                                        "ranges": [{"start": 9, "end": 3}],
                                        "timelinelabels": ["x"],
                                    },
                                }
                            ]
                        }
                    ],
                }
            ],
            r"task 1 \(a.mp4\): a region runs from frame 9 back to 3",
        ),
        (
            [{"data": {"video": "a.mp4"}, "annotations": [{"result": [{"value": 3}]}]}],
            "there must be an object",
        ),
    ],
)
def test_read_label_studio_names_what_is_wrong(
    tmp_path: Path, content: Any, what: str | None
) -> None:
    path = tmp_path / "export.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    if what is None:
        assert read_label_studio(path).videos == ()
        return
    with pytest.raises(AnnotationError, match=what):
        read_label_studio(path)


UNNAMED: dict[str, Any] = {
    "timelinelabels": {"ranges": [{"start": 1, "end": 10}], "timelinelabels": []},
    "labels": {"start": 1.5, "end": 4},
    "videorectangle": {"framesCount": 9, "sequence": [{"frame": 1, "enabled": True}]},
}


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("timelinelabels", r" \(frames 1 to 10\)"),
        ("labels", r" \(seconds 1.5 to 4\)"),
        ("videorectangle", ""),
    ],
)
def test_a_region_without_a_label_is_refused(tmp_path: Path, kind: str, place: str) -> None:
    """Somebody marked it, so that its video is not a normal one."""
    region = {"id": "Zb3", "type": kind, "value": UNNAMED[kind]}
    task = {"data": {"video": "a.mp4", "fps": 25}, "annotations": [{"result": [region]}]}
    message = rf"task 1 \(a.mp4\): the region Zb3{place} has no label: give it one in Label Studio"
    with pytest.raises(AnnotationError, match=message):
        read_label_studio(write(tmp_path, [task]))


def test_a_region_without_a_label_is_refused_in_json_min(tmp_path: Path) -> None:
    region = {"ranges": [{"start": 1, "end": 10}]}
    task = {"id": 1, "video": "a.mp4", "fps": 25, "events": [region]}
    with pytest.raises(AnnotationError, match=r"the region \(frames 1 to 10\) has no label"):
        read_label_studio(write(tmp_path, [task]))


def test_a_tracked_box_may_lack_a_label_where_the_video_has_one(tmp_path: Path) -> None:
    box = {"type": "videorectangle", "value": UNNAMED["videorectangle"]}
    choice = {"type": "choices", "value": {"choices": ["Arson"]}}
    task = {"data": {"video": "a.mp4"}, "annotations": [{"result": [box, choice]}]}
    read = read_label_studio(write(tmp_path, [task]))
    assert read.videos == (AnnotatedVideo("a.mp4", ("Arson",)),)
    assert read.notes == ("1 results of type 'videorectangle' mark no event",)


@settings(max_examples=40, deadline=None)
@given(annotations=marked_annotations())
def test_marked_events_come_back_from_label_studio(
    tmp_path_factory: pytest.TempPathFactory, annotations: Annotations
) -> None:
    path = write(tmp_path_factory.mktemp("tasks"), label_studio_tasks(annotations))
    for read, video in zip(read_label_studio(path).videos, annotations.videos, strict=True):
        assert (read.name, read.events, read.fps) == (video.name, video.events, video.fps)
        assert not read.predicted


@settings(max_examples=40, deadline=None)
@given(annotations=found_annotations())
def test_found_events_come_back_from_label_studio_as_predictions(
    tmp_path_factory: pytest.TempPathFactory, annotations: Annotations
) -> None:
    path = write(tmp_path_factory.mktemp("tasks"), label_studio_tasks(annotations))
    for read, video in zip(read_label_studio(path).videos, annotations.videos, strict=True):
        assert read.predicted
        assert (read.scores, read.labels) == (video.scores, video.labels)
        for one, other in zip(read.timed_events, video.timed_events, strict=True):
            assert one.label == other.label
            assert (one.start, one.end) == pytest.approx((other.start, other.end), abs=1e-6)


@pytest.mark.parametrize("prefix", ["/data/local-files/?d=", "s3://bucket/"])
def test_a_prefix_says_where_label_studio_finds_the_videos(tmp_path: Path, prefix: str) -> None:
    annotations = Annotations((AnnotatedVideo("cam1/0001.mp4"),))
    tasks = label_studio_tasks(annotations, prefix)
    assert tasks[0]["data"]["video"] == f"{prefix}cam1/0001.mp4"
    (video,) = read_label_studio(write(tmp_path, tasks)).videos
    assert video.video("test").video_id in ("cam1/0001", "0001")


def test_label_studio_tasks_need_a_rate() -> None:
    event = TimedEvent(1.0, 2.0, "Robbery")
    with pytest.raises(AnnotationError, match=r"the frame rate of a.mp4 is not known.*--fps"):
        label_studio_tasks(Annotations((AnnotatedVideo("a.mp4", timed_events=(event,)),)))


def test_label_studios_own_library_accepts_the_tasks() -> None:
    sdk = pytest.importorskip("label_studio_sdk.label_interface", reason="needs label-studio-sdk")
    interface = sdk.LabelInterface(labeling_interface(('a "quoted" & <odd> one', *CLASSES)))
    interface.validate()
    marked = AnnotatedVideo("a.mp4", ("Robbery",), (Event(120, 360, "Robbery"),), fps=25.0)
    found = AnnotatedVideo(
        "b.mp4", (), (), (TimedEvent(1, 2, "Robbery"),), (0.7,), fps=25.0, predicted=True
    )
    with_truth, with_guess = label_studio_tasks(Annotations((marked, found), CLASSES))
    assert interface.validate_task({"id": 1, "data": with_truth["data"]})
    assert all(interface.validate_annotation(item) for item in with_truth["annotations"])
    for prediction in with_guess["predictions"]:
        assert interface.validate_prediction(prediction, return_errors=True) == []
    wrong = copy.deepcopy(with_guess["predictions"][0])
    wrong["result"][0]["value"]["timelinelabels"] = ["No such class"]
    assert interface.validate_prediction(wrong, return_errors=True) != []
