"""CVAT: tracks and tags of videos read as events, and XML that CVAT's readers accept."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings

from exvad.data.annotations.annotated import AnnotatedVideo, AnnotationError, Annotations
from exvad.data.annotations.cvat import cvat_xml, read_cvat
from exvad.data.records import Event, TimedEvent
from tests.helpers.annotation_files import CLASSES, CVAT_PROJECT, CVAT_VIDEO, marked_annotations


def write(folder: Path, text: str, name: str = "annotations.xml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_read_cvat_reads_the_visible_parts_of_tracks(tmp_path: Path) -> None:
    read = read_cvat(write(tmp_path, CVAT_VIDEO))
    assert read.classes == ("Normal", "Robbery")
    events = (Event(120, 360, "Robbery"), Event(400, 500, "Robbery"))
    assert read.videos == (AnnotatedVideo("shop_door.mp4", (), events, num_frames=500),)


def test_read_cvat_reads_tags_of_the_tasks_of_a_project(tmp_path: Path) -> None:
    one, two = read_cvat(write(tmp_path, CVAT_PROJECT)).videos
    # Every fifth frame was annotated, so a tag stands for five frames.
    assert one == AnnotatedVideo("one.mp4", (), (Event(10, 20, "Arson"), Event(30, 35, "Arson")))
    assert two == AnnotatedVideo("two.mp4", num_frames=100)


@pytest.mark.parametrize(
    ("other", "what"),
    [("", "is without a task_id"), (' task_id="7"', "is of task 7, which <meta> does not list")],
)
def test_marks_of_no_task_of_a_project_are_refused(tmp_path: Path, other: str, what: str) -> None:
    lost = CVAT_PROJECT.replace(' task_id="8"', other)
    with pytest.raises(AnnotationError, match=rf"an? <image> \(id 10\) {what}, so its video is"):
        read_cvat(write(tmp_path, lost))
    track = f'<track id="3" label="Arson"{other}><box frame="1" outside="0"/></track>'
    lost = CVAT_PROJECT.replace("</annotations>", f"{track}</annotations>")
    with pytest.raises(AnnotationError, match=rf"a <track> \(id 3\) of 'Arson' {what}"):
        read_cvat(write(tmp_path, lost))


def test_marks_of_the_only_task_of_a_project_need_no_task_id(tmp_path: Path) -> None:
    start, end = CVAT_PROJECT.index("<task><id>9"), CVAT_PROJECT.index("</tasks>")
    one_task = CVAT_PROJECT[:start] + CVAT_PROJECT[end:]
    (one,) = read_cvat(write(tmp_path, one_task.replace(' task_id="8"', ""))).videos
    assert one.events == (Event(10, 20, "Arson"), Event(30, 35, "Arson"))


def test_read_cvat_reads_a_folder_and_jobs(tmp_path: Path) -> None:
    write(tmp_path, CVAT_VIDEO.replace("task>", "job>"), "a.xml")
    write(tmp_path, CVAT_PROJECT, "b.xml")
    names = [video.name for video in read_cvat(tmp_path).videos]
    assert names == ["shop_door.mp4", "one.mp4", "two.mp4"]


def test_the_jobs_of_a_task_are_one_video(tmp_path: Path) -> None:
    """An event that goes on in the next job is one event; a job is shorter than it."""
    first = CVAT_VIDEO.replace("task>", "job>").replace("<size>500", "<size>450")
    second = first.replace("<start_frame>0", "<start_frame>445").replace('frame="499"', 'frame="9"')
    second = second.replace('frame="120"', 'frame="495"').replace('frame="121"', 'frame="496"')
    second = second.replace('frame="360"', 'frame="600"').replace('frame="400"', 'frame="700"')
    write(tmp_path, first, "a.xml")
    write(tmp_path, second.replace('frame="9"', 'frame="709"'), "b.xml")
    read = read_cvat(tmp_path)
    spans = [(120, 360), (400, 600), (700, 710)]
    events = tuple(Event(start, end, "Robbery") for start, end in spans)
    assert read.videos == (AnnotatedVideo("shop_door.mp4", (), events),)
    (note,) = read.notes
    assert note.endswith("b.xml: is another job of shop_door.mp4; their events are joined")


def test_read_cvat_says_how_it_names_a_video_without_a_source(tmp_path: Path) -> None:
    text = CVAT_VIDEO.replace("<source>shop_door.mp4</source>", "")
    read = read_cvat(write(tmp_path, text))
    assert read.videos[0].name == "shop door"
    assert read.notes[0].endswith("the task has no <source>; the video is named 'shop door'")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("<annotations>", "this is not XML"),
        ("<osm/>", "the XML begins with <osm>, not <annotations>"),
        (CVAT_PROJECT.replace("frame_000010", "shelf.jpg"), "'shelf.jpg' is no frame of a video"),
        (CVAT_VIDEO.replace('frame="120"', 'frame="x"'), "frame='x' of a <box> is no frame number"),
        (CVAT_VIDEO.replace('label="Robbery"', ""), "a <track> has no label"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotations/>', "document type is not read"),
    ],
)
def test_read_cvat_names_what_is_wrong(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(AnnotationError, match=what):
        read_cvat(write(tmp_path, text))


def test_read_cvat_names_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"no \.xml files; unpack"):
        read_cvat(tmp_path)


@settings(max_examples=30, deadline=None)
@given(annotations=marked_annotations(max_length=300))
def test_events_come_back_from_cvat(
    tmp_path_factory: pytest.TempPathFactory, annotations: Annotations
) -> None:
    folder = tmp_path_factory.mktemp("cvat")
    for video in annotations.videos:
        read = read_cvat(write(folder, cvat_xml(video, CLASSES)))
        assert read.classes == CLASSES
        (again,) = read.videos
        assert (again.name, again.num_frames) == (video.name, video.num_frames)
        assert sorted(map(str, again.events)) == sorted(map(str, video.events))


def test_cvat_xml_needs_frames() -> None:
    video = AnnotatedVideo("a.mp4", timed_events=(TimedEvent(1, 2, "Robbery"),))
    with pytest.raises(AnnotationError, match=r"the frame rate of a\.mp4 is not known"):
        cvat_xml(video, CLASSES)


def test_cvat_xml_ends_with_the_video_and_refuses_impossible_lengths() -> None:
    event = Event(3, 10**12, "Robbery")
    text = cvat_xml(AnnotatedVideo("a.mp4", (), (event,), num_frames=6), CLASSES)
    assert text.count("<tag ") == 3
    with pytest.raises(AnnotationError, match=r"a\.mp4: its events have 999999999997 frames"):
        cvat_xml(AnnotatedVideo("a.mp4", (), (event,)), CLASSES)


def test_datumaro_reads_the_xml(tmp_path: Path) -> None:
    for frame in (3, 4, 5):  # it wants the frames as files, whatever is in them
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / f"frame_{frame:06d}").touch()
    cvat = pytest.importorskip("datumaro.plugins.data_formats.cvat.base", reason="needs datumaro")
    video = AnnotatedVideo("a.mp4", (), (Event(3, 5, "Robbery"), Event(4, 6, "Road accident")))
    items = {
        item.id: item for item in cvat.CvatBase(str(write(tmp_path, cvat_xml(video, CLASSES))))
    }
    labels = {
        name: sorted(CLASSES[annotation.label] for annotation in item.annotations)
        for name, item in items.items()
    }
    assert labels == {
        "frame_000003": ["Robbery"],
        "frame_000004": ["Road accident", "Robbery"],
        "frame_000005": ["Road accident"],
    }
