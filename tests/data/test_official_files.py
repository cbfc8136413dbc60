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
        ("annotations", "other 0 20\n", "annotations.txt: other is not a test video"),
        ("annotations_multiclasses", "film__#1_label_B1-G-0 B3 0 9\n", "multiclasses.txt:1: "),
        ("annotations_multiclasses", "film__#1_label_B1-G-0 B1 0\n", "multiclasses.txt:1: "),
    ],
)
def test_faults_in_the_files_of_xd_violence_are_listed(
    tmp_path: Path, file: str, text: str | None, what: str
) -> None:
    lists = write_annotations(tmp_path / "lists", XD_FILES, **{file: text})
    assert any(what in problem for problem in problems_of(xd_violence, lists))
