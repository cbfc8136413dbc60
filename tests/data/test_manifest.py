"""Manifests: what goes in comes out, and whatever is wrong is said, all of it, with its line."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.data.manifest import Manifest, hold_out
from exvad.data.manifest_files import read_manifest, write_manifest
from exvad.data.records import Event, ManifestError, Split, Video

CLASSES = ("Normal", "Fighting", "Road accident")
HEADER = "path,split,labels\n"


def video(name: str, label: str = "Normal", split: Split = "train", **known: object) -> Video:
    return replace(Video(name, f"/videos/{name}.mp4", split, (label,)), **known)  # type: ignore[arg-type]


def dataset(per_class: int = 10) -> Manifest:
    videos = [video(f"{label}{i}", label) for label in CLASSES for i in range(per_class)]
    return Manifest(CLASSES, (*videos, video("unseen", "Fighting", "test")))


def problems_of(path: Path, classes: tuple[str, ...] | None = None) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        read_manifest(path, classes)
    return [problem.removeprefix(str(path)) for problem in caught.value.problems]


def problems_of_csv(folder: Path, text: str | bytes) -> list[str]:
    path = folder / "videos.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return problems_of(path)


# What goes in comes out.

names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
plain_names = names.map(lambda text: "x" + text.replace("/", "·") + "x")


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    label = plain_names.map(lambda text: text.replace(",", "").replace(";", ""))
    classes = draw(st.lists(label, min_size=2, max_size=5, unique=True))
    ids = draw(st.lists(plain_names, min_size=1, max_size=6, unique=True))
    stretch = st.tuples(st.integers(0, 10**6), st.integers(1, 10**6)).map(
        lambda pair: (pair[0], pair[0] + pair[1])
    )
    videos = []
    for name in ids:
        some = st.lists(st.sampled_from(classes[1:]), max_size=3, unique=True)
        labels = tuple(draw(some)) or (classes[0],)
        event = st.builds(
            lambda pair, label: Event(pair[0], pair[1], label),
            stretch,
            st.sampled_from(classes[1:]),
        )
        abnormal = labels != (classes[0],)
        videos.append(
            Video(
                name,
                draw(st.sampled_from(["/data/", "s3://bucket/", "/elsewhere/deep/"])) + name,
                draw(st.sampled_from(["train", "val", "test"])),
                labels,
                tuple(draw(st.lists(event, max_size=3))) if abnormal else (),
                draw(st.none() | st.integers(1, 10**9)),
                draw(st.none() | st.floats(0.01, 1000)),
                draw(st.none() | st.integers(1, 10**6)),
                tuple(draw(st.lists(stretch, max_size=2))) if abnormal else (),
            )
        )
    return Manifest(tuple(classes), tuple(videos))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@settings(max_examples=60, deadline=None)
@given(manifest=manifests())
def test_a_written_manifest_reads_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, manifest: Manifest
) -> None:
    path = tmp_path_factory.mktemp("written") / f"videos{suffix}"
    write_manifest(manifest, path)
    again = read_manifest(path)
    assert again == manifest
    assert again.fingerprint() == manifest.fingerprint()
    assert [v.abnormal for v in again.videos] == [v.abnormal for v in manifest.videos]


@pytest.mark.parametrize("name", ["videos.csv", "videos.parquet"])
def test_a_manifest_and_its_videos_move_together(tmp_path: Path, name: str) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    one = Video("one", str(here / "clips" / "one.mp4"), "train", ("Normal",))
    two = Video("two", "s3://bucket/two.mp4", "train", ("Fighting",))
    write_manifest(Manifest(CLASSES, (one, two)), here / name)
    here.rename(there)
    moved = read_manifest(there / name)
    assert moved.videos[0].path == str(there / "clips" / "one.mp4")
    assert moved.videos[1].path == "s3://bucket/two.mp4"


def test_a_relative_manifest_path_still_gives_absolute_video_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "videos.csv").write_text(HEADER + "a.mp4,train,Normal\nb.mp4,train,Fight\n")
    monkeypatch.chdir(tmp_path)
    assert read_manifest("videos.csv").videos[0].path == str(tmp_path / "a.mp4")


def test_a_csv_written_by_hand_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "videos.csv"
    path.write_text(
        "# classes: Normal, Fighting, Road accident\n"
        "path, Split, label, events, num_frames, fps\n"
        "\n"
        "clips/street.mp4, train, Normal\n"
        '"clips/bar, night.mp4", TEST, Fighting; Road accident, '
        "Fighting:10-20; Road accident:30-45, 100, 29.97,,\n"
    )
    manifest = read_manifest(path)
    assert manifest.classes == CLASSES
    street, bar = manifest.videos
    assert (street.video_id, street.abnormal, street.num_frames) == ("street", False, None)
    assert (bar.video_id, bar.split, bar.fps) == ("bar, night", "test", 29.97)
    assert bar.path == str(tmp_path / "clips" / "bar, night.mp4")
    assert bar.class_events() == [(10, 20, "Fighting"), (30, 45, "Road accident")]


def test_what_spreadsheets_do_to_a_csv_is_tolerated(tmp_path: Path) -> None:
    plain = (
        "# classes: Normal,Fighting\npath,split,labels\nä.mp4,train,Normal\nb.mp4,val,Fighting\n"
    )
    padded = "# classes: Normal,Fighting,,\npath,split,labels,\nä.mp4,train,Normal,\n,,,\n"
    padded += "b.mp4,val,Fighting,\n"
    (tmp_path / "plain.csv").write_text(plain)
    (tmp_path / "bom.csv").write_bytes(plain.replace("\n", "\r\n").encode("utf-8-sig"))
    (tmp_path / "padded.csv").write_text(padded)
    expected = read_manifest(tmp_path / "plain.csv")
    assert read_manifest(tmp_path / "bom.csv") == expected
    assert read_manifest(tmp_path / "padded.csv") == expected


def test_without_a_class_list_the_normal_class_comes_first_and_the_rest_by_alphabet(
    tmp_path: Path,
) -> None:
    path = tmp_path / "videos.csv"
    path.write_text(HEADER + "a.mp4,train,theft\nb.mp4,train,normal\nc.mp4,train,Arson;theft\n")
    assert read_manifest(path).classes == ("normal", "Arson", "theft")
    assert not read_manifest(path).videos[1].abnormal
    assert read_manifest(path, ("normal", "theft", "Arson")).classes == ("normal", "theft", "Arson")


def test_parquet_made_by_other_tools_is_understood(tmp_path: Path) -> None:
    table = pa.table(
        {
            "path": ["a.mp4", "b.mp4"],
            "split": ["train", "test"],
            "label": ["Normal", "Fighting"],
            "num_frames": [float("nan"), 40.0],
            "fps": [25, None],
            "events": [None, "Fighting:3-9"],
        }
    )
    pq.write_table(table, tmp_path / "videos.parquet")
    a, b = read_manifest(tmp_path / "videos.parquet").videos
    assert (a.num_frames, a.fps, a.events) == (None, 25.0, ())
    assert (b.num_frames, b.fps, b.events) == (40, None, (Event(3, 9, "Fighting"),))


# Whatever is wrong is said.


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("a.mp4,train,Figthing", "unknown label 'Figthing', did you mean 'Fighting'?"),
        ("a.mp4,train,Xylophone", "unknown label 'Xylophone'; The classes are: Normal, Fighting"),
        ("a.mp4,train,", "there is no label"),
        ("a.mp4,train,Fighting;Fighting", "the label 'Fighting' is named twice"),
        ("a.mp4,train,Normal;Fighting", "'Normal' stands beside abnormal labels"),
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
def test_a_bad_row_is_named_with_its_line_and_what_to_do(
    tmp_path: Path, row: str, what: str
) -> None:
    text = "# classes: Normal, Fighting\npath,split,labels,events,fps,num_frames\n"
    problems = problems_of_csv(tmp_path, f"{text}ok.mp4,train,Normal\n{row}\n")
    assert all(problem.startswith(":4: ") for problem in problems)
    assert what in problems[0]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", ": there is no column 'path'"),
        (HEADER, ": it holds no videos; add one row per video"),
        ("path,labels\na.mp4,Normal\n", ": there is no column 'split'"),
        (HEADER.replace("labels", "labels,event"), "'event', did you mean 'events'?"),
        (HEADER.replace(",", ";"), ", separate columns by commas"),
        ("path,split,label,labels\n", ": the column 'labels' is there twice"),
        (HEADER + "a.mp4,train,Fighting\n", ": the classes are not given"),
        ("# clases: Normal\n" + HEADER, ":1: '# clases: Normal' is not understood"),
        ("# classes: Normal\n" + HEADER, ": the classes are Normal; name the normal class"),
        ("# classes: Normal,a,a\n" + HEADER, ": the class 'a' is named twice"),
        ("# classes: Normal,,a\n" + HEADER, ": the class name '' is empty"),
        ("# classes: Normal,a;b\n" + HEADER, ": the class name 'a;b' is empty, or has"),
        (HEADER + 'a.mp4,train,Normal\n\nb.mp4,"train,x\n', ":4: this is not CSV"),
        (HEADER.encode() + b"a.mp4,train,Normal\n\xff.mp4,", ":3: this is not UTF-8"),
    ],
)
def test_a_bad_file_is_named_with_what_to_do(tmp_path: Path, text: str | bytes, what: str) -> None:
    assert any(what in problem for problem in problems_of_csv(tmp_path, text))


def test_a_duplicate_id_names_both_lines(tmp_path: Path) -> None:
    text = "# classes: Normal, Fighting\n" + HEADER + '"one\n.mp4",train,Normal\n'
    text += "x/a.mp4,train,Normal\ny/a.mp4,test,Fighting\n"
    (problem,) = problems_of_csv(tmp_path, text)
    assert problem.startswith(":6: the id 'a' was used already at ")
    assert "videos.csv:5;" in problem


def test_all_problems_are_listed_in_order_and_twenty_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "videos.csv"
    path.write_text(
        "# classes: Normal, Fighting\npath,split,labels,fps\n"
        + "".join(f"{i}.mp4,{'train' if i % 2 else 'trian'},Normal,-1\n" for i in range(20))
    )
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    lines = [int(problem.split(":")[1]) for problem in caught.value.problems]
    assert len(lines) == 30
    assert lines == sorted(lines)
    shown = str(caught.value).splitlines()
    assert len(shown) == 22
    assert shown[20] == "… and 10 more problems"
    assert "Correct what is named above" in shown[21]


def test_problems_of_parsing_and_of_meaning_are_listed_together(tmp_path: Path) -> None:
    text = "# classes: Normal, Fighting\npath,split,labels,fps\n"
    text += "a.mp4,train,Fight,25\nb.mp4,tset,Normal,x\n"
    problems = problems_of_csv(tmp_path, text)
    assert [problem[:3] for problem in problems] == [":3:", ":4:", ":4:"]


def test_a_normal_video_has_no_abnormal_spans(tmp_path: Path) -> None:
    text = "# classes: Normal, Fighting\npath,split,labels,spans\n"
    (problem,) = problems_of_csv(tmp_path, text + "a.mp4,test,Normal,3-9\n")
    assert problem.startswith(":3: the label is 'Normal', but an event is abnormal")
    bad = problems_of_csv(tmp_path, text + "a.mp4,test,Fighting,3-9;x\nb.mp4,test,Fighting,9-3\n")
    assert bad[0] == ":3: spans is '3-9;x'; it must be start-end;…"
    assert bad[1] == ":4: the span runs from frame 9 to 3; its end must be above its start"


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and then nothing of the kind")
    (tmp_path / "empty.parquet").write_bytes(b"")
    (tmp_path / "folder.csv").mkdir()
    assert "this is not a Parquet file" in problems_of(tmp_path / "broken.parquet")[0]
    assert "this is not a Parquet file" in problems_of(tmp_path / "empty.parquet")[0]
    assert "cannot be read: Is a directory" in problems_of(tmp_path / "folder.csv")[0]
    assert "No such file" in problems_of(tmp_path / "missing.csv")[0]
    assert "must end in .parquet or .csv" in problems_of(tmp_path / "videos.json")[0]


def test_bad_parquet_rows_are_named_with_their_number(tmp_path: Path) -> None:
    columns = {
        "path": ["a.mp4", "b.mp4"],
        "split": ["train", "test"],
        "labels": [["Normal"], ["Fightin"]],
        "events": [[], [{"start": 3, "end": None, "label": "Fighting"}]],
        "num_frames": [1.5, 2.0],
    }
    table = pa.table(columns).replace_schema_metadata({"exvad.classes": '["Normal", "Fighting"]'})
    pq.write_table(table, tmp_path / "videos.parquet")
    first, second, third = problems_of(tmp_path / "videos.parquet")
    assert first == ":row 1: num_frames is 1.5; it must be a whole number"
    assert second.startswith(":row 2: events is ")
    assert third.startswith(":row 2: unknown label 'Fightin', did you mean 'Fighting'?")
    pq.write_table(table.replace_schema_metadata({"exvad.classes": "{}"}), tmp_path / "v.parquet")
    assert "'exvad.classes' must be a JSON list" in problems_of(tmp_path / "v.parquet")[0]


def test_a_manifest_made_in_python_is_checked_too() -> None:
    with pytest.raises(ManifestError, match=r"video 2 \('a'\): the id 'a' was used already"):
        Manifest(CLASSES, (video("a"), video("a")))
    with pytest.raises(ManifestError, match="is not valid Unicode"):
        Manifest(CLASSES, (video("a", path="\udcff.mp4"),))


def test_a_video_that_is_not_on_the_disk_is_no_problem_of_the_manifest(tmp_path: Path) -> None:
    path = tmp_path / "videos.csv"
    path.write_text("# classes: Normal,Fighting\n" + HEADER + "nowhere/a.mp4,train,Normal\n")
    assert len(read_manifest(path).videos) == 1


def test_csv_refuses_what_it_cannot_hold(tmp_path: Path) -> None:
    odd = Manifest(CLASSES, (video("a", path="/videos/two\nlines.mp4"),))
    with pytest.raises(ManifestError, match=r"has a line break .* write \.parquet"):
        write_manifest(odd, tmp_path / "videos.csv")
    assert not list(tmp_path.iterdir())
    write_manifest(odd, tmp_path / "videos.parquet")
    assert read_manifest(tmp_path / "videos.parquet") == odd


@pytest.mark.parametrize("name", ["videos.csv", "videos.parquet"])
def test_a_write_that_fails_leaves_the_old_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    old = dataset(2)
    write_manifest(old, tmp_path / name)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_manifest(dataset(3), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert read_manifest(tmp_path / name) == old


# Splits, targets, fingerprints.


def test_validation_does_not_depend_on_the_order_of_the_rows() -> None:
    manifest = dataset()
    shuffled = list(manifest.videos)
    random.Random(1).shuffle(shuffled)
    chosen = {v.video_id for v in manifest.with_validation(0.3, 7).of_split("val")}
    again = Manifest(CLASSES, tuple(shuffled)).with_validation(0.3, 7)
    assert {v.video_id for v in again.of_split("val")} == chosen
    assert [v.video_id for v in again.videos] == [v.video_id for v in shuffled]
    other = {v.video_id for v in manifest.with_validation(0.3, 8).of_split("val")}
    assert other != chosen


def test_validation_is_stratified_and_comes_from_training_videos_alone() -> None:
    split = dataset().with_validation(0.3, 0)
    assert [v.labels[0] for v in split.of_split("val")] == [c for c in CLASSES for _ in range(3)]
    assert [v.video_id for v in split.of_split("test")] == ["unseen"]


def test_validation_is_the_same_in_another_process() -> None:
    code = (
        "from exvad.data.manifest import Video, hold_out;"
        "videos = [Video(str(i), 'p', 'train', ('a', 'b')) for i in range(40)];"
        "print(sorted(hold_out(videos, 0.25, 3)))"
    )
    here = Path(__file__).parents[3]
    environment = os.environ | {"PYTHONHASHSEED": "77", "PYTHONPATH": str(here)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    videos = [Video(str(i), "p", "train", ("b", "a")) for i in range(40)]
    assert done.stdout.strip() == str(sorted(hold_out(videos, 0.25, 3)))


@settings(max_examples=80, deadline=None)
@given(
    counts=st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any),
    both=st.integers(0, 5),
    fraction=st.floats(0, 0.99),
    seed=st.integers(0, 99),
)
def test_validation_keeps_every_class_in_training(
    counts: list[int], both: int, fraction: float, seed: int
) -> None:
    videos = [
        video(f"{label}{i}", label)
        for label, n in zip(CLASSES, counts, strict=True)
        for i in range(n)
    ]
    videos += [video(f"both{i}", labels=CLASSES[1:]) for i in range(both)]
    split = Manifest(CLASSES, tuple(videos)).with_validation(fraction, seed)
    left = split.of_split("train")
    assert {label for v in videos for label in v.labels} == {x for v in left for x in v.labels}
    if fraction > 0:
        validated = {v.labels[0] for v in split.of_split("val") if len(v.labels) == 1}
        assert validated == {c for c, n in zip(CLASSES, counts, strict=True) if n > 1}
    else:
        assert not split.of_split("val")


def test_adding_videos_moves_few_others_into_validation() -> None:
    few, more = dataset(20), dataset(22)
    before = {v.video_id for v in few.with_validation(0.2, 0).of_split("val")}
    after = {v.video_id for v in more.with_validation(0.2, 0).of_split("val")}
    assert len(before & after) >= len(before) - 4


def test_validation_that_is_there_already_stays() -> None:
    manifest = Manifest(CLASSES, (*dataset().videos, video("mine", split="val")))
    assert manifest.with_validation(0.5, 0) is manifest


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_a_validation_fraction_out_of_range_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="from 0 to below 1"):
        dataset().with_validation(fraction, 0)


def test_targets_are_multi_hot_in_the_order_of_the_classes() -> None:
    both = video("both", labels=("Road accident", "Fighting"))
    manifest = Manifest(CLASSES, (video("quiet"), both))
    target_C = manifest.target(both)
    assert target_C.dtype == np.float32
    assert target_C.tolist() == [0, 1, 1]
    assert manifest.target(manifest.videos[0]).tolist() == [1, 0, 0]


def test_spans_take_the_place_of_events_where_frames_are_scored() -> None:
    events = (Event(5, 9, "Fighting"), Event(0, 5, "Normal"))
    plain = video("a", "Fighting", "test", events=events)
    assert plain.frame_events() == [(5, 9, "Fighting")]
    assert plain.class_events() == [(5, 9, "Fighting"), (0, 5, "Normal")]
    other = replace(plain, spans=((6, 8),))
    assert other.frame_events() == [(6, 8, "Fighting")]
    assert other.class_events() == plain.class_events()


def test_scored_frames_are_those_of_the_snippets_where_these_are_fixed() -> None:
    assert video("a", num_frames=100).scored_frames == 100
    assert video("a", num_frames=100, snippets=5).scored_frames == 80
    assert video("a").scored_frames is None


def test_the_normal_class_may_have_any_name() -> None:
    manifest = Manifest(("calm", "riot"), (video("a", "calm"), video("b", "riot")))
    assert [v.abnormal for v in manifest.videos] == [False, True]
    assert manifest.normal == "calm"


def test_the_fingerprint_ignores_the_order_of_rows_and_where_videos_lie() -> None:
    manifest = dataset()
    moved = [replace(v, path=v.path.replace("/videos", "/mnt/x")) for v in manifest.videos[::-1]]
    assert Manifest(CLASSES, tuple(moved)).fingerprint() == manifest.fingerprint()


@pytest.mark.parametrize(
    "change",
    [
        {"split": "test"},
        {"labels": ("Road accident",)},
        {"events": (Event(0, 1, "Fighting"),)},
        {"spans": ((0, 1),)},
        {"num_frames": 7},
        {"fps": 24.0},
        {"snippets": 3},
        {"path": "/videos/other.mp4"},
        {"video_id": "b"},
    ],
)
def test_the_fingerprint_changes_with_whatever_matters(change: dict[str, object]) -> None:
    one = video("a", "Fighting")
    before = Manifest(CLASSES, (one,)).fingerprint()
    assert Manifest(CLASSES, (video("a", "Fighting"),)).fingerprint() == before
    assert Manifest(CLASSES, (replace(one, **change),)).fingerprint() != before  # type: ignore[arg-type]
    assert Manifest(("Normal", "Road accident", "Fighting"), (one,)).fingerprint() != before
