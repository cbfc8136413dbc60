"""Files of annotation tools that are damaged anywhere: read, or refused in a sentence."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.data.annotations.annotated import AnnotatedVideo, AnnotationError, Annotations
from exvad.data.annotations.coco_vid import coco_vid
from exvad.data.annotations.fiftyone import fiftyone_labels
from exvad.data.annotations.formats import read_annotations, recognize, write_annotations
from exvad.data.records import Event, TimedEvent
from tests.helpers.annotation_files import (
    CLASSES,
    CVAT_PROJECT,
    CVAT_VIDEO,
    LABEL_STUDIO,
    LABEL_STUDIO_MIN,
    UCA_JSON,
    UCA_TXT,
)

FOUND = AnnotatedVideo("a.mp4", (), (), (TimedEvent(1, 2, "Robbery"),), (0.5,), predicted=True)
BOTH = Annotations(
    (FOUND, AnnotatedVideo("b.mp4", ("Robbery",), (Event(3, 9, "Robbery"),))), CLASSES
)
FILES: dict[str, tuple[str, Any]] = {
    "label-studio": ("json", LABEL_STUDIO),
    "label-studio-min": ("json", LABEL_STUDIO_MIN),
    "uca": ("json", UCA_JSON),
    "fiftyone": ("json", fiftyone_labels(BOTH)),
    "coco-vid": ("json", coco_vid(BOTH)),
    "analyses": (
        "jsonl",
        {
            "video": "b.mp4",
            "num_frames": 500,
            "fps": 25.0,
            "classes": ["Normal", "Robbery"],
            "events": [{"start": 4.8, "end": 14.4, "label": "Robbery", "score": 0.75}],
        },
    ),
}
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, -1, 0, 1.5, 10**400, float("nan"), "", "x", [], [[]], {}, {"x": 1}, [1, 2, 3]]
)


def places(value: Any) -> list[tuple[Any, ...]]:
    """The paths of all nodes of a JSON value."""
    children = (
        list(value.items())
        if isinstance(value, dict)
        else list(enumerate(value))
        if isinstance(value, list)
        else []
    )
    return [(), *((key, *path) for key, child in children for path in places(child))]


def assert_read_or_refused(file: Path, kind: str = "") -> None:
    """Read a file; an error must name it and may be of no other type."""
    messages = [str(file)]
    try:
        read_annotations(file, kind, fps=25)
    except AnnotationError as error:
        messages.append(str(error))
    assert all(str(file) in message for message in messages)


@pytest.mark.parametrize("kind", FILES)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_json_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    suffix, content = FILES[kind]
    damaged = copy.deepcopy(content)
    path = data.draw(st.sampled_from(places(damaged)))
    odd = data.draw(ODD)
    if path:
        parent = damaged
        for key in path[:-1]:
            parent = parent[key]
        parent[path[-1]] = odd
    else:
        damaged = odd
    file = tmp_path_factory.mktemp("damaged") / f"a.{suffix}"
    file.write_text(json.dumps(damaged))
    assert_read_or_refused(file, kind.removesuffix("-min"))


@pytest.mark.parametrize(("suffix", "text"), [("xml", CVAT_VIDEO), ("xml", CVAT_PROJECT)])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damaged_xml_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, text: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 60)))
    middle = data.draw(st.sampled_from(["", "<", "&", '"', "-7", "\x00", "<!DOCTYPE", "é"]))
    file = tmp_path_factory.mktemp("damaged") / f"a.{suffix}"
    file.write_text(text[:start] + middle + text[end:])
    assert_read_or_refused(file)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damaged_lines_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(UCA_TXT)))
    end = data.draw(st.integers(start, min(len(UCA_TXT), start + 60)))
    middle = data.draw(st.text(max_size=4))
    file = tmp_path_factory.mktemp("damaged") / "a.txt"
    file.write_bytes((UCA_TXT[:start] + middle + UCA_TXT[end:]).encode("utf-8", "replace"))
    assert_read_or_refused(file)


def test_recognize_names_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AnnotationError, match="this is not UTF-8"):
        recognize(tmp_path / "a.json")


def test_write_annotations_refuses_two_videos_of_one_name(tmp_path: Path) -> None:
    twins = Annotations((AnnotatedVideo("a.mp4"), AnnotatedVideo("a.avi")))
    with pytest.raises(AnnotationError, match=r"two videos would be written to a\.xml"):
        write_annotations(twins, tmp_path / "cvat", "cvat")
    assert not (tmp_path / "cvat").exists()


def test_an_event_that_ends_before_it_starts_is_named(tmp_path: Path) -> None:
    content = {"classes": [], "labels": {"a": [{"label": "x", "timestamps": [9, 3]}]}}
    (tmp_path / "labels.json").write_text(json.dumps(content))
    with pytest.raises(AnnotationError, match=r"a: the event x runs from 9 to 3; its end must"):
        read_annotations(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.json", '{"categories": [], "videos": [], "annotations": []}', "there are no videos"),
        ("a.jsonl", '{"video": "v.mp4", "error": "gone"}', "no videos; .*v.mp4 was not analyzed"),
        ("a.json", '{"labels": {"v\\ud800": []}}', "a text is not valid Unicode"),
        ("a.json", '{"labels": {"v\\u0000": []}}', "can't be the name of a video"),
        ("a.json", '{"labels": {"": []}}', "can't be the name of a video"),
        ("a.jsonl", f'{{"fps": 1{"0" * 5000}}}', "a.jsonl:1: this is not JSON"),
    ],
)
def test_files_without_a_video_that_can_be_named_are_refused_with_their_own_name(
    tmp_path: Path, name: str, text: str, reason: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(AnnotationError, match=reason) as refusal:
        read_annotations(path)
    assert str(refusal.value).startswith(str(path))
