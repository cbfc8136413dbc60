"""JSON in the manner of COCO-VID: events come back, and pycocotools loads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from exvad.data.annotations.annotated import (
    AnnotatedVideo,
    AnnotationError,
    Annotations,
    Sentence,
)
from exvad.data.annotations.coco_vid import coco_vid, read_coco_vid
from exvad.data.records import Event, TimedEvent
from tests.helpers.annotation_files import CLASSES, found_annotations, marked_annotations


def write(folder: Path, content: Any) -> Path:
    path = folder / "coco.json"
    path.write_text(json.dumps(content))
    return path


@settings(max_examples=40, deadline=None)
@given(annotations=marked_annotations())
def test_marked_events_come_back_from_coco_vid(
    tmp_path_factory: pytest.TempPathFactory, annotations: Annotations
) -> None:
    assert (
        read_coco_vid(write(tmp_path_factory.mktemp("coco"), coco_vid(annotations))) == annotations
    )


@settings(max_examples=40, deadline=None)
@given(annotations=found_annotations())
def test_found_events_come_back_from_coco_vid(
    tmp_path_factory: pytest.TempPathFactory, annotations: Annotations
) -> None:
    read = read_coco_vid(write(tmp_path_factory.mktemp("coco"), coco_vid(annotations)))
    for again, video in zip(read.videos, annotations.videos, strict=True):
        assert (again.scores, again.timed_events) == (video.scores, video.timed_events)


def test_events_in_seconds_need_no_rate(tmp_path: Path) -> None:
    video = AnnotatedVideo("a.mp4", ("Robbery",), (), (TimedEvent(1.5, 2.25, "Robbery"),))
    content = coco_vid(Annotations((video,), CLASSES))
    assert content["annotations"][0]["segment"] == [1.5, 2.25]
    assert "start_frame" not in content["annotations"][0]
    assert read_coco_vid(write(tmp_path, content)).videos == (video,)


def test_sentences_are_captions() -> None:
    video = AnnotatedVideo("a.mp4", sentences=(Sentence(1, 2, "A dog."),))
    captions = coco_vid(Annotations((video,)))["captions"]
    assert captions == [{"video_id": 1, "segment": [1, 2], "caption": "A dog."}]


@pytest.mark.parametrize(
    ("annotation", "what"),
    [
        (
            {"video_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9]},
            "neither segment nor start_frame",
        ),
        ({"video_id": 1, "category_id": 7, "segment": [0, 1]}, "no category of the list"),
        ({"video_id": 5, "category_id": 1, "segment": [0, 1]}, r"not listed: \[5\]"),
        ({"video_id": 1, "category_id": 1, "segment": [0]}, "a segment must be"),
    ],
)
def test_read_coco_vid_names_what_is_wrong(tmp_path: Path, annotation: Any, what: str) -> None:
    content = coco_vid(Annotations((AnnotatedVideo("a.mp4"),), CLASSES))
    with pytest.raises(AnnotationError, match=what):
        read_coco_vid(write(tmp_path, {**content, "annotations": [annotation]}))


def test_pycocotools_loads_the_file(tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco", reason="needs pycocotools")
    events = (Event(120, 360, "Robbery"), Event(400, 410, "Road accident"))
    video = AnnotatedVideo("cam1/0001.mp4", (), events, fps=25.0, num_frames=500)
    loaded = coco.COCO(str(write(tmp_path, coco_vid(Annotations((video,), CLASSES)))))
    (category,) = loaded.getCatIds(catNms=["Robbery"])
    (image,) = loaded.loadImgs(loaded.getImgIds(catIds=[category]))
    assert (image["frame_id"], image["file_name"]) == (120, "cam1/0001/000120.jpg")
    (annotation,) = loaded.loadAnns(loaded.getAnnIds(catIds=[category]))
    assert (annotation["start_frame"], annotation["end_frame"]) == (120, 360)
    assert annotation["segment"] == [4.8, 14.4]
