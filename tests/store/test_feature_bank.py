"""The feature bank: complete videos in one array that processes share."""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from exvad.store.completeness import missing_features
from exvad.store.feature_bank import FeatureBank, load_features
from exvad.store.store import Store
from tests.helpers.feature_store import WIDTH, add_language, add_vision


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_load_features_joins_the_chunks_in_order(store: Store) -> None:
    lengths = {"a": (4, 4, 1), "b": (3,), "c": (4, 2)}
    visual = {name: add_vision(store, name, chunks) for name, chunks in lengths.items()}
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
def test_load_features_returns_text_features_with_their_text(
    store: Store, text: Literal["captions", "explanation"]
) -> None:
    rows = {}
    for name, snippets in [("a", [0, 2, 3]), ("b", [1])]:
        add_vision(store, name, (4,))
        rows[name] = add_language(store, name, snippets)
    loaded = load_features(store, ["b", "a"], text)
    for name, row in rows.items():
        video = loaded[name]
        expected = row["text"] if text == "explanation" else row["caption_text"]
        np.testing.assert_array_equal(video.text, expected)
        assert video.captions == row["captions"]
        assert video.cleaned_captions == row["cleaned_captions"]
        assert video.caption_snippets == row["caption_snippets"]
        assert video.explanation == f"why {name}"
        assert video.record == {"anomalous": True}


def test_load_features_reads_one_crop(store: Store) -> None:
    first, second = add_vision(store, "a", (4, 2)), add_vision(store, "a", (4, 2), crop=1)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(load_features(store, ["a"])["a"].visual, first)
    np.testing.assert_array_equal(load_features(store, ["a"], crop=1)["a"].visual, second)
    assert missing_features(store, ["a"], crop=2) == {"a": "no features"}


def test_build_refuses_a_language_stage_of_other_videos_or_encoders(store: Store) -> None:
    add_vision(store, "a", (4,))
    add_language(store, "a", [5])
    with pytest.raises(ValueError, match=r"a does not have.*--fresh"):
        load_features(store, ["a"], "captions")
    store.stage("language", {}, fresh=True)
    add_language(store, "a", [1], width=4)
    with pytest.raises(ValueError, match="4 wide, image features 8"):
        load_features(store, ["a"], "captions")


def test_build_refuses_a_video_listed_twice(store: Store) -> None:
    add_vision(store, "a", (4,))
    with pytest.raises(ValueError, match="twice"):
        load_features(store, ["a", "a"])


def test_build_accepts_no_videos(store: Store, tmp_path: Path) -> None:
    add_vision(store, "a", (4,))
    FeatureBank.build(store, []).save(tmp_path / "bank")
    assert list(FeatureBank.open(tmp_path / "bank", mmap=False)) == []


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("text", ["none", "captions", "explanation"])
def test_open_returns_the_saved_bank(
    store: Store, tmp_path: Path, text: Literal["none", "captions", "explanation"], mmap: bool
) -> None:
    for name, lengths in [("a", (4, 3)), ("b", (2,))]:
        add_vision(store, name, lengths)
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


def test_videos_of_a_bank_are_views_of_one_array(store: Store, tmp_path: Path) -> None:
    for name in ("a", "b"):
        add_vision(store, name, (4, 3))
    bank = FeatureBank.build(store, ["a", "b"])
    assert bank.visual.shape == (14, WIDTH)
    assert all(np.shares_memory(video.visual, bank.visual) for video in bank.values())
    bank.save(tmp_path / "bank")
    opened = FeatureBank.open(tmp_path / "bank")
    assert isinstance(opened.visual.base, np.memmap)
    assert not opened["a"].visual.flags.writeable


def test_pickling_a_bank_passes_its_arrays_out_of_band(store: Store) -> None:
    add_vision(store, "a", (4, 3))
    buffers: list[pickle.PickleBuffer] = []
    bank = FeatureBank.build(store, ["a"])
    pickle.dumps(bank, protocol=5, buffer_callback=buffers.append)
    shared = [np.frombuffer(buffer.raw(), np.uint8) for buffer in buffers]
    assert any(np.shares_memory(array, bank.visual) for array in shared)


def test_open_refuses_an_incomplete_or_damaged_bank(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_vision(store, "a", (4, 3))
    bank = FeatureBank.build(store, ["a"])
    folder = tmp_path / "bank"
    bank.save(folder)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(OSError, match="No space left"):
            bank.save(folder)
    with pytest.raises(ValueError, match="not a complete feature bank"):
        FeatureBank.open(folder)
    bank.save(folder)
    np.save(folder / "visual.npy", np.ones((3, WIDTH), np.float16))
    with pytest.raises(ValueError, match="do not fit"):
        FeatureBank.open(folder)
