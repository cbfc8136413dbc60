"""Systems without training are measured as the trained ones are, and ask nothing twice.

T snippets · D feature width
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exvad.config import Config, load_config
from exvad.data.manifest import Manifest
from exvad.data.records import Event, Video
from exvad.data.world.activities import CLASSES
from exvad.encoders.endpoint import EndpointError
from exvad.encoders.loading import load_clip
from exvad.evaluation.training_free_trial import ScoredPlan, run_scored_trial
from exvad.laam.label_vectors import LabelVectors
from exvad.laam.phrases import LabelPhrases
from exvad.laam.run_labels import IMPORTED_ORIGIN, RunLabels
from exvad.store.store import Store
from tests.helpers.chat_endpoint import ChatServer, Reply, answer_reply, base_url

SNIPPETS, STRIDE, FPS = 12, 16, 16.0
ABNORMAL = CLASSES[1]


def captioned_store(folder: Path, config: Config, captions: bool = True) -> tuple[Manifest, Store]:
    """A store of two test videos whose images are those of their captions."""
    clip = load_clip(config)
    store, videos, rows = Store(folder / "store"), [], []
    for name, label in (("a", ABNORMAL), ("b", CLASSES[0])):
        texts = ["a person walks"] * SNIPPETS
        if label == ABNORMAL:
            texts[4:8] = ["flames and smoke"] * 4
        visual_TD = clip.encode_texts(texts)
        rows.append(
            {
                "video_id": name,
                "chunk": 0,
                "crop": 0,
                "first_snippet": 0,
                "num_chunks": 1,
                "visual": visual_TD.astype(np.float32),
                "times": np.arange(SNIPPETS) * STRIDE / FPS,
                "caption_snippets": list(range(SNIPPETS)) if captions else [],
                "captions": texts if captions else [],
                "num_frames": SNIPPETS * STRIDE,
                "fps": FPS,
            }
        )
        events = (Event(4 * STRIDE, 8 * STRIDE, label),) if label == ABNORMAL else ()
        videos.append(Video(name, f"{name}.mp4", "test", (label,), events, SNIPPETS * STRIDE))
    store.stage("vision", {"made by": "a test"}).append(rows)
    return Manifest(CLASSES, tuple(videos)), store


def run_labels(config: Config, origin: str = "a test") -> RunLabels:
    phrases = LabelPhrases(phrases={label: [label] for label in CLASSES}, origin=origin)
    return RunLabels(phrases, LabelVectors.encode(phrases, load_clip(config)))


def demo(*overrides: str) -> Config:
    return load_config("demo", ["labels.k=0", *overrides])


def answer(body: dict[str, Any], _: int) -> Reply:
    """What a model says about a scene with flames, or about another."""
    if "flames" in str(body["messages"]):
        return answer_reply("Verdict: 1\nflames [0.9]")
    return answer_reply("Verdict: 0\nnobody [0.1]")


@pytest.mark.parametrize("name", ["lavad", "vera"])
def test_captions_are_rated_once_and_measured(tmp_path: Path, name: str) -> None:
    server = ChatServer(answer)
    config = demo("llm.backend=openai", base_url(server.port))
    manifest, store = captioned_store(tmp_path, config)
    answers = str(tmp_path / "answers.jsonl")
    arguments = (config, manifest, store, run_labels(config), 10, answers)
    try:
        record = run_scored_trial(ScoredPlan(name, "F3"), *arguments)
        asked = len(server.requests)
        again = run_scored_trial(ScoredPlan(name, "F3"), *arguments)
    finally:
        server.close()
    assert asked == len(server.requests) > 0
    assert again["metrics"] == record["metrics"]
    assert record["metrics"]["frame_auc"] > 0.6
    assert record["metrics"]["map_strict_average"] is not None
    assert record["untrained"].startswith("captions rated by ")
    assert set(record["intervals"]) >= {"frame_auc"}


def test_flashback_needs_no_captions_and_no_language_model(tmp_path: Path) -> None:
    config = demo("llm.backend=openai", base_url(9))
    manifest, store = captioned_store(tmp_path, config, captions=False)
    arguments = (config, manifest, store, run_labels(config), 0)
    record = run_scored_trial(ScoredPlan("flashback", "F3"), *arguments)
    assert record["untrained"] == "memory of 2166 descriptions"
    assert 0 <= record["metrics"]["frame_auc"] <= 1
    coarse = run_scored_trial(ScoredPlan("flashback", "coarse"), *arguments)
    assert coarse["metrics"]["map_strict_average"] is None
    assert coarse["metrics"]["frame_auc"] == record["metrics"]["frame_auc"]


def test_what_is_missing_is_a_sentence(tmp_path: Path) -> None:
    config = demo()
    manifest, store = captioned_store(tmp_path, config, captions=False)
    lavad, flashback = ScoredPlan("lavad", "F3"), ScoredPlan("flashback", "F3")
    record = run_scored_trial(lavad, config, manifest, store, run_labels(config), 0)
    assert record["error"] == (
        "LAVAD (stored captions, CLIP) reads captions, but a has none: preprocess it with a "
        "captioner"
    )
    labels = run_labels(config, IMPORTED_ORIGIN)
    record = run_scored_trial(flashback, config, manifest, store, labels, 0)
    assert "features and labels were imported" in record["error"]
    absent = demo("clip.model=package:absent")
    record = run_scored_trial(flashback, absent, manifest, store, run_labels(config), 0)
    assert "absent" in record["error"]


def test_an_endpoint_that_is_down_is_no_result(tmp_path: Path) -> None:
    config = demo("llm.backend=openai", base_url(9), "llm.endpoint.patience=1")
    manifest, store = captioned_store(tmp_path, config)
    with pytest.raises(EndpointError, match="gave no answer"):
        run_scored_trial(ScoredPlan("lavad", "F3"), config, manifest, store, run_labels(config), 0)


def test_only_the_settings_of_the_system_name_its_result() -> None:
    before, after = demo(), demo("llm.batch_size=3")
    assert ScoredPlan("flashback", "F3").models(before) == ScoredPlan("flashback", "F3").models(
        after
    )
    assert ScoredPlan("vera", "F3").models(before) != ScoredPlan("vera", "F3").models(after)
