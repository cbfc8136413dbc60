"""The metrics reproduce the published counts of UCF-Crime and XD-Violence."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from exvad.data.benchmarks import ucf_crime, vadclip_events, xd_violence
from exvad.data.manifest import Manifest
from exvad.metrics import IOUS, detection_map, frame_auc_ap
from tests.helpers.metric_cases import Events, oracle_scores

UCF_CLASSES = [
    "Normal", "Abuse", "Arrest", "Arson", "Assault", "Burglary", "Explosion", "Fighting",
    "RoadAccidents", "Robbery", "Shooting", "Shoplifting", "Stealing", "Vandalism",
]  # fmt: skip
XD_CLASSES = ["A", "B1", "B2", "B4", "B5", "B6", "G"]


def read_lengths(folder: Path) -> list[dict[str, str]]:
    with (folder / "test_lengths.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def read_cells(file: Path) -> dict[str, list[str]]:
    """Return video → the rest of its line."""
    lines = [line.split() for line in file.read_text().splitlines()]
    return {name.removesuffix(".mp4"): cells for name, *cells in lines}


def read_ucf_events(folder: Path) -> Events:
    cells = read_cells(folder / "Temporal_Anomaly_Annotation.txt")
    return [
        [
            (int(start), int(end), row["label"])
            for start, end in zip(cells[name][1::2], cells[name][2::2], strict=True)
            if start != "-1"
        ]
        for row in read_lengths(folder)
        for name in [row["video"]]
    ]


@pytest.mark.shared
def test_ucf_crime_annotations_give_the_published_counts_and_oracle(shared_data: Path) -> None:
    folder = shared_data / "annotations" / "ucf_crime"
    events = read_ucf_events(folder)
    lengths = [int(row["snippets"]) for row in read_lengths(folder)]
    assert 16 * sum(lengths) == 1_109_888
    auc, share = frame_auc_ap([np.zeros(length) for length in lengths], events)
    assert auc == 0.5
    assert share * 1_109_888 == pytest.approx(84_160)
    scores = oracle_scores(events, lengths, UCF_CLASSES)
    vadclip = detection_map(scores, events, UCF_CLASSES, "vadclip")
    assert vadclip.per_iou == pytest.approx(dict.fromkeys(IOUS, 1300 / 14))
    assert vadclip.per_class["Normal"] == dict.fromkeys(IOUS, 0.0)
    strict = detection_map(scores, events, UCF_CLASSES, "strict")
    assert strict.per_iou == pytest.approx(dict.fromkeys(IOUS, 100.0))


@pytest.mark.shared
def test_xd_violence_annotations_give_the_published_counts_and_oracle(shared_data: Path) -> None:
    """The oracle gets the metrics that the public evaluation gives it.

    They are below 100: a normal video with a score of 1 throughout has nothing above its threshold,
    and adjacent events of one class form one segment. They differ by 0.2 between kinds of
    processors, here and in the public evaluation, because NumPy sorts equal scores differently.
    """
    folder = shared_data / "annotations" / "xd_violence"
    rows = read_lengths(folder)
    lengths = [int(row["snippets"]) for row in rows]
    assert 16 * sum(lengths) == 2_331_296
    spans = read_cells(folder / "annotations.txt")
    kinds = read_cells(folder / "annotations_multiclasses.txt")
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
    scores = oracle_scores(events, lengths, XD_CLASSES)
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
def test_imported_benchmarks_give_the_published_counts_and_oracle(
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
    scores = oracle_scores(events, lengths, manifest.classes)
    result = detection_map(scores, events, manifest.classes, "vadclip")
    assert list(result.per_iou.values()) == pytest.approx(expected, abs=0.5)
