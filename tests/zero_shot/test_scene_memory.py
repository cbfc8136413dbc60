"""The memory of scenes: what ships, what a camera adds, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from exvad.zero_shot.scene_memory import SceneMemory

SMALL = SceneMemory(
    normal={"street": ["people walk", "a car is parked"]},
    incidents={"Fire": ["a car burns"], "Fall": ["a man falls"]},
    origin="a test",
)


def test_shipped_memory_has_enough_distinct_scenes() -> None:
    memory = SceneMemory.read("package:scenes")
    texts = [scene.text for scene in memory.scenes()]
    assert len(memory.incidents) >= 24
    assert all(len(scenes) >= 40 for scenes in memory.incidents.values())
    assert sum(map(len, memory.normal.values())) >= 1000
    words = [" ".join(sorted(re.findall(r"\w+", text.casefold()))) for text in texts]
    assert len(set(words)) == len(texts)  # no scene has the words of another


def test_shipped_scenes_are_short_sentences_and_not_one_template() -> None:
    memory = SceneMemory.read("package:scenes")
    for kind, scenes in [*memory.incidents.items(), *memory.normal.items()]:
        assert all(3 <= len(scene.split()) <= 16 and scene.isprintable() for scene in scenes), kind
        # Products of a template share their beginnings.
        assert len({" ".join(scene.split()[:4]) for scene in scenes}) >= 0.7 * len(scenes), kind


def test_shipped_scenes_do_not_rest_on_what_no_frame_shows() -> None:
    sounds = "bell rings|rings its bell|ticking|hisses|announcement|beeps|whisper"
    intents = "unpaid|paying|walks away|hurries off|gets off|not his|on purpose|as planned"
    unseen = re.compile(rf"\b({sounds}|{intents}|nobody takes|without anyone)\b")
    texts = [scene.text for scene in SceneMemory.read("package:scenes").scenes()]
    assert [text for text in texts if unseen.search(text)] == []


def test_shipped_memory_covers_places_and_weather_and_night() -> None:
    normal = SceneMemory.read("package:scenes").normal
    for word in ("street", "night", "shop", "station", "home", "office", "car park", "weather"):
        assert any(word in place for place in normal), word


def test_a_memory_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "memory.json"
    path.write_text(SMALL.model_dump_json(), "utf-8-sig")
    assert SceneMemory.read(path) == SMALL


def test_read_refuses_what_is_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "memory.json"
    with pytest.raises(ValueError, match=r"no memory .*memory\.json: `exvad memory build` writes"):
        SceneMemory.read(path)
    path.write_text("{}")
    with pytest.raises(ValueError, match=r"is no memory of scenes: normal: Field required"):
        SceneMemory.read(path)
    twice = {"normal": {"a": ["people walk"]}, "incidents": {"b": ["People walk"]}, "origin": "x"}
    path.write_text(json.dumps(twice))
    with pytest.raises(ValueError, match=r"the scene 'People walk' is there twice"):
        SceneMemory.read(path)


def test_extended_adds_scenes_and_moves_those_that_are_described_elsewhere() -> None:
    memory = SMALL.extended(["a man falls", "people jog here"], {"Fire": ["smoke"], "Fence": ["x"]})
    assert memory.classes == ("Normal", "Fire", "Fence")  # no scene of Fall is left
    assert memory.normal["this camera"] == ["a man falls", "people jog here"]
    assert memory.incidents["Fire"] == ["a car burns", "smoke"]
    assert SMALL.classes == ("Normal", "Fire", "Fall")


def test_extended_refuses_nameless_kinds_and_blank_scenes() -> None:
    with pytest.raises(ValueError, match="a scene of normal or look_for is blank"):
        SMALL.extended([" "])
    with pytest.raises(ValueError, match="give a name other than 'Normal'"):
        SMALL.extended((), {"Normal": ["people walk fast"]})
    with pytest.raises(ValueError, match="at least one scene"):
        SMALL.extended((), {"Climbing": []})
