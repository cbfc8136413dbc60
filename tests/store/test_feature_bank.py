"""Features for training: whole videos only, in one array that processes share."""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from exvad.store.feature_bank import (
    FeatureBank,
    MissingFeaturesError,
    load_features,
    missing_features,
)
from exvad.store.store import Store

WIDTH = 8


def add_video(store: Store, video: str, lengths: tuple[int, ...], crop: int = 0) -> Any:
    """Add a video of chunks of these lengths, last chunk first; return its features."""
    rng = np.random.default_rng([crop, *video.encode()])
    visual = rng.normal(size=(sum(lengths), WIDTH)).astype(np.float16)
    stage = store.stage("vision", {})
    ends = np.cumsum(lengths)
    for chunk in reversed(range(len(lengths))):
        first = int(ends[chunk]) - lengths[chunk]
        stage.append(
            [
                {
                    "video_id": video,
                    "chunk": chunk,
                    "crop": crop,
                    "first_snippet": first,
                    "num_chunks": len(lengths),
                    "visual": visual[first : ends[chunk]],
                    "times": np.arange(first, ends[chunk]) * 0.64,
                    "caption_snippets": [first],
                    "captions": [f"{video} at {first}"],
                    "num_frames": 16 * len(visual),
                    "fps": 25.0,
                }
            ]
        )
    return visual


def add_language(store: Store, video: str, snippets: list[int], width: int = WIDTH) -> Any:
    rng = np.random.default_rng([7, *video.encode()])
    row = {
        "video_id": video,
        "captions": [f"raw {n}" for n in snippets],
        "caption_snippets": snippets,
        "cleaned_captions": [f"clean {n}" for n in snippets],
        "changed": 0,
        "explanation": f"why {video}",
        "record": '{"anomalous": true}',
        "text": rng.normal(size=width).astype(np.float16),
        "caption_text": rng.normal(size=(len(snippets), width)).astype(np.float16),
        "llm": "tiny",
        "prompt": "p",
    }
    store.stage("language", {}).append([row])
    return row


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_chunks_are_put_together_in_order(store: Store) -> None:
    visual = {name: add_video(store, name, lengths) for name, lengths in
              [("a", (4, 4, 1)), ("b", (3,)), ("c", (4, 2))]}  # fmt: skip
    loaded = load_features(store, ["c", "a"])
    assert list(loaded) == ["c", "a"]
    for name, video in loaded.items():
        np.testing.assert_array_equal(video.visual, visual[name])
        assert video.visual.dtype == np.float16
        assert video.visual.flags.c_contiguous
        np.testing.assert_allclose(video.times, np.arange(len(visual[name])) * 0.64)
    assert loaded["a"].caption_snippets == [0, 4, 8]
    assert loaded["a"].captions == ["a at 0", "a at 4", "a at 8"]
    assert (loaded["a"].num_frames, loaded["a"].fps) == (144, 25.0)
    assert (loaded["a"].text, loaded["a"].record) == (None, None)
    assert (loaded["a"].cleaned_captions, loaded["a"].explanation) == ([], "")


@pytest.mark.parametrize("text", ["captions", "explanation"])
def test_text_features_come_with_the_words_behind_them(
    store: Store, text: Literal["captions", "explanation"]
) -> None:
    rows = {}
    for name, snippets in [("a", [0, 2, 3]), ("b", [1])]:
        add_video(store, name, (4,))
        rows[name] = add_language(store, name, snippets)
    loaded = load_features(store, ["b", "a"], text)
    for name, row in rows.items():
        video = loaded[name]
        wanted = row["text"] if text == "explanation" else row["caption_text"]
        np.testing.assert_array_equal(video.text, wanted)
        assert video.captions == row["captions"]
        assert video.cleaned_captions == row["cleaned_captions"]
        assert video.caption_snippets == row["caption_snippets"]
        assert video.explanation == f"why {name}"
        assert video.record == {"anomalous": True}


def test_crops_are_kept_apart(store: Store) -> None:
    first, second = add_video(store, "a", (4, 2)), add_video(store, "a", (4, 2), crop=1)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(load_features(store, ["a"])["a"].visual, first)
    np.testing.assert_array_equal(load_features(store, ["a"], crop=1)["a"].visual, second)
    assert missing_features(store, ["a"], crop=2) == {"a": "no features"}


def test_incomplete_videos_are_named_and_never_padded(store: Store) -> None:
    for name in ("whole", "mute", "torn"):
        add_video(store, name, (4, 2))
    add_language(store, "whole", [0])
    vision = store.read_stage("vision")
    kept = vision.table(video_ids=["whole", "mute"])
    torn = vision.table(video_ids=["torn"]).slice(1)
    fresh = store.stage("vision", {}, fresh=True)
    fresh.append(kept)
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


def test_a_video_that_changed_between_runs_is_named(store: Store) -> None:
    add_video(store, "a", (4, 2))
    add_video(store, "b", (4, 2))
    table = store.read_stage("vision").table().to_pylist()
    for row in table:
        row["visual"] = np.asarray(row["visual"])
    table[1]["num_chunks"] = 3  # of a
    table[3] |= {"first_snippet": 5, "caption_snippets": [5]}  # of b
    store.stage("vision", {}, fresh=True).append(table)
    missing = missing_features(store, ["a", "b"])
    assert "disagree" in missing["a"]
    assert "starts at snippet 5, not 4" in missing["b"]


def test_a_language_stage_of_other_videos_or_encoders_is_refused(store: Store) -> None:
    add_video(store, "a", (4,))
    add_language(store, "a", [5])
    with pytest.raises(ValueError, match=r"a does not have.*--fresh"):
        load_features(store, ["a"], "captions")
    store.stage("language", {}, fresh=True)
    add_language(store, "a", [1], width=4)
    with pytest.raises(ValueError, match="4 wide, image features 8"):
        load_features(store, ["a"], "captions")


def test_a_video_named_twice_is_refused(store: Store) -> None:
    add_video(store, "a", (4,))
    with pytest.raises(ValueError, match="twice"):
        load_features(store, ["a", "a"])


def test_an_empty_bank_is_a_bank(store: Store, tmp_path: Path) -> None:
    add_video(store, "a", (4,))
    FeatureBank.build(store, []).save(tmp_path / "bank")
    assert list(FeatureBank.open(tmp_path / "bank", mmap=False)) == []


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("text", ["none", "captions", "explanation"])
def test_a_saved_bank_is_the_bank(
    store: Store, tmp_path: Path, text: Literal["none", "captions", "explanation"], mmap: bool
) -> None:
    for name, lengths in [("a", (4, 3)), ("b", (2,))]:
        add_video(store, name, lengths)
        add_language(store, name, [0, 1])
    bank = FeatureBank.build(store, ["b", "a"], text)
    bank.save(tmp_path / "bank")
    bank.save(tmp_path / "bank")
    opened = FeatureBank.open(tmp_path / "bank", mmap=mmap)
    copied: FeatureBank = pickle.loads(pickle.dumps(opened))
    for other in (opened, copied):
        assert list(other) == ["b", "a"]
        assert other.lengths() == {"b": 2, "a": 7}
        assert (other.width, other.text_kind, len(other)) == (WIDTH, text, 2)
        for name, video in other.items():
            for field, value in vars(bank[name]).items():
                np.testing.assert_array_equal(getattr(video, field), value)
    assert "a" in opened
    assert "z" not in opened


def test_videos_of_a_bank_are_views_of_its_one_array(store: Store, tmp_path: Path) -> None:
    for name in ("a", "b"):
        add_video(store, name, (4, 3))
    bank = FeatureBank.build(store, ["a", "b"])
    assert bank.visual.shape == (14, WIDTH)
    assert all(np.shares_memory(video.visual, bank.visual) for video in bank.values())
    bank.save(tmp_path / "bank")
    opened = FeatureBank.open(tmp_path / "bank")
    assert isinstance(opened.visual.base, np.memmap)
    assert not opened["a"].visual.flags.writeable


def test_pickling_a_bank_hands_its_arrays_out_of_band(store: Store) -> None:
    add_video(store, "a", (4, 3))
    buffers: list[pickle.PickleBuffer] = []
    bank = FeatureBank.build(store, ["a"])
    pickle.dumps(bank, protocol=5, buffer_callback=buffers.append)
    shared = [np.frombuffer(buffer.raw(), np.uint8) for buffer in buffers]
    assert any(np.shares_memory(array, bank.visual) for array in shared)


def test_an_unfinished_or_damaged_bank_does_not_open(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_video(store, "a", (4, 3))
    bank = FeatureBank.build(store, ["a"])
    folder = tmp_path / "bank"
    bank.save(folder)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(OSError, match="No space left"):
            bank.save(folder)
    with pytest.raises(ValueError, match="no complete feature bank"):
        FeatureBank.open(folder)
    bank.save(folder)
    np.save(folder / "visual.npy", np.ones((3, WIDTH), np.float16))
    with pytest.raises(ValueError, match="do not fit"):
        FeatureBank.open(folder)
