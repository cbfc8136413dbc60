"""UCA: labels of videos and sentences, from JSON and text files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from exvad.data.annotations.annotated import AnnotationError, Sentence
from exvad.data.annotations.uca import class_of_name, read_uca
from exvad.data.benchmarks import UCF_CRIME_CLASSES
from tests.helpers.annotation_files import UCA_JSON, UCA_TXT


def write(folder: Path, content: Any, name: str = "UCFCrime_Test.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), newline="")
    return path


def test_both_forms_of_uca_say_the_same(tmp_path: Path) -> None:
    from_json = read_uca(write(tmp_path, UCA_JSON), UCF_CRIME_CLASSES)
    from_text = read_uca(write(tmp_path, UCA_TXT, "mask_UCFCrime_Test.txt"), UCF_CRIME_CLASSES)
    assert from_json == from_text
    abuse, calm = from_json.videos
    assert (abuse.name, abuse.labels, abuse.split) == ("Abuse037_x264", ("Abuse",), "test")
    assert abuse.sentences[1] == Sentence(8.4, 25.3, "Two people get out of it.")
    assert calm.labels == ("Normal",)
    assert calm.sentences == (Sentence(0.0, 94.0, "Cars pass a crossing."),)
    assert (abuse.events, abuse.timed_events) == ((), ())


def test_class_of_name_knows_the_names_of_ucf_crime() -> None:
    names = ("RoadAccidents001_x264", "Normal_Videos_003_x264", "Normal_Videos001_x264", "Shop12")
    assert [class_of_name(name, UCF_CRIME_CLASSES) for name in names] == [
        "RoadAccidents",
        "Normal",
        "Normal",
        None,
    ]


def test_read_uca_notes_sentences_after_the_end_and_unknown_names(tmp_path: Path) -> None:
    content = {"Shop1": {"duration": 5, "timestamps": [[1, 6]], "sentences": ["A shop."]}}
    late, unknown = read_uca(write(tmp_path, content), UCF_CRIME_CLASSES).notes
    assert late.endswith("Shop1: sentence 1 ends at 6 s, after the end at 5 s")
    assert unknown.endswith("the name 'Shop1' begins with no class of UCF-Crime")


@pytest.mark.parametrize(
    ("content", "name", "what"),
    [
        ({}, "a.json", "there are no sentences"),
        ({"a": {"duration": 5, "timestamps": [[1, 2]], "sentences": []}}, "a.json", "1 timestamps"),
        ({"a": {"timestamps": [], "sentences": []}}, "a.json", "a: duration: there must be a numb"),
        (
            {"a": {"duration": 5, "timestamps": [[2, 1]], "sentences": ["x"]}},
            "a.json",
            r"a: sentence 1: \[2, 1\] is not \[start, end\]",
        ),
        (UCA_TXT + "Abuse038_x264 00:01.2 ##x\n", "a.txt", r"a\.txt:4: .* is not 'name mm:ss"),
        (UCA_TXT + "Abuse038_x264 00:02.2 00:01.0 ##x\n", "a.txt", r"a\.txt:4: the end must be"),
    ],
)
def test_read_uca_names_what_is_wrong(tmp_path: Path, content: Any, name: str, what: str) -> None:
    with pytest.raises(AnnotationError, match=what):
        read_uca(write(tmp_path, content, name), UCF_CRIME_CLASSES)
