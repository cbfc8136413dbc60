"""What the language stage costs beside its language model: 10,000 videos explained in an instant.

The store is what the job leaves of 10,000 videos with 32 captions each, four to a part file. The
language model and the text encoder answer at once, so that all that is measured is ours: reading
the store, cleaning (equation 2), prompts, validation, writing, Ray. The first row by itself is
measured without Ray.

    python bench/language.py [--quick]
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
from _harness import emit  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.data.manifest import Manifest
    from exvad.store.store import Store

ROOT = Path(__file__).resolve().parent.parent
VIDEOS, CAPTIONS, WIDTH, PER_PART, ALONE = 10_000, 32, 512, 4, 320
CLASSES = ("Normal", "Arson")
GOALS = {"overhead_ms_per_row": ("<", 5), "seconds_for_10000_videos": ("<", 60)}
RECORD = json.dumps(
    {
        "anomalous": True,
        "category": "Arson",
        "summary": "Two people stand beside a bin. One of them bends down and flames come up.",
        "reason": "Somebody sets fire to a bin on purpose and leaves.",
        "evidence": [3, 4, 5],
    }
)


class InstantModels:
    """A text encoder and a language model that take no time of their own.

    Attributes:
        seconds: spent in them.
    """

    width = WIDTH

    def __init__(self) -> None:
        self.rows_ND = np.random.default_rng(0).standard_normal((4096, WIDTH), np.float32)
        self.seconds = 0.0

    def encode_images(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return some features."""
        return self.rows_ND[: len(frames)]

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a feature for each text."""
        begin = time.perf_counter()
        features_ND = self.rows_ND[[hash(text) % len(self.rows_ND) for text in texts]]
        self.seconds += time.perf_counter() - begin
        return features_ND

    def complete(self, prompts: Sequence[str]) -> list[str]:
        """Give every prompt the same answer."""
        return [RECORD] * len(prompts)


def captions_of(number: int) -> list[str]:
    """Return a video's captions, most of them shared with other videos."""
    return [f"a person of kind {number * 7 % 90 + n % 11} walks by" for n in range(CAPTIONS)]


def write_store(store: Store, videos: int) -> Manifest:
    """Fill the vision stage as the job does; return the data set."""
    from exvad.data.manifest import Manifest
    from exvad.data.records import Video

    rng = np.random.default_rng(0)
    stage = store.stage("vision", {"random": videos})
    for first in range(0, videos, PER_PART):
        stage.append(
            [
                {
                    "video_id": f"v{number}", "chunk": 0, "crop": 0, "first_snippet": 0,
                    "num_chunks": 1, "times": np.arange(CAPTIONS) * 0.5, "fps": 30.0,
                    "visual": rng.standard_normal((CAPTIONS, WIDTH), np.float32).astype("float16"),
                    "caption_snippets": list(range(CAPTIONS)), "captions": captions_of(number),
                    "num_frames": 16 * CAPTIONS,
                }
                for number in range(first, first + PER_PART)
            ]
        )  # fmt: skip
    listed = tuple(Video(f"v{number}", "x.mp4", "train", ("Arson",)) for number in range(videos))
    return Manifest(CLASSES, listed)


def settings() -> Any:
    """Return what the stage is told."""
    from exvad.aegm.language_stage import LanguageSettings
    from exvad.aegm.prompts import load_prompt

    return LanguageSettings(load_prompt("explanation"), CLASSES, 2, None, "instant")


def alone() -> float:
    """Return the milliseconds a row costs beyond the models, without Ray and store."""
    from exvad.aegm.language_stage import CaptionedVideo, LanguageStage

    models = InstantModels()
    stage = LanguageStage(models, models, settings())
    rng = np.random.default_rng(1)
    videos = [
        CaptionedVideo(
            f"v{number}",
            list(range(CAPTIONS)),
            captions_of(number),
            rng.standard_normal((CAPTIONS, WIDTH), np.float32),
        )
        for number in range(ALONE)
    ]
    begin = time.perf_counter()
    rows = [row for first in range(0, ALONE, 32) for row in stage.explain(videos[first:][:32])]
    seconds = time.perf_counter() - begin - models.seconds
    assert all(isinstance(row, dict) for row in rows)
    return 1000 * seconds / ALONE


def whole(folder: Path, videos: int) -> dict[str, float]:
    """Measure the job's language stage over a store."""
    from exvad.aegm.language_stage import LanguageStage
    from exvad.config import load_config
    from exvad.pipeline import language
    from exvad.pipeline.session import ray_session
    from exvad.store.store import Stage, Store

    class InstantActor(language.LanguageActor):
        def __init__(self, _: Any, __: Sequence[str], store: Store, stage: Stage) -> None:
            models = InstantModels()
            self.store, self.stage = store, stage
            self.language = LanguageStage(models, models, settings())

    store = Store(folder / "store")
    manifest = write_store(store, videos)
    print("the store is written", file=sys.stderr)
    config = load_config("demo", [f"run={folder}"])
    stage = store.stage("language", {"llm": "instant"})
    fakes: dict[str, Any] = {"LanguageActor": InstantActor}
    with patch.multiple(language, **fakes), ray_session():
        begin = time.perf_counter()
        language.run_language(config, manifest, store, stage)
        seconds = time.perf_counter() - begin
    assert len(stage.keys()) == videos
    assert not store.failures.rows()
    return {
        f"seconds_for_{videos}_videos": seconds,
        "ms_per_video_with_ray_and_store": 1000 * seconds / videos,
    }


def main() -> None:
    """Measure and print one JSON line."""
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.path.insert(0, str(ROOT))
    from exvad.cli.main import QUIET

    os.environ |= QUIET
    os.environ.pop("RAY_ADDRESS", None)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the videos; no goal then")
    videos = VIDEOS // 10 if parser.parse_args().quick else VIDEOS
    figures = {"overhead_ms_per_row": alone()}
    with tempfile.TemporaryDirectory() as folder:
        figures |= whole(Path(folder), videos)
    goals = {figure: goal for figure, goal in GOALS.items() if figure in figures}
    emit("language", figures, goals)


if __name__ == "__main__":
    main()
