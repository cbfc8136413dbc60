"""Conversions between files of annotations: nothing is lost in silence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exvad.cli.main import main
from exvad.cli.verbs.annotations.convert_annotations import INPUTS, OUTPUTS
from exvad.data.annotations.annotated import AnnotationError
from exvad.data.annotations.convert import VideoLength, convert_annotations
from exvad.data.annotations.formats import (
    INPUT_FORMATS,
    OUTPUT_FORMATS,
    read_annotations,
    recognize,
)
from exvad.data.annotations.measuring import measured_by
from exvad.data.manifest_files import read_manifest
from exvad.data.records import Event, TimedEvent
from tests.helpers.annotation_files import (
    CVAT_PROJECT,
    CVAT_VIDEO,
    LABEL_STUDIO,
    UCA_JSON,
    UCA_TXT,
)
from tests.helpers.videos import write_video

ANALYSIS: dict[str, Any] = {
    "video": "b.mp4",
    "num_frames": 500,
    "fps": 25.0,
    "classes": ["Normal", "Robbery"],
    "events": [{"start": 4.8, "end": 14.4, "label": "Robbery", "score": 0.75}],
}
MANIFEST = (
    "# classes: Normal, Robbery, Arson\nvideo_id,path,split,labels,events,num_frames,fps\n"
    "one,cam1/0001.mp4,train,Normal,,480,24\n"
    "two,cam2/0001.mp4,test,Robbery,Robbery:48-96,480,24\n"
)


@pytest.fixture(scope="module")
def measure() -> Iterator[VideoLength]:
    """Lengths and rates of real files."""
    with measured_by() as function:
        yield function


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_recognize_knows_the_formats_by_suffix_and_content(tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    folder.mkdir()
    write(folder / "labels.json", {"classes": [], "labels": {}})
    contents = {
        "a.csv": MANIFEST,
        "b.jsonl": ANALYSIS,
        "c.json": LABEL_STUDIO,
        "d.xml": CVAT_VIDEO,
        "e.json": UCA_JSON,
        "f.txt": UCA_TXT,
        "g.json": {"videos": [], "categories": [], "annotations": []},
    }
    kinds = [recognize(write(tmp_path / name, content)) for name, content in contents.items()]
    assert [*kinds, recognize(folder)] == [
        "manifest",
        "analyses",
        "label-studio",
        "cvat",
        "uca",
        "uca",
        "coco-vid",
        "fiftyone",
    ]
    with pytest.raises(AnnotationError, match=r"none of the formats .* name it with --from"):
        recognize(write(tmp_path / "h.json", [1, 2]))
    with pytest.raises(AnnotationError, match="there is no such file"):
        recognize(tmp_path / "gone.json")
    assert (INPUTS, OUTPUTS) == (INPUT_FORMATS, OUTPUT_FORMATS)


def test_cvat_becomes_a_manifest_with_frames(tmp_path: Path) -> None:
    source = write(tmp_path / "a.xml", CVAT_VIDEO)
    conversion = convert_annotations(source, tmp_path / "videos.csv")
    manifest = read_manifest(tmp_path / "videos.csv")
    assert manifest.classes == ("Normal", "Robbery")
    (video,) = manifest.videos
    assert (video.labels, video.split) == (("Robbery",), "test")
    assert video.events == (Event(120, 360, "Robbery"), Event(400, 500, "Robbery"))
    assert (conversion.videos, conversion.events, conversion.notes) == (1, 2, [])


def test_label_studio_becomes_a_manifest_with_seconds(tmp_path: Path) -> None:
    source = write(tmp_path / "a.json", LABEL_STUDIO)
    conversion = convert_annotations(source, tmp_path / "videos.parquet", split="train")
    manifest = read_manifest(tmp_path / "videos.parquet")
    assert manifest.classes == ("Normal", "Robbery", "Vandalism")
    door, quiet = manifest.videos
    assert door.timed_events[0] == TimedEvent(4.8, 14.4, "Robbery")
    assert (door.labels, quiet.labels) == (("Robbery", "Vandalism"), ("Normal",))
    assert (door.split, quiet.video_id) == ("train", "cam2/0001")
    assert "no event and no label, counted as 'Normal': cam2/0001.mp4" in conversion.notes


def test_predictions_of_label_studio_are_no_labels(tmp_path: Path) -> None:
    """Nobody has looked at a task that has only those."""
    region = {
        "type": "timelinelabels",
        "value": {"ranges": [{"start": 2, "end": 9}], "timelinelabels": ["Robbery"]},
    }
    seen = {"data": {"video": "a.mp4", "fps": 25}, "annotations": [{"result": [region]}]}
    guess = {"data": {"video": "b.mp4", "fps": 25}, "predictions": [{"result": [region]}]}
    source, target = write(tmp_path / "export.json", [seen, guess]), tmp_path / "videos.csv"
    conversion = convert_annotations(source, target)
    assert [video.video_id for video in read_manifest(target).videos] == ["a"]
    assert any("no annotation: 1 (b.mp4)" in note for note in conversion.notes)
    write(source, [guess])
    with pytest.raises(AnnotationError, match=r"export.json: has only .*predictions are no labels"):
        convert_annotations(source, target)
    # Another tool, in which people go on to correct them, gets them.
    assert convert_annotations(source, tmp_path / "events.json", ("", "coco-vid")).events == 1


def test_an_export_of_normal_videos_needs_the_names_of_the_abnormal_classes(tmp_path: Path) -> None:
    quiet = [{"data": {"video": "a.mp4"}, "annotations": [{"result": []}]}]
    source, target = write(tmp_path / "export.json", quiet), tmp_path / "videos.csv"
    with pytest.raises(AnnotationError, match=r"export.json: no video has an event.*--classes"):
        convert_annotations(source, target)
    convert_annotations(source, target, classes=["Robbery", "Arson"])
    manifest = read_manifest(target)
    assert manifest.classes == ("Normal", "Robbery", "Arson")
    assert manifest.videos[0].labels == ("Normal",)
    assert main(["convert-annotations", str(source), str(target), "--classes", "Theft, Fire"]) == 0
    assert read_manifest(target).classes == ("Normal", "Theft", "Fire")


def test_videos_in_a_folder_give_paths_lengths_and_rates(
    tmp_path: Path, measure: VideoLength
) -> None:
    (tmp_path / "clips" / "door").mkdir(parents=True)
    path = write_video(tmp_path / "clips" / "door" / "shop_door.mp4", 400, fps=25)
    source = write(tmp_path / "a.xml", CVAT_VIDEO.replace("<size>500</size>", ""))
    conversion = convert_annotations(
        source, tmp_path / "videos.csv", videos=tmp_path / "clips", measure=measure
    )
    (video,) = read_manifest(tmp_path / "videos.csv").videos
    assert (video.path, video.num_frames, video.fps) == (str(path), 400, 25.0)
    assert conversion.notes == [
        "shop_door.mp4: Robbery:400-500 begins after the last of 400 frames"
    ]


def test_videos_of_one_name_in_two_folders_are_asked_about(tmp_path: Path) -> None:
    for folder in ("cam1", "cam2"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "shop_door.mp4").touch()
    source = write(tmp_path / "a.xml", CVAT_VIDEO)
    with pytest.raises(AnnotationError, match=r"several files have this name .*cam1.*cam2"):
        convert_annotations(source, tmp_path / "videos.csv", videos=tmp_path)


def test_a_missing_video_is_noted(tmp_path: Path) -> None:
    source = write(tmp_path / "a.xml", CVAT_VIDEO)
    (tmp_path / "clips").mkdir()
    conversion = convert_annotations(source, tmp_path / "a.csv", videos=tmp_path / "clips")
    assert conversion.notes == [f"shop_door.mp4: not found below {tmp_path / 'clips'}"]


def test_a_target_that_cannot_be_written_is_refused_before_videos_are_measured(
    tmp_path: Path,
) -> None:
    source = write(tmp_path / "a.xml", CVAT_VIDEO)
    for target, kind in (("a.xml/new.csv", ""), ("a.xml/new", "cvat"), ("", "manifest")):
        with pytest.raises(AnnotationError, match=r"can't be written|is a folder; name a file"):
            convert_annotations(
                source, tmp_path / target, ("", kind), videos=tmp_path, measure=never
            )


def never(path: Path) -> tuple[int, float]:
    """Fail where a video would be measured."""
    raise AssertionError(path)


def test_analyses_become_predictions_that_people_correct(tmp_path: Path) -> None:
    failed = {"video": "c.mp4", "error": "it is no video"}
    text = f"{json.dumps(ANALYSIS)}\n{json.dumps({**ANALYSIS, 'video': 'd.mp4', 'events': []})}\n"
    source = write(tmp_path / "analyses.jsonl", f"{text}{json.dumps(failed)}\n")
    target = tmp_path / "tasks.json"
    conversion = convert_annotations(source, target, ("", "label-studio"))
    assert conversion.notes == [f"{source}:3: c.mp4 was not analyzed and is left out"]
    found, quiet = json.loads(target.read_text())
    (prediction,) = found["predictions"]
    assert prediction["result"][0]["value"]["ranges"] == [{"start": 121, "end": 360}]
    assert (prediction["score"], prediction["result"][0]["score"]) == (0.75, 0.75)
    assert quiet["predictions"][0]["result"][0]["value"] == {"choices": ["Normal"]}
    interface = conversion.files[1].read_text()
    assert '<Label value="Robbery"/>' in interface
    assert 'frameRate="$fps"' in interface


def test_a_manifest_goes_to_every_tool_and_comes_back(tmp_path: Path) -> None:
    source = write(tmp_path / "videos.csv", MANIFEST)
    for kind in OUTPUT_FORMATS[1:]:
        target = tmp_path / ("cvat" if kind == "cvat" else f"{kind}.json")
        convert_annotations(source, target, ("", kind))
        normal, robbery = read_annotations(target).videos
        assert [normal.stem, robbery.stem] == ["cam1/0001", "cam2/0001"] or kind == "cvat", kind
        assert (normal.events, robbery.events) == ((), (Event(48, 96, "Robbery"),)), kind
    assert sorted(path.name for path in (tmp_path / "cvat").iterdir()) == [
        "cam1__0001.xml",
        "cam2__0001.xml",
    ]


def test_uca_becomes_labels_of_videos_and_says_what_is_left_out(tmp_path: Path) -> None:
    source = write(tmp_path / "UCFCrime_Test.json", UCA_JSON)
    conversion = convert_annotations(source, tmp_path / "videos.csv")
    assert conversion.notes == ["3 sentences are left out: manifest has no place for them"]
    abuse, calm = read_manifest(tmp_path / "videos.csv").videos
    assert (abuse.labels, calm.labels) == (("Abuse",), ("Normal",))
    kept = convert_annotations(source, tmp_path / "labels.json", ("", "fiftyone"))
    assert kept.notes == [
        "the labels of Abuse037_x264 are left out: fiftyone has no place for labels without times "
        "here"
    ]
    assert "A white car stops beside a dog." in (tmp_path / "labels.json").read_text()


def test_a_project_of_cvat_needs_a_folder_and_rates_where_frames_become_seconds(
    tmp_path: Path,
) -> None:
    source = write(tmp_path / "a.xml", CVAT_PROJECT)
    with pytest.raises(AnnotationError, match="one XML per video, and there are 2; name a folder"):
        convert_annotations(source, tmp_path / "out.xml")
    convert_annotations(source, tmp_path / "coco.json", ("", "coco-vid"), fps=5)
    content = json.loads((tmp_path / "coco.json").read_text())
    assert content["annotations"][0]["segment"] == [2.0, 4.0]
    with pytest.raises(AnnotationError, match=r"name the format with --to: manifest, label-studio"):
        convert_annotations(source, tmp_path / "out.json")


def test_the_verb_prints_notes_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = write(tmp_path / "UCFCrime_Val.txt", UCA_TXT), tmp_path / "videos.csv"
    assert main(["convert-annotations", str(source), str(target)]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"2 videos, 0 events, uca to manifest: {target}\n"
    assert shown.err == "note: 3 sentences are left out: manifest has no place for them\n"
    assert [video.split for video in read_manifest(target).videos] == ["val", "val"]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["gone.json", "out.csv"], "gone.json: there is no such file"),
        (["a.xml", "out.json"], "out.json: name the format with --to"),
        (["a.xml", "out.csv", "--fps", "0"], "the rate is 0 frames per second"),
        (["a.xml", "out.csv", "--videos", "nowhere"], "nowhere: there is no such folder"),
        (["a.xml", "out.json", "--to", "label-studio"], "the frame rate of"),
    ],
)
def test_mistakes_are_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    what: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.xml", CVAT_VIDEO)
    code = main(["convert-annotations", *arguments])
    error = capsys.readouterr().err
    assert code == 2
    assert error.startswith(f"exvad: {what}")
    assert len(error.splitlines()) == 1
