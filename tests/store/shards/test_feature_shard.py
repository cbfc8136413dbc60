"""A worker's share of a store: what it reads, what it keeps, and what it refuses."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pytest

from exvad.store.completeness import MissingFeaturesError, stored_lengths
from exvad.store.examples import make_example
from exvad.store.feature_bank import FeatureBank
from exvad.store.parts import PartFolder
from exvad.store.shards.feature_shard import FeatureShard, ShardMemory
from exvad.store.store import Store
from tests.helpers.feature_store import WIDTH, add_language, add_vision, vision_row

EVERYTHING, NOTHING = ShardMemory(2**30), ShardMemory(0)
TARGET_C = np.array([1, 0], np.float32)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.mark.parametrize("memory", [EVERYTHING, ShardMemory(200), NOTHING])
@pytest.mark.parametrize("text", ["none", "captions", "explanation", "grounded"])
def test_shard_gives_the_examples_of_a_bank(
    store: Store, text: Literal["none", "captions", "explanation", "grounded"], memory: ShardMemory
) -> None:
    for name, chunks in [("a", (4, 4, 3)), ("b", (2,)), ("c", (4, 1))]:
        for crop in (0, 1):
            add_vision(store, name, chunks, crop)
        add_language(store, name, [0, 1])
    lengths, missing = stored_lengths(store, dict.fromkeys("cba", (1, 0)), text)
    shard = FeatureShard.load(store, lengths, text, 4, memory)
    assert not missing
    for crop in (0, 1):
        bank = FeatureBank.build(store, ["a", "b", "c"], text, crop)
        for name in bank:
            expected = make_example(bank[name], TARGET_C, max_snippets=4)
            for inputs in (shard.inputs(name, crop), bank.inputs(name)):
                example = make_example(inputs, TARGET_C, max_snippets=4)
                np.testing.assert_array_equal(example.visual_TD, expected.visual_TD)
                np.testing.assert_array_equal(example.text, expected.text)
            is_long = len(bank[name].visual) > 4
            assert shard.inputs(name, crop).visual.dtype == (np.float32 if is_long else np.float16)


def spy_on_reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how often image features are read from each part from here on."""
    reads: Counter[str] = Counter()
    read_part = PartFolder.read_part

    def counted(
        folder: PartFolder, name: str, columns: Sequence[str] | None = None, *more: Any
    ) -> pa.Table:
        if columns is None or "visual" in columns:
            reads[name] += 1
        return read_part(folder, name, columns, *more)

    monkeypatch.setattr(PartFolder, "read_part", counted)
    return reads


def test_load_reads_ten_crops_in_one_pass(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for crop in range(10):
        for name in ("a", "b"):
            add_vision(store, name, (4, 2), crop)
    reads = spy_on_reads(monkeypatch)
    lengths, _ = stored_lengths(store, dict.fromkeys("ab", range(10)), "none")
    assert len(lengths) == 20
    assert not reads
    FeatureShard.load(store, lengths, "none", 256, NOTHING)
    assert len(reads) == 40
    assert set(reads.values()) == {1}


def test_load_reads_no_parts_of_other_videos(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abcdef":
        add_vision(store, name, (4,))
    lengths, _ = stored_lengths(store, {"b": (0,), "e": (0,)}, "none")
    reads = spy_on_reads(monkeypatch)
    FeatureShard.load(store, lengths, "none", 256, NOTHING)
    assert reads.total() == 2


def test_stored_lengths_say_what_is_missing_of_each_crop(store: Store) -> None:
    add_vision(store, "a", (4, 3))
    add_vision(store, "a", (4, 3), crop=1)
    store.stage("vision", {}).append([vision_row("b", chunk=1, num_chunks=2)])
    lengths, missing = stored_lengths(store, {"a": (0, 1, 2), "b": (0,)}, "none")
    assert lengths == {("a", 0): 7, ("a", 1): 7}
    assert missing == {("a", 2): "no features", ("b", 0): "1 of 2 chunks"}
    add_language(store, "b", [0])
    assert stored_lengths(store, {"a": (0,)}, "captions")[1] == {("a", 0): "no explanation"}


def test_load_refuses_videos_that_changed_since_they_were_found(store: Store) -> None:
    add_vision(store, "a", (4, 3))
    for length in (6, 8):
        with pytest.raises(MissingFeaturesError, match="a: its features changed"):
            FeatureShard.load(store, {("a", 0): length}, "none", 256, EVERYTHING)


def test_load_says_what_to_do_without_room_on_the_disk(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_vision(store, "a", (4,))
    with pytest.raises(ValueError, match=r"train\.scratch /nowhere is no folder"):
        FeatureShard.load(store, {("a", 0): 4}, "none", 256, ShardMemory(0, "/nowhere"))

    def nearly_full(_: str) -> Any:
        return SimpleNamespace(free=4 * WIDTH * 2 - 1)

    monkeypatch.setattr(shutil, "disk_usage", nearly_full)
    with pytest.raises(ValueError, match=r"Set train\.scratch .* raise train\.cache_gib"):
        FeatureShard.load(store, {("a", 0): 4}, "none", 256, ShardMemory(0, str(tmp_path)))
    FeatureShard.load(store, {("a", 0): 4}, "none", 256, EVERYTHING)


MEMORY_GROWTH = """
import sys
from pathlib import Path
import numpy as np
from exvad.store.completeness import stored_lengths
from exvad.store.examples import collate, make_example
from exvad.store.shards.feature_shard import FeatureShard, ShardMemory
from exvad.store.store import Store

def peak_mib():
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024

def batches(shard, videos):
    for start in range(0, len(videos), 8):
        inputs = [shard.inputs(video, 0) for video in videos[start : start + 8]]
        yield collate([make_example(each, np.ones(2, np.float32), 256) for each in inputs])

store, videos = Store(sys.argv[1]), [f"v{number}" for number in range(int(sys.argv[2]))]
# Libraries and buffers, which do not grow with the videos.
first = {(video, 0): 256 for video in videos[:64]}
sum(1 for _ in batches(FeatureShard.load(store, first, "none", 256, ShardMemory(0)), videos[:64]))
before = peak_mib()
lengths, _ = stored_lengths(store, {video: (0,) for video in videos}, "none")
shard = FeatureShard.load(store, lengths, "none", 256, ShardMemory(int(sys.argv[3])))
for epoch in range(2):
    assert sum(len(batch.video_ids) for batch in batches(shard, videos)) == len(videos)
print(peak_mib() - before)
"""


def test_memory_is_bounded_by_the_limit_and_not_by_the_videos(store: Store) -> None:
    width, videos, mib = 512, 512, 2**20
    rng = np.random.default_rng(0)
    stage = store.stage("vision", {})
    for first in range(0, videos, 8):
        stage.append(
            [
                {
                    **vision_row(f"v{number}"),
                    "visual": rng.standard_normal((256, width), np.float32),
                    "times": np.arange(256) * 0.5,
                }
                for number in range(first, first + 8)
            ]
        )
    features = videos * 256 * width * 2
    assert features == 128 * mib
    grown = {}
    # What is freed goes back to the system at once, so that only what is held is measured.
    returned = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_MMAP_THRESHOLD_": "65536"}
    env = {**os.environ, **returned}
    for limit in (16 * mib, 2 * features):
        arguments = [store.root, str(videos), str(limit)]
        command = [sys.executable, "-c", MEMORY_GROWTH, *arguments]
        finished = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        grown[limit] = float(finished.stdout)
    # Parts that threads read at the same time.
    assert grown[16 * mib] < 16 + 48
    assert grown[2 * features] > 96
