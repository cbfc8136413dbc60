"""Videos explained in segments: their texts reach training; parts without them are read too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from exvad.store.examples import whole_example
from exvad.store.feature_bank import FeatureBank
from exvad.store.grounding import grounded_row, grounded_rows
from exvad.store.index.compaction import compact
from exvad.store.shards.feature_shard import FeatureShard, ShardMemory
from exvad.store.store import Store
from tests.helpers.feature_store import WIDTH, add_language, add_vision, language_row

SNIPPETS = [0, 3, 5, 8, 10]
RNG = np.random.default_rng(3)
TEXT_SD = RNG.normal(size=(2, WIDTH)).astype(np.float16).astype(np.float32)


def record(anomalous: bool, *evidence: int) -> str:
    return json.dumps({"anomalous": anomalous, "category": "x", "evidence": list(evidence)})


def segments() -> dict[str, Any]:
    """Return the columns of a video of five captions in two segments."""
    return {
        "segment_ends": [2, 5],
        "segment_records": [record(False, 1), record(True, 4)],
        "segment_text": TEXT_SD.ravel(),
    }


def add_videos(store: Store) -> dict[str, Any]:
    """Add a video in segments and one that is explained as a whole; return the row of the first."""
    for video in ("long", "plain"):
        add_vision(store, video, (4, 4, 4))
    captions = [f"scene {snippet}" for snippet in SNIPPETS]
    row: dict[str, Any] = language_row(
        "long",
        captions=captions,
        caption_snippets=SNIPPETS,
        cleaned_captions=captions,
        record=record(True, 4),
        text=RNG.normal(size=WIDTH).astype(np.float16),
        caption_text=RNG.normal(size=(5, WIDTH)).astype(np.float16),
        **segments(),
    )
    store.stage("language", {}).append([row])
    add_language(store, "plain", [1, 2])
    return row


def test_grounded_rows_of_a_video_are_those_of_its_segments() -> None:
    caption_cD = RNG.normal(size=(5, WIDTH)).astype(np.float32)
    row = {"text": TEXT_SD[0] + TEXT_SD[1], "caption_text": caption_cD, "record": record(True, 4)}
    rows_cD = grounded_row(row | segments())
    normal_cD, votes_c = rows_cD[:2, :-1], rows_cD[:, -1]
    np.testing.assert_array_equal(normal_cD, TEXT_SD[[0, 0]], "a normal segment reads its text")
    np.testing.assert_allclose(rows_cD[3, :-1], TEXT_SD[1], rtol=1e-4)
    np.testing.assert_allclose(votes_c[[0, 1, 3]], [0, 0, 1], atol=1e-4)
    np.testing.assert_array_equal(
        rows_cD[2:], grounded_rows(TEXT_SD[1], caption_cD[2:], record(True, 2))
    )
    np.testing.assert_array_equal(
        grounded_row(row), grounded_rows(row["text"], caption_cD, record(True, 4))
    )


def test_segments_reach_the_bank_and_the_shards_of_training(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    row = add_videos(store)
    expected_cD = grounded_row(row)
    bank = FeatureBank.build(store, ["long", "plain"], "grounded")
    bank.save(tmp_path / "bank")
    for features in (bank["long"], FeatureBank.open(tmp_path / "bank")["long"]):
        np.testing.assert_array_equal(features.text, expected_cD)
        assert features.segment_ends == [2, 5]
        assert [segment["evidence"] for segment in features.segment_records] == [[1], [4]]
    assert (bank["plain"].segment_ends, bank["plain"].segment_records) == ([], [])
    text_TD = whole_example(bank["long"]).text
    assert text_TD is not None
    assert np.abs(text_TD[0] - text_TD[-1]).max() > 0.1
    shard = FeatureShard.load(
        store, {("long", 0): 12, ("plain", 0): 12}, "grounded", 256, ShardMemory(2**30)
    )
    np.testing.assert_array_equal(shard.inputs("long", 0).text, expected_cD)
    explained = FeatureBank.build(store, ["long"], "explanation")["long"]
    np.testing.assert_array_equal(explained.text, row["text"])
    assert explained.segment_ends == [2, 5]


def test_parts_without_segments_are_read_and_merged_beside_others(tmp_path: Path) -> None:
    store = Store(tmp_path)
    add_videos(store)
    stage = store.stage("language", {})
    plain = stage.folder.part_names()[-1]
    bank = FeatureBank.build(store, ["long", "plain"], "grounded")
    digest = stage.digest()
    table = stage.folder.read_part(plain)
    stage.folder.add_part(table.drop_columns(["segment_ends", "segment_records", "segment_text"]))
    stage.folder.remove([plain])
    for merged in (False, True):
        if merged:
            compact(stage, min_parts=2)
        assert stage.digest() == digest
        read = FeatureBank.build(store, ["long", "plain"], "grounded")
        for video in bank:
            np.testing.assert_array_equal(read[video].text, bank[video].text)
            assert read[video].segment_records == bank[video].segment_records
