"""Text features of a memory: prompts, further scenes, and the cache."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from exvad.config import build_config
from exvad.zero_shot.encoding import cache_folder, encode_memory
from exvad.zero_shot.scene_memory import SceneMemory

MEMORY = SceneMemory(
    normal={"street": ["people walk", "a car is parked"]},
    incidents={"Fire": ["a car burns"]},
    origin="a test",
)


class CountingEncoder:
    """Encodes texts by their letters, and records them."""

    width = 9

    def __init__(self, shift: float = 0.0) -> None:
        self.shift = shift
        self.texts: list[str] = []

    def encode_images(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        raise NotImplementedError

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.texts += texts
        letters = [[text.count(letter) for letter in "abcdefgrs"] for text in texts]
        return np.array(letters, np.float32) + 1 + self.shift


def test_encode_wraps_scenes_in_the_prompts_and_returns_unit_vectors(tmp_path: Path) -> None:
    encoder = CountingEncoder()
    config = build_config({"zero_shot": {"normal": ["joggers"], "look_for": {"Fence": ["climbs"]}}})
    encoded = encode_memory(MEMORY, encoder, config, tmp_path)
    assert encoded.classes == ("Normal", "Fire", "Fence")
    assert encoded.texts == ("people walk", "a car is parked", "joggers", "a car burns", "climbs")
    assert encoded.label_M.tolist() == [0, 0, 0, 1, 2]
    np.testing.assert_allclose(np.linalg.norm(encoded.scene_MD, axis=1), 1, rtol=1e-5)
    assert encoded.own_M.tolist() == [False, False, True, False, True]
    assert "a normal scene: people walk" in encoder.texts
    assert "an abnormal event: joggers" in encoder.texts
    assert "an abnormal event: climbs" in encoder.texts


def test_encode_reads_the_cache_of_the_same_clip_only(tmp_path: Path) -> None:
    config = build_config({})
    first = encode_memory(MEMORY, CountingEncoder(), config, tmp_path)
    again = CountingEncoder()
    second = encode_memory(MEMORY, again, config, tmp_path)
    assert not any("abnormal event" in text for text in again.texts)
    np.testing.assert_allclose(first.scene_MD, second.scene_MD, atol=1e-3)
    camera = {"normal": ["joggers", "a car burns"], "look_for": {"Fence": ["climbs"]}}
    encode_memory(MEMORY, again, build_config({"zero_shot": camera}), tmp_path)
    assert [text for text in again.texts if ": " in text] == [
        "an abnormal event: joggers",
        "an abnormal event: climbs",
    ]
    other = CountingEncoder(shift=3.0)
    encode_memory(MEMORY, other, config, tmp_path)
    assert any("abnormal event" in text for text in other.texts)


def test_encode_of_further_scenes_takes_the_others_from_the_encoded_memory() -> None:
    encoder = CountingEncoder()
    camera = build_config({"zero_shot": {"normal": ["joggers"]}})
    first = encode_memory(MEMORY, encoder, camera)
    encoder.texts.clear()
    request = build_config(
        {"zero_shot": {"normal": ["joggers", "a fair"], "look_for": {"F": ["x"]}}}
    )
    further = encode_memory(MEMORY, encoder, request, encoded=first)
    assert encoder.texts == ["an abnormal event: a fair", "an abnormal event: x"]
    anew = encode_memory(MEMORY, encoder, request)
    assert further.texts == anew.texts
    np.testing.assert_array_equal(further.own_M, anew.own_M)
    np.testing.assert_allclose(further.scene_MD, anew.scene_MD, atol=1e-3)


def test_encode_replaces_a_damaged_cache_and_works_without_one(tmp_path: Path) -> None:
    config = build_config({})
    first = encode_memory(MEMORY, CountingEncoder(), config, tmp_path)
    (stored,) = tmp_path.iterdir()
    stored.write_bytes(b"broken")
    again = encode_memory(MEMORY, CountingEncoder(), config, tmp_path)
    assert np.allclose(again.scene_MD, first.scene_MD)
    assert len(np.load(stored)) == 3
    file = tmp_path / "file"
    file.write_text("")  # no folder can be made below it
    encode_memory(MEMORY, CountingEncoder(), config, file / "cache")


def test_cache_folder_follows_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "exvad" / "memory"
    monkeypatch.setenv("XDG_CACHE_HOME", "~no-such-user/cache")
    assert cache_folder() is None
    monkeypatch.chdir(tmp_path)
    encode_memory(MEMORY, CountingEncoder(), build_config({}), None)
    assert list(tmp_path.iterdir()) == []
