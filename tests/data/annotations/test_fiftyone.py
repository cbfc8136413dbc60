"""FiftyOne: labels of temporal detections, which FiftyOne's own importer reads."""

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
from exvad.data.annotations.fiftyone import fiftyone_labels, read_fiftyone
from exvad.data.records import Event, TimedEvent
from tests.helpers.annotation_files import CLASSES, marked_annotations


def write(folder: Path, content: Any) -> Path:
    path = folder / "labels.json"
    path.write_text(json.dumps(content))
    return path


@settings(max_examples=40, deadline=None)
@given(annotations=marked_annotations())
def test_events_come_back_from_fiftyone(
    tmp_path_factory: pytest.TempPathFactory, annotations: Annotations
) -> None:
    folder = tmp_path_factory.mktemp("fiftyone")
    write(folder, fiftyone_labels(annotations))
    read = read_fiftyone(folder)
    assert read.classes == CLASSES
    assert [v.name for v in read.videos] == [v.stem for v in annotations.videos]
    assert [v.events for v in read.videos] == [v.events for v in annotations.videos]


def test_seconds_and_scores_come_back_from_fiftyone(tmp_path: Path) -> None:
    timed = (TimedEvent(1.25, 2.5, "Robbery"), TimedEvent(3.0, 4.0, "Robbery"))
    video = AnnotatedVideo("v=x__#1.2_label_B1", (), (), timed, (0.5, 0.75))
    (again,) = read_fiftyone(write(tmp_path, fiftyone_labels(Annotations((video,))))).videos
    assert again == video


def test_sentences_are_detections_with_a_text() -> None:
    video = AnnotatedVideo("a.mp4", sentences=(Sentence(1, 2, "A dog."),))
    assert fiftyone_labels(Annotations((video,)))["labels"] == {
        "a": [{"label": "sentence", "timestamps": [1, 2], "attributes": {"text": "A dog."}}]
    }


def test_read_fiftyone_reads_labels_by_index(tmp_path: Path) -> None:
    content = {
        "classes": ["Robbery"],
        "labels": {"a": [{"label": 0, "support": [1, 5]}], "b": None},
    }
    one, two = read_fiftyone(write(tmp_path, content)).videos
    assert one.events == (Event(0, 5, "Robbery"),)
    assert two.events == ()


@pytest.mark.parametrize(
    ("labels", "what"),
    [
        ([], "labels: there must be an object"),
        ({"a": [{"label": 3, "support": [1, 2]}]}, "the label 3 is no index"),
        ({"a": [{"label": "x", "support": [1]}]}, r"\[1\] is not \[start, end\]"),
        ({"a": [{"label": "x", "support": [1.5, 2]}]}, "there must be a frame number, not 1.5"),
        ({"a": [{"label": "x"}]}, "there must be a list"),
    ],
)
def test_read_fiftyone_names_what_is_wrong(tmp_path: Path, labels: Any, what: str) -> None:
    with pytest.raises(AnnotationError, match=what):
        read_fiftyone(write(tmp_path, {"classes": [], "labels": labels}))


def test_fiftyones_own_importer_reads_the_labels(tmp_path: Path) -> None:
    importers = pytest.importorskip("fiftyone.utils.data.importers", reason="needs fiftyone")
    (tmp_path / "data" / "cam1").mkdir(parents=True)
    for name in ("cam1/0001.mp4", "quiet.mp4"):
        (tmp_path / "data" / name).touch()
    marked = AnnotatedVideo("cam1/0001.mp4", (), (Event(120, 360, "Robbery"),), fps=25.0)
    write(tmp_path, fiftyone_labels(Annotations((marked, AnnotatedVideo("quiet.mp4")), CLASSES)))
    importer = importers.FiftyOneTemporalDetectionDatasetImporter(dataset_dir=str(tmp_path))
    importer.setup()
    samples = {Path(path).name: label for path, _, label, _ in importer}
    (detection,) = samples["0001.mp4"].detections
    assert (detection.label, list(detection.support)) == ("Robbery", [121, 360])
    assert samples["quiet.mp4"].detections == []
    assert importer.get_dataset_info() == {"classes": list(CLASSES)}
