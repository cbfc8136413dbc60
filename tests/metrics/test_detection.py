"""The metrics, against literal frame-by-frame versions, scikit-learn and the official counts."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from exvad.data.benchmarks import ucf_crime, vadclip_events, xd_violence
from exvad.data.manifest import Manifest
from exvad.metrics import IOUS, FrameEvent, Protocol, detection_map, frame_auc_ap

Scores = list[NDArray[Any]]
Events = list[list[FrameEvent]]

UCF_CLASSES = ["Normal", "Abuse", "Arrest", "Arson", "Assault", "Burglary", "Explosion"]
UCF_CLASSES += ["Fighting", "RoadAccidents", "Robbery", "Shooting", "Shoplifting", "Stealing"]
UCF_CLASSES += ["Vandalism"]
XD_CLASSES = ["A", "B1", "B2", "B4", "B5", "B6", "G"]
CLASSES = ["Normal", "Arson", "Fighting"]
PROTOCOLS: tuple[Protocol, ...] = ("vadclip", "strict")

seeds = st.integers(0, 2**32 - 1)
strides = st.sampled_from([1, 3, 16])


def literal_vadclip(
    scores: Scores, events: Events, classes: Sequence[str], stride: int, least: float
) -> float:
    """The vadclip protocol as DESIGN tells it, one frame at a time."""
    precisions = []
    for column, label in enumerate(classes):
        proposals: list[tuple[int, int, int, float]] = []
        for video, rows in enumerate(scores):
            frames = np.repeat(rows, stride, axis=0)
            top = len(frames) // 16
            mean = np.mean(-np.sort(-frames, axis=0)[:top], axis=0)[column] if top else 0.0
            curve = frames[:, column] if mean > 0 else np.zeros_like(frames[:, column])
            threshold = curve.max() - (curve.max() - curve.min()) * np.float64(0.6)
            found, start = [], None
            for frame, score in enumerate([*curve, -np.inf]):
                if start is None and score > threshold:
                    start = frame
                elif start is not None and not score > threshold:
                    if frame - start >= 2:
                        value = float(curve[start:frame].max() + 0.7 * mean)
                        found.append((video, start, frame, value))
                    start = None
            proposals += [found[k] for k in np.argsort([-value for *_, value in found])]
        if not proposals:
            return 0.0
        truth = [
            (video, set(range(start, end)))
            for video, own in enumerate(events)
            for start, end, name in own
            if name == label
        ]
        total, hits = len(truth), []
        for k in np.argsort([-value for *_, value in proposals]):
            video, start, end, _ = proposals[k]
            span = set(range(start, end))
            ious = [len(span & g) / len(span | g) if v == video else 0.0 for v, g in truth]
            hits.append(bool(ious) and max(ious) >= least)
            if hits[-1]:
                del truth[ious.index(max(ious))]
        precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        precisions.append(np.sum(precision * hits) / total if any(hits) else 0.0)
    return float(100 * np.mean(precisions))


def draw(seed: int, stride: int, kind: str, videos: int = 6) -> tuple[Scores, Events]:
    """Random videos of 1 to 30 snippets, some with events, one label in ten unknown."""
    rng = np.random.default_rng(seed)
    scores, events = [], []
    for _ in range(videos):
        length = int(rng.integers(1, 31))
        walk = np.cumsum(rng.normal(size=(length, len(CLASSES))), axis=0)
        rows = np.exp(walk) / np.exp(walk).sum(axis=1, keepdims=True)
        rows = {
            "float64": rows,
            "float32": rows.astype(np.float32),
            "float16": rows.astype(np.float16),
            "rounded": np.round(rows, 1).astype(np.float32),
            "binary": (rows > 0.4).astype(np.float32),
            "signed": walk,
            "integer": np.round(walk).astype(int),
        }[kind]
        own = []
        for _ in range(rng.integers(0, 4)):
            start = int(rng.integers(0, length * stride))
            end = int(rng.integers(start + 1, length * stride + 2))
            own.append((start, end, str(rng.choice([*CLASSES * 3, "unknown"]))))
        scores.append(rows)
        events.append(own)
    return scores, events


def oracle(events: Events, lengths: Sequence[int], classes: Sequence[str]) -> Scores:
    """Scores of 1 where an event of a class touches a snippet of 16 frames, normal elsewhere."""
    scores = []
    for own, length in zip(events, lengths, strict=True):
        rows = np.zeros((length, len(classes)), np.float32)
        for start, end, label in own:
            rows[start // 16 : -(-end // 16), classes.index(label)] = 1
        rows[:, 0] = rows[:, 1:].max(axis=1) == 0
        scores.append(rows)
    return scores


def block(length: int, *heights: tuple[int, int, float], columns: int = 2) -> NDArray[np.float64]:
    """Scores of two or more classes where the second is `height` from one snippet to another."""
    rows = np.zeros((length, columns))
    for first, end, height in heights:
        rows[first:end, 1] = height
    return rows


KINDS = ["float64", "float32", "float16", "rounded", "binary", "signed", "integer"]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(seed=seeds, stride=strides)
def test_vadclip_is_the_literal_evaluation_to_the_last_bit(
    kind: str, seed: int, stride: int
) -> None:
    scores, events = draw(seed, stride, kind)
    result = detection_map(scores, events, CLASSES, "vadclip", stride)
    expected = {iou: literal_vadclip(scores, events, CLASSES, stride, iou) for iou in IOUS}
    assert result.per_iou == expected
    assert result.average == pytest.approx(np.mean(list(expected.values())))


@pytest.mark.parametrize("seed", range(3))
def test_vadclip_takes_ties_of_many_segments_as_the_literal_evaluation_does(seed: int) -> None:
    """So many equal scores that the order NumPy's default sort leaves them in matters."""
    rng = np.random.default_rng(seed)
    scores: Scores = [rng.integers(0, 2, (100, 3)).astype(np.float32) for _ in range(10)]
    starts = 16 * rng.integers(0, 100, (10, 5))
    events = [[(int(t), int(t) + 32, "Arson") for t in own] for own in starts]
    result = detection_map(scores, events, CLASSES, "vadclip")
    assert result.per_iou[0.3] == literal_vadclip(scores, events, CLASSES, 16, 0.3) > 0


def test_vadclip_is_zero_as_a_whole_where_one_class_has_no_segment() -> None:
    events = [[(32, 64, "Arson")], [(0, 32, "Fighting")], []]
    scores = oracle(events, [6, 6, 6], CLASSES)
    before = detection_map(scores, events, CLASSES, "vadclip")
    for rows in scores:
        rows[:, 2] = 0.5
    after = detection_map(scores, events, CLASSES, "vadclip")
    assert before.average == pytest.approx(200 / 3)
    assert after.per_iou == dict.fromkeys(IOUS, 0.0)
    assert after.average == 0
    assert after.per_class["Arson"] == dict.fromkeys(IOUS, 100.0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_labels_that_are_no_class_are_ignored(protocol: Protocol) -> None:
    events: Events = [[(32, 64, "Arson")], [(0, 32, "Fighting")], [(0, 32, "A")]]
    scores = oracle([*events[:2], []], [6, 6, 6], CLASSES)
    expected = detection_map(scores, [*events[:2], []], CLASSES, protocol)
    assert detection_map(scores, events, CLASSES, protocol) == expected


@pytest.mark.parametrize("protocol", PROTOCOLS)
@settings(max_examples=40, deadline=None)
@given(seed=seeds, stride=strides)
def test_the_order_of_videos_does_not_matter_away_from_ties(
    protocol: Protocol, seed: int, stride: int
) -> None:
    scores, events = draw(seed, stride, "float64")
    order = np.random.default_rng(seed).permutation(len(scores)).tolist()
    result = detection_map(scores, events, CLASSES, protocol, stride)
    shuffled = detection_map(
        [scores[k] for k in order], [events[k] for k in order], CLASSES, protocol, stride
    )
    assert shuffled.per_iou == pytest.approx(result.per_iou)
    for label, values in result.per_class.items():
        assert shuffled.per_class[label] == pytest.approx(values)


@settings(max_examples=60, deadline=None)
@given(seed=seeds, data=st.data(), lengths=st.lists(st.integers(1, 8), min_size=1, max_size=5))
def test_a_strict_oracle_gets_100_where_every_class_has_events(
    seed: int, data: st.DataObject, lengths: list[int]
) -> None:
    """Whole snippets, at least one snippet apart; whole videos and single snippets included."""
    events: Events = [[(0, 16, "Arson")], [(16, 64, "Fighting")], []]
    for length in lengths:
        first = data.draw(st.integers(0, length - 1))
        end = data.draw(st.integers(first + 1, length))
        label = data.draw(st.sampled_from(CLASSES[1:]))
        own = [(16 * first, 16 * end, label)]
        if end + 1 < length:
            own.append((16 * (end + 1), 16 * length, label))
        events.append(own)
    scores = oracle(events, [4, 4, 4, *lengths], CLASSES)
    result = detection_map(scores, events, CLASSES, "strict")
    assert result.per_iou == pytest.approx(dict.fromkeys(IOUS, 100.0))
    assert list(result.per_class) == CLASSES[1:]


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_strict_does_not_look_at_normal_videos_nor_at_the_normal_class(seed: int) -> None:
    scores, events = draw(seed, 16, "float64")
    kept = [
        number
        for number, own in enumerate(events)
        if {label for *_, label in own} & set(CLASSES[1:])
    ]
    changed = [rows * [-3.0, 1, 1] for rows in scores]
    for number in set(range(len(scores))) - set(kept):
        changed[number] = 5 - 7 * changed[number]
    result = detection_map(scores, events, CLASSES, "strict")
    assert detection_map(changed, events, CLASSES, "strict") == result
    if kept:
        alone = [scores[k] for k in kept], [events[k] for k in kept]
        assert detection_map(*alone, CLASSES, "strict") == result


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_strict_depends_on_no_scale(seed: int) -> None:
    scores, events = draw(seed, 16, "float64")
    result = detection_map(scores, events, CLASSES, "strict")
    assert detection_map([8 * rows for rows in scores], events, CLASSES, "strict") == result


@pytest.mark.parametrize("constant", [0.0, 0.3, 1.0])
def test_a_strict_class_without_segments_counts_zero_for_itself_alone(constant: float) -> None:
    events: Events = [[(32, 64, "Arson")], [(0, 96, "Fighting")]]
    scores = oracle(events, [6, 6], CLASSES)
    for rows in scores:
        rows[:, 2] = constant
    result = detection_map(scores, events, CLASSES, "strict")
    assert result.per_class["Arson"] == dict.fromkeys(IOUS, 100.0)
    assert result.per_class["Fighting"] == dict.fromkeys(IOUS, 0.0)
    assert result.average == 50


def test_a_strict_class_without_events_counts_zero_and_is_shown() -> None:
    events: Events = [[(32, 64, "Arson")], [(0, 32, "Arson")]]
    result = detection_map(oracle(events, [6, 6], CLASSES), events, CLASSES, "strict")
    assert result.per_class["Fighting"] == dict.fromkeys(IOUS, 0.0)
    assert result.average == 50


def test_strict_is_zero_where_no_video_is_abnormal() -> None:
    result = detection_map([block(4, (1, 2, 1.0))], [[]], ["Normal", "Arson"], "strict")
    assert result.per_class == {"Arson": dict.fromkeys(IOUS, 0.0)}


def test_strict_finds_a_faint_event_beside_a_strong_one() -> None:
    scores = [block(30, (0, 29, 0.05), (4, 8, 1.0), (15, 25, 0.39))]
    events: Events = [[(64, 128, "Arson"), (240, 400, "Arson")]]
    assert detection_map(scores, events, ["Normal", "Arson"], "strict").average == 100
    per_class = detection_map(scores, events, ["Normal", "Arson"], "vadclip").per_class
    assert per_class["Arson"][0.1] == 50


def test_strict_suppresses_what_it_has_found_already() -> None:
    """A core inside its shoulders (IoU 7/9) would come between the two events otherwise."""
    scores = [block(20, (4, 13, 0.5), (5, 12, 1.0)), block(20, (4, 13, 0.4))]
    events: Events = [[(64, 208, "Arson")], [(64, 208, "Arson")]]
    assert detection_map(scores, events, ["Normal", "Arson"], "strict").average == 100


def test_strict_prefers_what_stands_out() -> None:
    """Equal means inside, but only the event's surroundings are low."""
    event, swell = block(40, (10, 20, 0.8)), block(40, (0, 40, 0.6), (10, 20, 0.8))
    other: Events = [[(160, 320, "Arson")], [(0, 16, "Fighting")]]
    scores = [np.hstack([rows, rows[:, :1]]) for rows in (event, swell)]
    result = detection_map(scores[::-1], other[::-1], CLASSES, "strict")
    assert result.per_class["Arson"][0.5] == 100


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_event_is_found_once(protocol: Protocol) -> None:
    """Two pieces of one event: the second is a false alarm, and comes before the last hit."""
    scores = [block(40, (0, 10, 1.0), (11, 21, 0.9)), block(40, (5, 15, 0.3))]
    events: Events = [[(0, 336, "Arson")], [(80, 240, "Arson")]]
    classes = ["Normal", "Arson"]
    result = detection_map(scores, events, classes, protocol, ious=[0.4])
    assert result.per_class["Arson"][0.4] == pytest.approx(100 * (1 + 2 / 3) / 2)


def test_an_iou_that_just_reaches_the_threshold_is_enough() -> None:
    scores, events = [block(10, (2, 4, 1.0))], [[(32, 96, "Arson")]]
    for least, expected in ((0.5, 100.0), (0.51, 0.0)):
        for protocol in PROTOCOLS:
            result = detection_map(
                scores, events, ["Normal", "Arson"], protocol, frames_per_snippet=16, ious=[least]
            )
            assert result.per_class["Arson"] == {least: expected}


@settings(max_examples=80, deadline=None)
@given(
    seed=seeds,
    stride=strides,
    kind=st.sampled_from(["float64", "float32", "binary", "signed"]),
    lengths=st.sampled_from(["default", "exact", "cut", "extended"]),
)
def test_auc_and_ap_are_those_of_scikit_learn(
    seed: int, stride: int, kind: str, lengths: str
) -> None:
    rng = np.random.default_rng(seed)
    scores, events = draw(seed, stride, kind)
    scores = [rows[:, 1] for rows in scores]
    full = [len(rows) * stride for rows in scores]
    given_lengths = {
        "default": None,
        "exact": full,
        "cut": [int(rng.integers(1, frames + 1)) for frames in full],
        "extended": [frames + int(rng.integers(0, 3 * stride)) for frames in full],
    }[lengths]
    curves, truth = [], []
    for rows, own, frames in zip(scores, events, given_lengths or full, strict=True):
        curve = np.repeat(rows, stride)
        curves.append([curve[min(t, len(curve) - 1)] for t in range(frames)])
        truth.append([any(start <= t < end for start, end, _ in own) for t in range(frames)])
    labels, values = np.concatenate(truth), np.concatenate(curves)
    if labels.all() or not labels.any():
        with pytest.raises(ValueError, match="need both kinds"):
            frame_auc_ap(scores, events, given_lengths, stride)
        return
    auc, ap = frame_auc_ap(scores, events, given_lengths, stride)
    assert auc == pytest.approx(roc_auc_score(labels, values), abs=1e-9)
    assert ap == pytest.approx(average_precision_score(labels, values), abs=1e-9)


def test_hours_of_frames_cost_no_more_than_their_snippets() -> None:
    """A thousand billion frames, which no machine could hold one by one."""
    events: Events = [[(0, 10**12, "Arson")], []]
    scores = [np.ones(4), np.zeros(4)]
    assert frame_auc_ap(scores, events, [10**12, 10**12]) == (1, 1)


def test_thresholds_of_one_s_own_are_used() -> None:
    scores, events = draw(3, 16, "float64")
    result = detection_map(scores, events, CLASSES, "strict", ious=[0.25, 0.75])
    assert list(result.per_iou) == [0.25, 0.75]
    assert result.average == pytest.approx(np.mean(list(result.per_iou.values())))
    means = [
        np.mean([values[iou] for values in result.per_class.values()]) for iou in result.per_iou
    ]
    assert list(result.per_iou.values()) == pytest.approx(means)


ROWS = block(4, (1, 2, 1.0))
EVENT: Events = [[(0, 16, "Arson")]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocol": "loose"}, "unknown protocol 'loose'"),
        ({"classes": ["Normal", "Arson", "Robbery"]}, r"video 0 have shape \(4, 2\), not \[T, 3\]"),
        ({"classes": ["Normal", "Normal"]}, "each once"),
        ({"classes": ["Normal"]}, "name the normal one and others"),
        ({"scores": [ROWS[:, 0]]}, r"shape \(4,\)"),
        ({"scores": [ROWS[:0]]}, "scores of video 0 are empty"),
        ({"scores": []}, "no video to score"),
        ({"scores": [ROWS * np.nan]}, "hold NaN"),
        ({"scores": [ROWS, ROWS]}, "2 videos have scores but 1 have lists of events"),
        ({"events": [[(16, 16, "Arson")]]}, "'Arson' of video 0 spans frames 16 to 16"),
        ({"events": [[(-1, 16, "Arson")]]}, "spans frames -1 to 16"),
        ({"events": [[(0.5, 16, "Arson")]]}, "must be whole"),
        ({"frames_per_snippet": 0}, "frames_per_snippet is 0"),
        ({"ious": [0.0]}, "above 0 and up to 1"),
        ({"ious": []}, "above 0 and up to 1"),
    ],
)
def test_what_cannot_be_measured_is_refused(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "scores": [ROWS],
        "events": EVENT,
        "classes": ["Normal", "Arson"],
        "protocol": "vadclip",
    }
    detection_map(**arguments)
    with pytest.raises(ValueError, match=message):
        detection_map(**{**arguments, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": [ROWS]}, r"shape \(4, 2\), not \[T\]"),
        ({"scores": [np.array(1.0)]}, r"shape \(\), not \[T\]"),
        ({"scores": [np.full(4, np.inf)]}, "NaN or infinite"),
        ({"lengths": [64, 64]}, "2 lengths for 1 videos"),
        ({"lengths": [0]}, "video 0 is said to have 0 frames"),
        ({"lengths": [16]}, "all frames are abnormal"),
        ({"events": [[]]}, "all frames are normal"),
        ({"events": [[(9, 3, "Arson")]]}, "spans frames 9 to 3"),
        ({"events": []}, "0 have lists of events"),
    ],
)
def test_what_cannot_be_ranked_is_refused(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"scores": [ROWS[:, 1]], "events": EVENT}
    frame_auc_ap(**arguments)
    with pytest.raises(ValueError, match=message):
        frame_auc_ap(**{**arguments, **changes})


def official_lengths(folder: Path) -> list[dict[str, str]]:
    with (folder / "test_lengths.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def official_cells(file: Path) -> dict[str, list[str]]:
    """Name → the rest of its line."""
    lines = [line.split() for line in file.read_text().splitlines()]
    return {name.removesuffix(".mp4"): cells for name, *cells in lines}


def ucf_events(folder: Path) -> Events:
    cells = official_cells(folder / "Temporal_Anomaly_Annotation.txt")
    return [
        [
            (int(start), int(end), row["label"])
            for start, end in zip(cells[name][1::2], cells[name][2::2], strict=True)
            if start != "-1"
        ]
        for row in official_lengths(folder)
        for name in [row["video"]]
    ]


@pytest.mark.shared
def test_the_official_ucf_crime_counts_and_oracle(shared_data: Path) -> None:
    folder = shared_data / "annotations" / "ucf_crime"
    events = ucf_events(folder)
    lengths = [int(row["snippets"]) for row in official_lengths(folder)]
    assert 16 * sum(lengths) == 1_109_888
    auc, share = frame_auc_ap([np.zeros(length) for length in lengths], events)
    assert auc == 0.5
    assert share * 1_109_888 == pytest.approx(84_160)
    scores = oracle(events, lengths, UCF_CLASSES)
    vadclip = detection_map(scores, events, UCF_CLASSES, "vadclip")
    assert vadclip.per_iou == pytest.approx(dict.fromkeys(IOUS, 1300 / 14))
    assert vadclip.per_class["Normal"] == dict.fromkeys(IOUS, 0.0)
    strict = detection_map(scores, events, UCF_CLASSES, "strict")
    assert strict.per_iou == pytest.approx(dict.fromkeys(IOUS, 100.0))


@pytest.mark.shared
def test_the_official_xd_violence_counts_and_oracle(shared_data: Path) -> None:
    """The figures of the oracle are those the public evaluation gives it.

    They are not 100: a normal video whose score is 1 throughout has nothing above its threshold,
    and events of one class that touch cannot be told apart. They differ by 0.2 from one kind of
    processor to another, in both: the order of equal scores is that of NumPy's sort there.
    """
    folder = shared_data / "annotations" / "xd_violence"
    rows = official_lengths(folder)
    lengths = [int(row["snippets"]) for row in rows]
    assert 16 * sum(lengths) == 2_331_296
    spans = official_cells(folder / "annotations.txt")
    kinds = official_cells(folder / "annotations_multiclasses.txt")
    abnormal: Events = []
    events: Events = []
    for row, length in zip(rows, lengths, strict=True):
        span, kind = spans.get(row["video"], []), kinds.get(row["video"], [])
        abnormal.append(
            [(int(s), int(e), "any") for s, e in zip(span[::2], span[1::2], strict=True)]
        )
        events.append(
            [
                (int(start), int(end), label)
                for label, start, end in zip(kind[::3], kind[1::3], kind[2::3], strict=True)
            ]
            or [(0, 16 * length, "A")]
        )
    _, share = frame_auc_ap([np.zeros(length) for length in lengths], abnormal)
    assert share * 2_331_296 == pytest.approx(537_882)
    scores = oracle(events, lengths, XD_CLASSES)
    vadclip = detection_map(scores, events, XD_CLASSES, "vadclip")
    public = [80.272, 80.272, 80.272, 79.611, 78.575]
    assert list(vadclip.per_iou.values()) == pytest.approx(public, abs=0.5)
    assert min(detection_map(scores, events, XD_CLASSES, "strict").per_iou.values()) > 96


@pytest.mark.shared
@pytest.mark.parametrize(
    ("read", "folder", "frames", "abnormal", "expected"),
    [
        (ucf_crime, "ucf_crime", 1_109_888, 84_160, [1300 / 14] * 5),
        (xd_violence, "xd_violence", 2_331_296, 537_882, [80.272, 80.272, 80.272, 79.611, 78.575]),
    ],
)
def test_imported_benchmarks_give_the_official_counts_and_oracle(
    shared_data: Path,
    read: Callable[[Path, Path], Manifest],
    folder: str,
    frames: int,
    abnormal: int,
    expected: list[float],
) -> None:
    manifest = read(Path("videos"), shared_data / "annotations" / folder)
    videos = manifest.of_split("test")
    lengths = [(video.scored_frames or 0) // 16 for video in videos]
    assert 16 * sum(lengths) == frames
    flat = [np.zeros(length) for length in lengths]
    _, share = frame_auc_ap(flat, [video.frame_events() for video in videos])
    assert share * frames == pytest.approx(abnormal)
    events = vadclip_events(manifest)
    scores = oracle(events, lengths, manifest.classes)
    result = detection_map(scores, events, manifest.classes, "vadclip")
    assert list(result.per_iou.values()) == pytest.approx(expected, abs=0.5)
