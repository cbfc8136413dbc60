"""TODO"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from exvad.pipeline.decoding import VISION_BATCH, decoded_chunk, decoded_chunks
from exvad.pipeline.preprocess import _follow
from exvad.pipeline.stages import Outcome, actors, keep

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.manifest import Manifest
    from exvad.store.store import Stage, Store


class VisionActor:
    """Stage input: decoded chunks. Output: their outcomes; their features go to the store."""

    def __init__(self, config: Config, stage: Stage) -> None:
        from exvad.aegm.vision_stage import VisionStage
        from exvad.encoders.loading import load_captioner, load_clip

        self.stage, self.crops = stage, config.data.crops
        written = config.captioner.backend == "vllm"
        captioner = None if written else load_captioner(config)
        self.vision = VisionStage(load_clip(config), captioner, config.data.short_side)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Process one batch of rows."""
        from exvad.aegm.vision_stage import ChunkTask, UncaptionedError

        rows, outcomes = [], []
        for outcome, text, frames, shape in zip(
            *(batch[name] for name in ("outcome", "task", "frames", "shape")), strict=True
        ):
            outcomes.append(outcome)
            if not text:
                continue
            task = ChunkTask.from_row(json.loads(text))
            decoded = decoded_chunk(task, frames, shape)
            try:
                rows += [self.vision.see(task, decoded, crop) for crop in range(self.crops)]
            except UncaptionedError as error:
                outcomes[-1] = Outcome.of(task.chunk.video_id, error).to_json()
        if rows:
            keep(self.stage, rows)
        return {"outcome": outcomes}


def run_captions(config: Config, manifest: Manifest, store: Store, captions: Stage) -> None:
    """Have vLLM caption what has no captions yet; any other captioner works beside CLIP."""
    from exvad.pipeline.captioning import captioned

    todo = _unseen(config, manifest, store)
    if todo:
        _follow(captioned(config, captions, todo), "captioning", len(todo), store, "vision")


def run_vision(config: Config, manifest: Manifest, store: Store, stage: Stage) -> None:
    """Fill the vision stage with what is missing."""
    todo = _unseen(config, manifest, store)
    if not todo:
        return
    done = {(key[0], key[1]) for key in sorted(stage.keys())}
    dataset = decoded_chunks(config, todo, done).map_batches(
        VisionActor,
        fn_constructor_args=(config, stage),
        batch_size=VISION_BATCH,
        batch_format="numpy",
        **actors(config.stages.vision),
    )
    _follow(dataset, "seeing and captioning", len(todo), store, "vision")


def _unseen(config: Config, manifest: Manifest, store: Store) -> list[dict[str, Any]]:
    """Return the videos that have not failed and of which features are missing."""
    from exvad.store.feature_bank import missing_features

    failed = {row["id"] for row in store.failures.rows("vision")}
    ids = [video.video_id for video in manifest.videos if video.video_id not in failed]
    missing = missing_features(store, ids)
    written: dict[str, dict[int, str]] = {video: {} for video in missing}
    if config.captioner.backend == "vllm":
        for row in store.read_stage("captions").table(video_ids=missing).to_pylist():
            written[row["video_id"]][row["snippet"]] = row["caption"]
    return [
        {
            "video_id": video.video_id,
            "path": video.path,
            "captions": json.dumps(written[video.video_id]),
        }
        for video in manifest.videos
        if video.video_id in missing
    ]
