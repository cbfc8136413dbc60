"""Texts of a worker's videos: refused if they do not belong to the image features."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.store.completeness import MissingFeaturesError
from exvad.store.shards.feature_shard import FeatureShard, ShardMemory
from exvad.store.store import Store
from tests.helpers.feature_store import add_language, add_vision


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_load_refuses_a_language_stage_of_other_videos_or_encoders(store: Store) -> None:
    add_vision(store, "a", (4,))
    add_language(store, "a", [5])
    with pytest.raises(ValueError, match=r"a does not have.*--fresh"):
        FeatureShard.load(store, {("a", 0): 4}, "captions", 256, ShardMemory(2**30))
    with pytest.raises(MissingFeaturesError, match="b: no explanation"):
        FeatureShard.load(store, {("b", 0): 4}, "explanation", 256, ShardMemory(2**30))
    store.stage("language", {}, fresh=True)
    add_language(store, "a", [1], width=4)
    with pytest.raises(ValueError, match="4 wide, image features 8"):
        FeatureShard.load(store, {("a", 0): 4}, "captions", 256, ShardMemory(2**30))


def test_load_refuses_crops_of_different_lengths(store: Store) -> None:
    add_vision(store, "a", (4,))
    add_vision(store, "a", (3,), crop=1)
    add_language(store, "a", [0])
    lengths = {("a", 0): 4, ("a", 1): 3}
    with pytest.raises(ValueError, match="crop 1 of a has another length"):
        FeatureShard.load(store, lengths, "captions", 256, ShardMemory(2**30))
