"""The cost of the language stage beside its models: 10,000 videos explained without a model.

The store is that of 10,000 videos with 32 captions each, four videos to a part file. The language
model and the text encoder return at once, so the benchmark measures only this project's code:
reading the store, cleaning (equation 2), prompts, parsing, writing, Ray. `overhead_ms_per_row` is
measured without Ray and the store.

    python -m bench.language [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np

from bench._harness import emit
from exvad.aegm.captioned_videos import CaptionedVideo
from exvad.aegm.language_stage import LanguageSettings, LanguageStage
from exvad.aegm.prompts import load_prompt
from exvad.cli.main import QUIET
from exvad.config import Config, load_config
from exvad.data.manifest import Manifest
from exvad.data.records import Video
from exvad.encoders.answers import Answer
from exvad.pipeline.session import ray_session
from exvad.pipeline.stages import language
from exvad.store.store import Stage, Store
from exvad.store.survey import Survey

if TYPE_CHECKING:
    from numpy.typing import NDArray

VIDEOS, CAPTIONS, WIDTH, VIDEOS_PER_PART = 10_000, 32, 512, 4
VIDEOS_WITHOUT_RAY, BATCH = 320, 32
CLASSES = ("Normal", "Arson")
GOALS = {"overhead_ms_per_row": ("<", 5), "seconds_for_10000_videos": ("<", 60)}
ANSWER = json.dumps(
    {
        "anomalous": True,
        "category": "Arson",
        "summary": "Two people stand beside a bin. One of them bends down and flames come up.",
        "reason": "Somebody sets fire to a bin on purpose and leaves.",
        "evidence": [3, 4, 5],
    }
)


class InstantModels:
    """A text encoder and a language model that return at once.

    Attributes:
        seconds: time spent in them.
    """

    width = WIDTH

    def __init__(self) -> None:
        self.features_ND = np.random.default_rng(0).standard_normal((4096, WIDTH), np.float32)
        self.seconds = 0.0

    def encode_images(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return any features."""
        return self.features_ND[: len(frames)]

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a feature for each text."""
        start = time.perf_counter()
        text_ND = self.features_ND[[hash(text) % len(self.features_ND) for text in texts]]
        self.seconds += time.perf_counter() - start
        return text_ND

    def complete(self, prompts: Sequence[str]) -> list[Answer]:
        """Return the same answer to every prompt."""
        return [Answer(ANSWER)] * len(prompts)


class InstantActor(language.LanguageActor):
    """The actor of the job with instant models."""

    def __init__(self, _: Config, __: Sequence[str], store: Store, stage: Stage) -> None:
        models = InstantModels()
        self.store, self.stage = store, stage
        self.language = LanguageStage(models, models, make_settings())


def make_settings() -> LanguageSettings:
    """Return the settings of the stage."""
    return LanguageSettings(load_prompt("explanation"), CLASSES, 2, None, "instant")


def make_captions(index: int) -> list[str]:
    """Return the captions of a video, most of which other videos share."""
    return [f"a person of kind {index * 7 % 90 + n % 11} walks by" for n in range(CAPTIONS)]


def write_store(store: Store, num_videos: int) -> Manifest:
    """Fill the vision stage as the job does; return the data set."""
    rng = np.random.default_rng(0)
    stage = store.stage("vision", {"random": num_videos})
    for first in range(0, num_videos, VIDEOS_PER_PART):
        stage.append(
            [
                {
                    "video_id": f"v{index}", "chunk": 0, "crop": 0, "first_snippet": 0,
                    "num_chunks": 1, "times": np.arange(CAPTIONS) * 0.5, "fps": 30.0,
                    "visual": rng.standard_normal((CAPTIONS, WIDTH), np.float32).astype("float16"),
                    "caption_snippets": list(range(CAPTIONS)), "captions": make_captions(index),
                    "num_frames": 16 * CAPTIONS,
                }
                for index in range(first, first + VIDEOS_PER_PART)
            ]
        )  # fmt: skip
    videos = (Video(f"v{index}", "x.mp4", "train", ("Arson",)) for index in range(num_videos))
    return Manifest(CLASSES, tuple(videos))


def measure_without_ray() -> float:
    """Return the milliseconds that a row takes beside the models, without Ray and the store."""
    models = InstantModels()
    stage = LanguageStage(models, models, make_settings())
    rng = np.random.default_rng(1)
    videos = [
        CaptionedVideo(
            f"v{index}",
            list(range(CAPTIONS)),
            make_captions(index),
            rng.standard_normal((CAPTIONS, WIDTH), np.float32),
        )
        for index in range(VIDEOS_WITHOUT_RAY)
    ]
    start = time.perf_counter()
    rows = [
        row
        for first in range(0, VIDEOS_WITHOUT_RAY, BATCH)
        for row in stage.explain(videos[first : first + BATCH])
    ]
    seconds = time.perf_counter() - start - models.seconds
    assert all(isinstance(row, dict) for row in rows)
    return 1000 * seconds / VIDEOS_WITHOUT_RAY


def measure_job(folder: Path, num_videos: int) -> dict[str, float]:
    """Measure the job's language stage over a store."""
    store = Store(folder / "store")
    manifest = write_store(store, num_videos)
    print("the store is written", file=sys.stderr)
    config = load_config("demo", [f"run={folder}"])
    stage = store.stage("language", {"llm": "instant"})
    with patch.object(language, "LanguageActor", InstantActor), ray_session():
        start = time.perf_counter()
        survey = Survey(store, [video.video_id for video in manifest.videos])
        language.run_language(config, manifest, survey, stage)
        seconds = time.perf_counter() - start
    assert len(stage.keys()) == num_videos
    assert not store.failures.rows()
    return {
        f"seconds_for_{num_videos}_videos": seconds,
        "ms_per_video_with_ray_and_store": 1000 * seconds / num_videos,
    }


def main() -> None:
    """Measure and print one line of JSON."""
    os.environ |= {**QUIET, "OMP_NUM_THREADS": "1"}
    os.environ.pop("RAY_ADDRESS", None)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the videos; no goal then")
    num_videos = VIDEOS // 10 if parser.parse_args().quick else VIDEOS
    metrics = {"overhead_ms_per_row": measure_without_ray()}
    with tempfile.TemporaryDirectory() as folder:
        metrics |= measure_job(Path(folder), num_videos)
    goals: dict[str, Any] = {name: goal for name, goal in GOALS.items() if name in metrics}
    emit("language", metrics, goals)


if __name__ == "__main__":
    main()
