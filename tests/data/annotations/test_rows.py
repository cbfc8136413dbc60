"""Rows of manifests as people write them: joined, folded, asked about, each with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.data.annotations.clock import fit_to_length
from exvad.data.manifest_files import read_manifest
from exvad.data.records import Event, ManifestError, TimedEvent
from tests.helpers.manifests import csv_problems

HEADER = "path,split,labels,events\n"
NORMAL = "a.mp4,train,Normal,\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "videos.csv"
    path.write_text(text)
    return path


def test_seconds_minutes_and_frames_are_read_beside_each_other(tmp_path: Path) -> None:
    text = "# classes: Normal, Robbery\n" + HEADER + NORMAL
    text += "b.mp4,test,Robbery,Robbery:4.8-14.4\nc.mp4,test,Robbery,Robbery:0:04-0:14\n"
    text += "d.mp4,test,Robbery,Robbery:5s-14s;Robbery:450f-460f\n"
    b, c, d = read_manifest(write(tmp_path, text)).of_split("test")
    assert b.timed_events == (TimedEvent(4.8, 14.4, "Robbery"),)
    assert c.timed_events == (TimedEvent(4, 14, "Robbery"),)
    assert d.timed_events == (TimedEvent(5, 14, "Robbery"),)
    assert d.events == (Event(450, 460, "Robbery"),)


def test_whole_numbers_without_unit_are_asked_about_beside_seconds(tmp_path: Path) -> None:
    text = "# classes: Normal, Robbery\n" + HEADER
    text += "b.mp4,test,Robbery,Robbery:4.8-14.4\nc.mp4,test,Robbery,Robbery:5-14\n"
    (problem,) = csv_problems(tmp_path, text)
    assert problem.startswith(":4: the event 'Robbery:5-14' may be in frames or, like that at ")
    assert "write 'Robbery:5s-14s' for seconds or 'Robbery:5f-14f' for frames" in problem


def test_an_unreadable_time_says_how_to_write_seconds_and_frames(tmp_path: Path) -> None:
    text = "# classes: Normal, Robbery\n" + HEADER + "b.mp4,test,Robbery,Robbery:1m-2m\n"
    (problem,) = csv_problems(tmp_path, text)
    assert problem.startswith(":3: events is 'Robbery:1m-2m'; it must be label:start-end")
    for example in ("120-360", "4.8s-14.4s", "0:04-0:14", "events_fps"):
        assert example in problem


def test_frames_counted_at_another_rate_become_seconds(tmp_path: Path) -> None:
    text = "# classes: Normal, Robbery\npath,split,labels,events,fps,events_fps\n"
    text += "b.mp4,test,Robbery,Robbery:100-250,30,25\nc.mp4,test,Robbery,Robbery:100-250,25,25\n"
    b, c = read_manifest(write(tmp_path, text)).videos
    assert (b.events, b.timed_events) == ((), (TimedEvent(4, 10, "Robbery"),))
    assert (c.events, c.timed_events) == ((Event(100, 250, "Robbery"),), ())
    mixed = text + "d.mp4,test,Robbery,Robbery:1s-2s,25,25\n"  # the column says what they are
    assert len(read_manifest(write(tmp_path, mixed)).videos) == 3
    text = text.replace("30,25", "30,0")
    (problem,) = csv_problems(tmp_path, text)
    assert problem.startswith(":3: events_fps is '0'; it must be above 0")


def test_a_column_for_seconds_takes_whole_numbers(tmp_path: Path) -> None:
    text = "# classes: Normal, Robbery\npath,split,labels,events_seconds\n"
    text += "b.mp4,test,Robbery,Robbery:5-14;Robbery:0:20-0:30\n"
    (b,) = read_manifest(write(tmp_path, text)).videos
    assert b.timed_events == (TimedEvent(5, 14, "Robbery"), TimedEvent(20, 30, "Robbery"))
    (problem,) = csv_problems(tmp_path, text.replace("5-14", "5f-14f"))
    assert problem.startswith(":3: events_seconds is ")


@pytest.mark.parametrize(
    ("cell", "what"),
    [
        ("Robbery:9s-9s", "the event Robbery runs from 9 s to 9 s; its end must be above"),
        ("Robbery:-1s-9s", "the event Robbery runs from -1 s to 9 s; seconds are counted from 0"),
        ("Robbery:1s-99999999999s", "no video is that long"),
        ("Robery:1s-2s", "an event has the unknown label 'Robery', did you mean 'Robbery'?"),
    ],
)
def test_impossible_seconds_are_named(tmp_path: Path, cell: str, what: str) -> None:
    text = "# classes: Normal, Robbery\n" + HEADER + f"b.mp4,test,Robbery,{cell}\n"
    (problem,) = csv_problems(tmp_path, text)
    assert problem.startswith(":3: ")
    assert what in problem


def test_a_normal_video_has_no_abnormal_seconds(tmp_path: Path) -> None:
    text = "# classes: Normal, Robbery\n" + HEADER + "b.mp4,test,Normal,Robbery:1s-2s\n"
    (problem,) = csv_problems(tmp_path, text)
    assert problem.startswith(":3: the label is 'Normal', but an event is abnormal")


def test_case_is_folded_and_noted(tmp_path: Path) -> None:
    text = HEADER + "a.mp4,train,normal,\nb.mp4,test,Robbery,robbery:116-264\n"
    text += "c.mp4,train,Normal,\nd.mp4,train,robbery,\n"
    manifest = read_manifest(write(tmp_path, text))
    assert manifest.classes == ("Normal", "Robbery")
    assert [video.labels[0] for video in manifest.videos] == [*["Normal", "Robbery"] * 2]
    assert [video.abnormal for video in manifest.videos] == [False, True, False, True]
    assert manifest.videos[1].events == (Event(116, 264, "Robbery"),)
    assert "the label 'robbery' is read as 'Robbery' (2 times)" in manifest.notes


def test_case_is_folded_to_the_classes_that_the_file_names(tmp_path: Path) -> None:
    text = "# classes: NORMAL, robbery\n" + HEADER + "a.mp4,train,normal,\nb.mp4,test,Robbery,\n"
    assert [v.labels[0] for v in read_manifest(write(tmp_path, text)).videos] == [
        "NORMAL",
        "robbery",
    ]
    distinct = "# classes: Normal, a, A\n" + HEADER + "x.mp4,train,a,\ny.mp4,train,A,\n"
    assert [v.labels[0] for v in read_manifest(write(tmp_path, distinct)).videos] == ["a", "A"]


def test_a_near_miss_is_asked_about_with_its_line(tmp_path: Path) -> None:
    text = HEADER + NORMAL + "b.mp4,test,Robbery,\nd.mp4,train,robbery,\ne.mp4,train,Robery,\n"
    (problem,) = csv_problems(tmp_path, text)
    assert problem.startswith(":5: did you mean 'Robbery' by 'Robery'?")
    assert read_manifest(write(tmp_path, "# classes: Normal, Robbery, Robery\n" + text)).videos


@pytest.mark.parametrize(
    ("label", "meant"),
    [
        ("Robbrey", "Robbery"),
        ("Noraml", "Normal"),
        ("Nornal", "Normal"),
        ("Norml", "Normal"),
        ("Assualt", "Assault"),
        ("Arosn", "Arson"),
    ],
)
def test_one_wrong_letter_is_asked_about_also_of_labels_that_are_as_frequent(
    tmp_path: Path, label: str, meant: str
) -> None:
    classes = [name for name in ("Robbery", "Assault", "Arson") if name != meant]
    rows = [f"{name}.mp4,train,{name},\n" for name in ("normal", meant, *classes, label)]
    (problem,) = csv_problems(tmp_path, HEADER + "".join(rows))
    assert problem.startswith(f":{len(rows) + 1}: did you mean {meant!r} by {label!r}?")


def test_the_normal_class_is_asked_about_however_often_it_is_misspelled(tmp_path: Path) -> None:
    rows = "".join(f"{number}.mp4,train,Noraml,\n" for number in range(9))
    (problem,) = csv_problems(tmp_path, HEADER + NORMAL + rows + "b.mp4,train,Robbery,\n")
    assert problem.startswith(":3: did you mean 'Normal' by 'Noraml'?")
    problems = csv_problems(tmp_path, HEADER + rows + "b.mp4,train,Robbery,\n")
    assert any("did you mean 'Normal' by 'Noraml'?" in problem for problem in problems)


def test_other_words_are_no_near_misses(tmp_path: Path) -> None:
    labels = ["Abnormal", "Walking", "Talking", "Fall", "Fell", "Running", "Turning", "Gunning"]
    rows = "".join(f"{number}.mp4,train,{label},\n" for number, label in enumerate(labels))
    assert len(read_manifest(write(tmp_path, HEADER + NORMAL + rows)).classes) == 9


def test_blanks_and_marks_are_folded_and_noted(tmp_path: Path) -> None:
    labels = [
        "Road Accident",
        "RoadAccident",
        "roadAccident",
        "road-accident",
        "zone 1-2",
        "zone_1",
    ]
    rows = "".join(f"{number}.mp4,train,{label},\n" for number, label in enumerate(labels))
    rows += "x.mp4,train,zone 12,\n"
    manifest = read_manifest(write(tmp_path, HEADER + NORMAL + rows))
    assert manifest.classes == ("Normal", "RoadAccident", "zone 1-2", "zone 12", "zone_1")
    assert "the label 'road-accident' is read as 'RoadAccident' (1 time)" in manifest.notes
    named = "# classes: Normal, Road Accident\n" + HEADER + NORMAL + "0.mp4,train,RoadAccident,\n"
    assert read_manifest(write(tmp_path, named)).videos[1].labels == ("Road Accident",)


def test_a_row_that_says_nothing_new_counts_once(tmp_path: Path) -> None:
    row = "b.mp4,test,Robbery,Robbery:116-200\n"
    manifest = read_manifest(write(tmp_path, HEADER + NORMAL + row + row))
    assert manifest.of_split("test")[0].class_events() == [(116, 200, "Robbery")]
    (note,) = manifest.notes
    place = f"{tmp_path}/videos.csv"
    assert note.startswith(f"{place}:4: what this row says of b stands at {place}:3 already")
    more = "b.mp4,test,Robbery,Robbery:116-200;Robbery:300-310\n"
    (b,) = read_manifest(write(tmp_path, HEADER + NORMAL + row + more)).of_split("test")
    assert b.class_events() == [(116, 200, "Robbery"), (300, 310, "Robbery")]


def test_the_same_event_twice_in_a_row_counts_once(tmp_path: Path) -> None:
    text = "# classes: Normal, Robbery\npath,split,labels,events,spans\n"
    text += "b.mp4,test,Robbery,Robbery:5f-9f;robbery:5f-9f;Robbery:5s-9s;Robbery:5s-9s,1-2;1-2\n"
    manifest = read_manifest(write(tmp_path, text))
    (video,) = manifest.videos
    assert video.events == (Event(5, 9, "Robbery"),)
    assert video.timed_events == (TimedEvent(5, 9, "Robbery"),)
    assert video.spans == ((1, 2),)
    assert [note.split(":3: ")[-1] for note in manifest.notes if ":3: " in note] == [
        "1 of the events of b stand there twice; they count once",
        "1 of the timed events of b stand there twice; they count once",
        "1 of the spans of b stand there twice; they count once",
    ]


def test_series_of_labels_are_no_near_misses(tmp_path: Path) -> None:
    labels = ["zone 1", "zone 2", "zone 2", "type a", "type b", "type b", "Fighting", "Fight"]
    rows = "".join(f"{number}.mp4,train,{label},\n" for number, label in enumerate(labels))
    assert len(read_manifest(write(tmp_path, HEADER + NORMAL + rows)).classes) == 7


def test_a_row_per_event_is_joined_to_one_video(tmp_path: Path) -> None:
    text = HEADER + NORMAL + "b.mp4,test,Robbery,Robbery:116-200\n"
    text += "b.mp4,test,Arson,Arson:220-264\nb.mp4,test,Robbery,Robbery:300-310\n"
    manifest = read_manifest(write(tmp_path, text))
    (b,) = manifest.of_split("test")
    assert b.labels == ("Robbery", "Arson")
    assert b.class_events() == [
        (116, 200, "Robbery"),
        (220, 264, "Arson"),
        (300, 310, "Robbery"),
    ]
    assert manifest.notes == (f"{tmp_path}/videos.csv:3: 3 rows of b are joined to one video",)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("b.mp4,train,Robbery,Robbery:220-264", "split of 'b' is train here and test at "),
        ("b.mp4,test,Robbery,", "the video 'b' is listed again: give it one row"),
    ],
)
def test_rows_that_contradict_each_other_are_refused(tmp_path: Path, row: str, what: str) -> None:
    text = HEADER + NORMAL + f"b.mp4,test,Robbery,Robbery:116-200\n{row}\n"
    (problem,) = csv_problems(tmp_path, text)
    assert problem.startswith(f":4: {what}")
    assert "videos.csv:3" in problem
    assert "another id" not in problem


def test_events_beyond_a_known_end_are_noted(tmp_path: Path) -> None:
    text = "# classes: Normal, Robbery\npath,split,labels,events,num_frames,fps\n"
    text += (
        "b.mp4,test,Robbery,Robbery:100f-900f,480,24\nc.mp4,test,Robbery,Robbery:21s-25s,480,24\n"
    )
    b, c = read_manifest(write(tmp_path, text)).notes
    assert b.endswith(":3: Robbery:100-900 ends after the last of 480 frames")
    assert c.endswith(":4: Robbery:504-600 begins after the last of 480 frames")


@pytest.mark.shared
def test_the_cases_of_other_people_are_right(shared_data: Path) -> None:
    cases = shared_data.parent / "cases"
    seconds = read_manifest(cases / "15-seconds.csv").of_split("test")
    assert [video.timed_events[0] for video in seconds] == [
        TimedEvent(4.8, 14.4, "Robbery"),
        TimedEvent(4, 14, "Robbery"),
        TimedEvent(5, 14, "Robbery"),
    ]
    joined = read_manifest(cases / "D-one-row-per-event.csv").by_id()["b"]
    assert joined.class_events() == [(116, 200, "Robbery"), (220, 264, "Robbery")]
    with pytest.raises(ManifestError, match=r"csv:6: did you mean 'Robbery' by 'Robery'") as caught:
        read_manifest(cases / "D-normal-in-lower-case.csv")
    assert len(caught.value.problems) == 1
    beyond = read_manifest(cases / "14-events-beyond-the-end.csv").of_split("test")
    phrases = [fit_to_length(video, 320)[1] for video in beyond]
    assert phrases == [
        ["Robbery:100-90000 ends after the last of 320 frames"],
        ["Robbery:5000-6000 begins after the last of 320 frames"],
    ]
