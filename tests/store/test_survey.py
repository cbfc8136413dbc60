"""The survey agrees with the rows themselves, and reads each file once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.store.index.compaction import compact
from exvad.store.store import Store
from exvad.store.survey import Survey
from tests.helpers.feature_store import FINGERPRINT, WIDTH, language_row, vision_row
from tests.helpers.object_store import ObjectStore, object_store

VIDEOS = ("a", "b", "c")


@pytest.fixture
def bucket() -> Iterator[ObjectStore]:
    with object_store() as store:
        yield store


def chunk_row(video: str, chunk: int, num_chunks: int, crop: int, snippets: int, first: int) -> Any:
    """Return a row of a chunk with any position, complete or not."""
    return vision_row(
        video,
        chunk,
        num_chunks,
        crop=crop,
        first_snippet=first if chunk else 0,
        visual=np.ones((snippets, WIDTH)),
        times=np.arange(snippets) * 0.5,
        captions=[],
        caption_snippets=[],
    )


def missing_by_rows(store: Store, crop: int) -> dict[str, str]:
    """Return what is missing, from the rows themselves."""
    rows = store.read_stage("vision").table(["video_id", "chunk", "crop", *_PLAIN]).to_pylist()
    missing = {}
    for video in VIDEOS:
        chunks = [row for row in rows if (row["video_id"], row["crop"]) == (video, crop)]
        counts = {row["num_chunks"] for row in chunks}
        ends = np.cumsum([0, *(len(row["times"]) for row in chunks)]).tolist()
        wrong = [r for r, end in zip(chunks, ends, strict=False) if r["first_snippet"] != end]
        if not chunks:
            missing[video] = "no features"
        elif len(counts) > 1:
            missing[video] = "disagree"
        elif len(chunks) < counts.pop():
            missing[video] = f"{len(chunks)} of"
        elif wrong:
            missing[video] = f"chunk {wrong[0]['chunk']} starts"
    return missing


_PLAIN = ("num_chunks", "first_snippet", "times")
ROWS = st.tuples(
    st.sampled_from(VIDEOS),
    st.integers(0, 2),
    st.sampled_from([1, 2, 2, 3]),
    st.integers(0, 1),
    st.integers(1, 3),
    st.sampled_from([2, 2, 4, 5]),
).filter(lambda row: row[1] < row[2])


@given(st.lists(st.lists(ROWS, min_size=1, max_size=3), min_size=1, max_size=8), st.data())
@settings(max_examples=60, deadline=None)
def test_survey_agrees_with_the_rows(parts: list[list[Any]], data: st.DataObject) -> None:
    merged_after = data.draw(st.sampled_from([None, *range(1, len(parts) + 1)]))
    root = Path(tempfile.mkdtemp())
    try:
        store = Store(root)
        stage = store.stage("vision", FINGERPRINT)
        survey = None
        for number, rows in enumerate(parts, 1):
            stage.append([chunk_row(*row) for row in rows])
            survey = survey or Survey(store, VIDEOS)
            survey.missing()
            if number == merged_after:
                compact(stage, min_parts=1)
        assert survey is not None
        survey.refresh("vision")
        for crop in (0, 1):
            expected = missing_by_rows(store, crop)
            for found in (survey.missing(crop=crop), Survey(store, VIDEOS).missing(crop=crop)):
                assert found.keys() == expected.keys()
                assert all(expected[video] in found[video] for video in found)
        stored = stage.keys()
        chunks = {(video, chunk) for video, chunk, _ in stored}
        assert survey.chunks(VIDEOS) == chunks
        for video, pieces in survey.pieces("vision", VIDEOS).items():
            tables = [stage.folder.read_part(name, ["video_id"], group) for name, group in pieces]
            assert all(video in table["video_id"].to_pylist() for table in tables)
            assert bool(pieces) == any(key[0] == video for key in stored)
    finally:
        shutil.rmtree(root)


def test_survey_lists_failures_and_explanations_of_its_videos(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.stage("vision", FINGERPRINT).append([vision_row("a"), vision_row("b")])
    store.stage("language", FINGERPRINT).append([language_row("a"), language_row("x")])
    store.failures.extend([("c", "vision", "E", "gone"), ("x", "vision", "E", "not asked about")])
    survey = Survey(store, VIDEOS)
    assert survey.missing() == {"c": "no features"}
    assert survey.missing("explanation") == {"b": "no explanation", "c": "no features"}
    assert survey.explained() == {"a"}
    assert [row["id"] for row in survey.failures()] == ["c"]
    assert survey.failures("language") == []
    store.failures.append("b", "language", "E", "refused")
    assert [row["id"] for row in survey.failures()] == ["c"]
    survey.refresh("language")
    assert [row["id"] for row in survey.failures()] == ["b", "c"]


def test_merge_failures_keeps_the_latest_of_many(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for turn in range(3):
        for video in range(30):
            store.failures.append(f"v{video}", "vision", "E", f"turn {turn}")
    survey = Survey(store, [f"v{video}" for video in range(30)])
    before = survey.failures()
    survey.merge_failures()
    assert survey.failures() == before == store.failures.rows()
    assert {row["message"] for row in before} == {"turn 2"}
    assert len(list((tmp_path / "failures").iterdir())) == 1
    survey.merge_failures()
    assert store.failures.rows() == before


def test_survey_of_an_absent_stage_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no vision stage.*preprocess"):
        Survey(Store(tmp_path), VIDEOS).missing()


def test_survey_reads_no_part_whose_name_has_its_keys(bucket: ObjectStore) -> None:
    store = Store(bucket.url("store"))
    vision = store.stage("vision", FINGERPRINT)
    language = store.stage("language", FINGERPRINT)
    videos = [f"v{number}" for number in range(60)]
    for video in videos:
        vision.append([vision_row(video, chunk, 4) for chunk in range(4)])
    for start in range(0, 60, 32):
        language.append([language_row(video) for video in videos[start : start + 32]])
    bucket.proxy.requests.clear()
    survey = Survey(store, videos)
    assert survey.missing("explanation") == {}
    assert survey.failures() == []
    # Of both stages the settings, the parts and the compactions; and the log of failures.
    assert len(bucket.proxy.requests) == 7
    assert bucket.proxy.count(part=".parquet") == 0

    vision.append([vision_row("w")])
    compact(vision, min_parts=2)
    bucket.proxy.requests.clear()
    survey.refresh("vision")
    # The parts, the compactions, the record, the keys; and the log of failures.
    assert len(bucket.proxy.requests) == 5
    assert survey.missing("explanation") == {}
    bucket.proxy.requests.clear()
    survey.refresh("vision")
    assert len(bucket.proxy.requests) == 4


def test_survey_reads_each_part_without_keys_in_its_name_once(bucket: ObjectStore) -> None:
    store = Store(bucket.url("store"))
    stage = store.stage("vision", FINGERPRINT)
    for part in range(3):
        stage.append([vision_row(f"v{part}-{number}") for number in range(200)])
    videos = [f"v{part}-{number}" for part in range(3) for number in range(200)]
    survey = Survey(store, [*videos, "absent"])
    assert survey.missing() == {"absent": "no features"}
    stage.append([vision_row("absent")])
    bucket.proxy.requests.clear()
    survey.refresh("vision")
    assert survey.missing() == {}
    assert bucket.proxy.count(part=".parquet") == 0
