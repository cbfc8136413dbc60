"""Videos without all their features are found and never padded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exvad.store.completeness import MissingFeaturesError, missing_features, no_features
from exvad.store.feature_bank import load_features
from exvad.store.store import Store
from tests.helpers.feature_store import add_language, add_vision


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_missing_features_finds_incomplete_videos(store: Store) -> None:
    for name in ("whole", "mute", "torn"):
        add_vision(store, name, (4, 2))
    add_language(store, "whole", [0])
    vision = store.read_stage("vision")
    complete = vision.table(video_ids=["whole", "mute"])
    torn = vision.table(video_ids=["torn"]).slice(1)
    fresh = store.stage("vision", {}, fresh=True)
    fresh.append(complete)
    fresh.append(torn)
    ids = ["whole", "torn", "mute", "absent"]
    assert missing_features(store, ids) == {"torn": "1 of 2 chunks", "absent": "no features"}
    with pytest.raises(
        MissingFeaturesError, match=r"(?s)of 3 videos.*torn: 1 of 2 chunks"
    ) as caught:
        load_features(store, ids, "explanation")
    assert caught.value.missing == {
        "torn": "1 of 2 chunks",
        "mute": "no explanation",
        "absent": "no features",
    }


def test_missing_features_looks_at_one_crop(store: Store) -> None:
    add_vision(store, "a", (4, 2))
    assert missing_features(store, ["a"]) == {}
    assert missing_features(store, ["a"], crop=1) == {"a": "no features"}


def test_missing_features_finds_videos_that_changed_between_runs(store: Store) -> None:
    add_vision(store, "a", (4, 2))
    add_vision(store, "b", (4, 2))
    table = store.read_stage("vision").table().to_pylist()
    for row in table:
        row["visual"] = np.asarray(row["visual"])
    table[1]["num_chunks"] = 3  # of a
    table[3] |= {"first_snippet": 5, "caption_snippets": [5]}  # of b
    store.stage("vision", {}, fresh=True).append(table)
    missing = missing_features(store, ["a", "b"])
    assert "disagree" in missing["a"]
    assert "starts at snippet 5, not 4" in missing["b"]


def test_missing_features_error_lists_ten_videos() -> None:
    error = MissingFeaturesError({f"v{number}": "no features" for number in range(12)})
    lines = str(error).splitlines()
    assert lines[0] == "the store lacks features of 12 videos:"
    assert lines[10:] == [
        "  v9: no features",
        "  … and 2 more",
        "Preprocess again: only what is missing is computed.",
    ]


def test_no_features_advises_no_text_only_where_a_text_is_used() -> None:
    assert no_features(["train", "val"], "none") == (
        "no train or val video has the features that model.text=none needs: preprocess or import "
        "them"
    )
    assert no_features(["test"], "captions").endswith("them, or use no text (model.text=none)")
