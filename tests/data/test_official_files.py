"""The official annotation files: every malformed line is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from exvad.data.benchmarks import ucf_crime, xd_violence
from exvad.data.manifest import Manifest
from exvad.data.records import ManifestError
from tests.helpers.annotations import UCF_FILES, XD_FILES, write_annotations


def problems_of(benchmark: Callable[[str, Path], Manifest], folder: Path) -> list[str]:
    """Return the problems of a benchmark's annotation files."""
    with pytest.raises(ManifestError) as caught:
        benchmark("/videos", folder)
    return caught.value.problems


@pytest.mark.parametrize(
    ("file", "text", "what"),
    [
        ("Anomaly_Train", None, "Anomaly_Train.txt: cannot be read: No such file"),
        ("Anomaly_Train", "Abuse/a.mp4\n\nAbused/b.mp4\n", "Anomaly_Train.txt:3: 'Abused/b.mp4'"),
        (
            "Anomaly_Test",
            "Arson/Arson009_x264.mp4\n",
            "Normal_Videos_003_x264 is annotated but is not a test video",
        ),
        ("Anomaly_Test", UCF_FILES["Anomaly_Test.txt"] * 2, "Arson009_x264 is listed 2 times"),
        (
            "Anomaly_Test",
            UCF_FILES["Anomaly_Test.txt"] + "Abuse/Abuse001_x264.mp4.mp4\n",
            "Anomaly_Test.txt:3: Abuse001_x264 is also a training video (",
        ),
        ("Temporal_Anomaly_Annotation", "Arson009_x264 Arson 9 5 -1 -1\n", "txt:1: 'Arson009_x264"),
        (
            "Temporal_Anomaly_Annotation",
            "Arson009_x264 Arson 9 -1 -1 -1\n",
            "txt:1: 'Arson009_x264",
        ),
        (
            "Temporal_Anomaly_Annotation",
            UCF_FILES["Temporal_Anomaly_Annotation.txt"] + "Arson010_x264.mp4 Arson 1 2 -1 -1\n",
            "Annotation.txt:3: Arson010_x264 is annotated but is not a test video",
        ),
        ("Temporal_Anomaly_Annotation", "Arson009_x264  Arson  1\n", "txt:1: 'Arson009_x264"),
        ("Temporal_Anomaly_Annotation", "a\n", "txt:1: 'a' is not 'name class start end"),
        ("Temporal_Anomaly_Annotation", "", "the abnormal test video Arson009_x264 has no event"),
        ("test_lengths", "video,label,snippets,frames\nArson009_x264,Arson,3,x\n", "csv:2: snip"),
        ("test_lengths", "video,label,snippets,frames\nArson009_x264,Arson,3\n", "csv:2: 3 cells"),
        ("test_lengths", "name,snippets\n", "csv:1: the columns must be video, label, snippets"),
        (
            "test_lengths",
            "video,label,snippets,frames\nArson009_x264,Arson,3,55\n",
            "test_lengths.csv: the test video Normal_Videos_003_x264 is missing",
        ),
        (
            "test_lengths",
            UCF_FILES["test_lengths.csv"] + "Arson009_x264,Arson,3,55\n",
            "csv:4: Arson009_x264 is already listed in a line above",
        ),
    ],
)
def test_faults_in_the_files_of_ucf_crime_are_listed(
    tmp_path: Path, file: str, text: str | None, what: str
) -> None:
    lists = write_annotations(tmp_path / "lists", UCF_FILES, **{file: text})
    assert any(what in problem for problem in problems_of(ucf_crime, lists))


@pytest.mark.parametrize(
    ("file", "text", "what"),
    [
        ("test_lengths", None, "test_lengths.csv: cannot be read: No such file"),
        ("train_videos", "video,label\nold_label_C3,C3\n", "csv:2: old_label_C3: 'C3' is not made"),
        ("train_videos", "video,label\nold,0-0-0\n", "csv:2: old: '0-0-0' is not made of A (Norm"),
        (
            "train_videos",
            "video,label\nold,B1-A\n",
            "the labels mix 'Normal' with abnormal classes",
        ),
        ("train_videos", "video,label\nold,B1\nold,B1\n", "the id 'old' is already used"),
        ("annotations", "film__#1_label_B1-G-0 0\n", "annotations.txt:1: 'film"),
        ("annotations", "other 0 20\n", "annotations.txt:1: other is not a test video"),
        ("annotations_multiclasses", "film__#1_label_B1-G-0 B3 0 9\n", "multiclasses.txt:1: "),
        ("annotations_multiclasses", "film__#1_label_B1-G-0 B1 0\n", "multiclasses.txt:1: "),
    ],
)
def test_faults_in_the_files_of_xd_violence_are_listed(
    tmp_path: Path, file: str, text: str | None, what: str
) -> None:
    lists = write_annotations(tmp_path / "lists", XD_FILES, **{file: text})
    assert any(what in problem for problem in problems_of(xd_violence, lists))


def circulating(text: str) -> str:
    """The lines of a list with Windows' line ends and slashes, and doubled suffixes."""
    lines = [line.strip().replace("/", "\\") for line in text.splitlines()]
    return "\r\n".join(["", *(line.replace(".mp4", ".MP4.mp4") for line in lines), "", ""])


def test_lists_that_circulate_say_the_same_as_the_official_ones(tmp_path: Path) -> None:
    official = ucf_crime("/videos", write_annotations(tmp_path / "lists", UCF_FILES))
    files = {name: circulating(text) for name, text in UCF_FILES.items() if name.startswith("A")}
    files["test_lengths.csv"] = UCF_FILES["test_lengths.csv"].replace("\r\n", "\r")
    files["Temporal_Anomaly_Annotation_for_Testing_Videos.txt"] = (
        "\ufeffArson/Arson009_x264.mp4.mp4 Arson 16 32 40 50\r\n"
        "Normal_Videos_003_x264 Normal -1 -1\r\n"
    )
    assert ucf_crime("/videos", write_annotations(tmp_path / "copies", files)) == official


def test_lists_without_folders_take_the_class_from_the_name(tmp_path: Path) -> None:
    lists = {
        "Anomaly_Train": "Abuse001_x264\nNormal_Videos001_x264\n",
        "Anomaly_Test": "Arson009_x264.mp4\nNormal_Videos_003_x264.mp4\n",
    }
    manifest = ucf_crime("/videos", write_annotations(tmp_path / "lists", UCF_FILES, **lists))
    assert [video.labels[0] for video in manifest.videos] == ["Abuse", "Normal", "Normal", "Arson"]
    assert manifest.videos[0].path == "/videos/Abuse001_x264.mp4"


def test_more_or_fewer_events_per_line_are_read(tmp_path: Path) -> None:
    text = "Arson009_x264 Arson 1 2 3 4 5 6\n"
    lists = write_annotations(tmp_path / "lists", UCF_FILES, Temporal_Anomaly_Annotation=text)
    events = ucf_crime("/videos", lists).by_id()["Arson009_x264"].events
    assert [(event.start, event.end) for event in events] == [(1, 2), (3, 4), (5, 6)]


def test_differences_between_official_files_are_noted_with_their_line(tmp_path: Path) -> None:
    text = "Arson009_x264  Fighting  16  32  40  90\n"
    lists = write_annotations(tmp_path / "lists", UCF_FILES, Temporal_Anomaly_Annotation=text)
    beyond, label, train, test = ucf_crime("/videos", lists).notes
    place = f"{lists}/Temporal_Anomaly_Annotation.txt:1: Arson009_x264"
    assert beyond == f"{place}: Fighting:40-90 ends after the last of 55 frames"
    assert label == f"{place} has the label Arson and an event of Fighting; both are kept"
    assert train == f"{lists}/Anomaly_Train.txt: 2 videos; the published list has 1610"
    assert test == f"{lists}/Anomaly_Test.txt: 2 videos; the published list has 290"


@pytest.mark.shared
def test_notes_of_the_published_files(shared_data: Path) -> None:
    ucf = ucf_crime("/videos", shared_data / "annotations" / "ucf_crime").notes
    assert len(ucf) == 5
    assert ucf[0].endswith(
        "Temporal_Anomaly_Annotation.txt:11: Arson011_x264: Arson:680-1267 ends after the last of "
        "1266 frames"
    )
    (xd,) = xd_violence("/videos", shared_data / "annotations" / "xd_violence").notes
    assert "Ip.Man.2008" in xd
    assert "has the label riot and an event of fighting; both are kept" in xd
