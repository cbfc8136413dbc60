"""Names of classes in the two forms of Unicode."""

from __future__ import annotations

from pathlib import Path

from exvad.data.annotations.class_names import composed_name, folded_name
from exvad.data.annotations.convert import convert_annotations
from exvad.data.folders import folder_per_class
from exvad.data.manifest_files import read_manifest

COMPOSED, DECOMPOSED = "\u00dcberfall", "U\u0308berfall"


def test_the_two_forms_of_a_letter_are_one_name() -> None:
    assert composed_name(DECOMPOSED) == COMPOSED
    assert folded_name(DECOMPOSED.lower()) == folded_name(COMPOSED.upper())
    assert folded_name("Road Accident") != folded_name("road_accident")


def test_a_manifest_has_one_class_of_both_forms(tmp_path: Path) -> None:
    path = tmp_path / "videos.csv"
    rows = f"a.mp4,train,Normal,\nb.mp4,train,{COMPOSED},\nc.mp4,test,{DECOMPOSED},"
    rows += f"{DECOMPOSED}:5f-9f;{DECOMPOSED}:1s-2s\n"
    for classes in ("", f"# classes: Normal, {DECOMPOSED}\n", f"# classes: Normal, {COMPOSED}\n"):
        path.write_text(f"{classes}path,split,labels,events\n{rows}")
        manifest = read_manifest(path)
        assert manifest.classes == ("Normal", COMPOSED)
        video = manifest.videos[2]
        assert [event.label for event in video.events] == [COMPOSED]
        assert [event.label for event in video.timed_events] == [COMPOSED]
        assert manifest.notes == ()
    assert read_manifest(path, ["Normal", DECOMPOSED]).classes == ("Normal", COMPOSED)


def test_class_folders_of_both_forms_are_one_class(tmp_path: Path) -> None:
    for name in ("train/Normal", "test/Normal", f"train/{COMPOSED}", f"test/{DECOMPOSED}"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a.mp4").touch()
    manifest = folder_per_class(tmp_path)
    assert manifest.classes == ("Normal", COMPOSED)
    assert {video.path.split("/")[-2] for video in manifest.videos} >= {COMPOSED, DECOMPOSED}


def test_exports_of_tools_have_one_class_of_both_forms(tmp_path: Path) -> None:
    tracks = "".join(
        f'<track id="{number}" label="{label}"><box frame="{number}" outside="0"/></track>'
        for number, label in enumerate((COMPOSED, DECOMPOSED))
    )
    source, target = tmp_path / "export.xml", tmp_path / "videos.csv"
    meta = "<meta><task><size>9</size><source>a.mp4</source></task></meta>"
    source.write_text(f"<annotations>{meta}{tracks}</annotations>")
    assert convert_annotations(source, target).events == 2
    assert read_manifest(target).classes == ("Normal", COMPOSED)
