"""Filling the vision stage: CLIP features of all snippets and captions of some."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from exvad.aegm.vision_stage import VisionStage
from exvad.encoders.answers import CaptionError
from exvad.encoders.loading import load_captioner, load_clip
from exvad.pipeline.placement import place_actors
from exvad.pipeline.stages.actors import actor_options, append_rows, decoding_demand
from exvad.pipeline.stages.decoding import decode_videos
from exvad.pipeline.stages.frame_columns import read_chunks
from exvad.pipeline.stages.outcomes import Outcome, run_to_end

if TYPE_CHECKING:
    import pyarrow as pa

    from exvad.config import Config
    from exvad.data.manifest import Manifest
    from exvad.store.store import Stage
    from exvad.store.survey import Survey


class VisionActor:
    """Encodes and captions decoded chunks and appends their features to the store.

    Input: tables of `decode_rows`. Output: their `outcome`. Resources: `stages.vision`.

    Args:
        config: the models.
        stage: the vision stage.
    """

    def __init__(self, config: Config, stage: Stage) -> None:
        self.stage, self.crops = stage, config.data.crops
        captioned_before = config.captioner.backend == "vllm"
        captioner = None if captioned_before else load_captioner(config)
        self.vision = VisionStage(load_clip(config), captioner, config.captioner.frames)

    def __call__(self, batch: pa.Table) -> dict[str, Any]:
        """Process one batch of chunks."""
        chunks = list(read_chunks(batch))
        outcomes = [row.outcome for row in chunks]
        decoded = {
            index: (row.task, row.decoded)
            for index, row in enumerate(chunks)
            if row.task is not None and row.decoded is not None
        }
        rows: list[dict[str, Any]] = []
        results = self.vision.encode_chunks(list(decoded.values()), self.crops)
        for (index, (task, _)), result in zip(decoded.items(), results, strict=True):
            if isinstance(result, CaptionError):
                outcomes[index] = Outcome.failure(task.chunk.video_id, result).to_json()
            else:
                rows += result
        return {"outcome": append_rows(self.stage, rows, outcomes)}


def run_vision(config: Config, manifest: Manifest, survey: Survey, stage: Stage) -> bool:
    """Fill the vision stage with the features that are missing.

    Args:
        config: the models and the resources of the actors.
        manifest: the data set.
        survey: what the store holds.
        stage: its vision stage, open for writing.

    Returns:
        Whether anything was missing.
    """
    videos = videos_to_encode(config, manifest, survey)
    if not videos:
        return False
    stage.learn_width(survey.index("vision").snapshot)
    title, stages = "encoding and captioning", config.stages
    actors = place_actors(title, "stages.vision", stages.vision, [decoding_demand(config)])
    config = config.model_copy(update={"stages": stages.model_copy(update={"vision": actors})})
    done = survey.chunks(video["video_id"] for video in videos)
    dataset = decode_videos(config, videos, done).map_batches(
        VisionActor,
        fn_constructor_args=(config, stage),
        batch_size=stages.vision_batch,
        batch_format="pyarrow",
        **actor_options(actors),
    )
    paths = {video["video_id"]: video["path"] for video in videos}
    run_to_end(dataset, title, len(videos), survey.store, "vision", paths=paths)
    return True


def videos_to_encode(config: Config, manifest: Manifest, survey: Survey) -> list[dict[str, Any]]:
    """Return the videos that lack features and have not failed.

    Returns:
        Rows of `video_id`, `path` and `captions`, which is JSON of snippet → caption with the
        captions that vLLM wrote.
    """
    failed = {row["id"] for row in survey.failures("vision")}
    missing = [video_id for video_id in survey.missing() if video_id not in failed]
    captions: dict[str, dict[int, str]] = {video_id: {} for video_id in missing}
    if config.captioner.backend == "vllm":
        tables = survey.store.read_stage("captions").iter_tables(
            video_ids=missing, index=survey.index("captions")
        )
        for table in tables:
            for row in table.to_pylist():
                captions[row["video_id"]][row["snippet"]] = row["caption"]
    return [
        {
            "video_id": video.video_id,
            "path": video.path,
            "captions": json.dumps(captions[video.video_id]),
        }
        for video in manifest.videos
        if video.video_id in captions
    ]
