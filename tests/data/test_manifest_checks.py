"""Invalid videos and classes are named with their location and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.data.manifest_files import read_manifest
from tests.helpers.manifests import CLASSES_LINE, HEADER, csv_problems


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("a.mp4,train,Figthing", "unknown label 'Figthing', did you mean 'Fighting'?"),
        ("a.mp4,train,Xylophone", "unknown label 'Xylophone'; The classes are: Normal, Fighting"),
        ("a.mp4,train,", "there is no label"),
        ("a.mp4,train,Fighting;Fighting", "the label 'Fighting' is named twice"),
        (
            "a.mp4,train,Normal;Fighting",
            "the labels mix 'Normal' with abnormal classes (Normal, Fighting)",
        ),
        ("a.mp4,training,Normal", "the split is 'training'; it must be train, val or test"),
        (",train,Normal", "the path is empty"),
        ("a.mp4,test,Fighting,Fighting:9-9", "from frame 9 to 9; its end must be above its start"),
        ("a.mp4,test,Fighting,Fighting:9-3", "from frame 9 to 3; its end must be above its start"),
        ("a.mp4,test,Fighting,Fighting:-4-3", "from frame -4 to 3; frames are counted from 0"),
        ("a.mp4,test,Fighting,Brawl:4-9", "an event has the unknown label 'Brawl'"),
        ("a.mp4,test,Fighting,4-9", "events is '4-9'; it must be label:start-end"),
        ("a.mp4,test,Fighting,Fighting:4", "events is 'Fighting:4'; it must be label:start-end"),
        ("a.mp4,test,Normal,Fighting:4-9", "the label is 'Normal', but an event is abnormal"),
        ("a.mp4,train,Normal,,0", "fps is 0.0; it must be above 0"),
        ("a.mp4,train,Normal,,nan", "fps is nan; it must be above 0"),
        ("a.mp4,train,Normal,,fast", "fps is 'fast'; it must be a number"),
        ("a.mp4,train,Normal,,25,1.5", "num_frames is '1.5'; it must be a whole number"),
        ("a.mp4,train,Normal,,25,-3", "num_frames is -3; it must be at least 1"),
        ("a.mp4,train,Normal,,25,9" + "9" * 5000, "it must be a whole number"),
        ("a.mp4,train,Normal,,25,9,Fighting", "7 cells for 6 columns; separate labels by ';'"),
    ],
)
def test_an_invalid_row_is_named_with_its_line_and_what_to_do(
    tmp_path: Path, row: str, what: str
) -> None:
    text = "# classes: Normal, Fighting\npath,split,labels,events,fps,num_frames\n"
    problems = csv_problems(tmp_path, f"{text}ok.mp4,train,Normal\n{row}\n")
    assert all(problem.startswith(":4: ") for problem in problems)
    assert what in problems[0]


def test_a_duplicate_id_names_both_lines(tmp_path: Path) -> None:
    text = CLASSES_LINE + HEADER + '"one\n.mp4",train,Normal\n'
    text += "x/a.mp4,train,Normal\ny/a.mp4,test,Fighting\n"
    (problem,) = csv_problems(tmp_path, text)
    assert problem.startswith(":6: the id 'a' is already used at ")
    assert "videos.csv:5;" in problem


def test_a_normal_video_has_no_abnormal_spans(tmp_path: Path) -> None:
    text = "# classes: Normal, Fighting\npath,split,labels,spans\n"
    (problem,) = csv_problems(tmp_path, text + "a.mp4,test,Normal,3-9\n")
    assert problem.startswith(":3: the label is 'Normal', but an event is abnormal")
    bad = csv_problems(tmp_path, text + "a.mp4,test,Fighting,3-9;x\nb.mp4,test,Fighting,9-3\n")
    assert bad[0] == ":3: spans is '3-9;x'; it must be start-end;…"
    assert bad[1] == ":4: the span runs from frame 9 to 3; its end must be above its start"


def test_the_file_of_a_video_need_not_exist(tmp_path: Path) -> None:
    path = tmp_path / "videos.csv"
    path.write_text("# classes: Normal,Fighting\n" + HEADER + "nowhere/a.mp4,train,Normal\n")
    assert len(read_manifest(path).videos) == 1
