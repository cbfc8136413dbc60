"""Captioning with vLLM as a step of its own: its engines take frames one by one."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from exvad.encoders.answers import Answer, CaptionError
from exvad.encoders.captioners.captions import caption_text
from exvad.encoders.captioners.engine_captioner import clip_images
from exvad.encoders.captioners.prompt_tokens import caption_prompt_tokens
from exvad.encoders.engine import EngineError, sampling_parameters
from exvad.pipeline.stages.actors import actor_options, append_rows
from exvad.pipeline.stages.decoding import decode_videos
from exvad.pipeline.stages.frame_columns import read_chunks
from exvad.pipeline.stages.outcomes import Outcome, UnfinishedError, run_to_end
from exvad.pipeline.stages.vision import videos_to_encode
from exvad.pipeline.stages.vllm_engine import ERROR_COLUMN, build_engine, engines_running

if TYPE_CHECKING:
    import pyarrow as pa
    from ray.data import Dataset

    from exvad.config import Config
    from exvad.data.manifest import Manifest
    from exvad.store.store import Stage
    from exvad.store.survey import Survey

SnippetKey = tuple[str, int]  # video, number of the snippet


def caption_requests(
    chunks: pa.Table,
    written: Collection[SnippetKey],
    prompts: Sequence[list[int]],
    sampling: Mapping[str, Any],
) -> Iterator[dict[str, list[Any]]]:
    """Yield a request to the engine for each clip of chunks that has no caption.

    Args:
        chunks: tables of `decode_rows`. A chunk that could not be decoded gives no requests; the
            vision stage, which reads it too, reports the error.
        written: the captions that the store holds already.
        prompts: token ids of the prompt for a clip of 1 frame, of 2 frames, … The last is that of
            `captioner.frames`.
        sampling: the sampling parameters of all requests.

    Raises:
        UnfinishedError: storage failed. The vision stage may read the chunk, and would miss its
            captions.
    """
    for row in read_chunks(chunks):
        if row.task is None or row.decoded is None:
            outcome = Outcome.from_json(row.outcome)
            if outcome.is_interruption:
                raise UnfinishedError(f"{outcome.message}; run again to continue")
            continue
        video_id = row.task.chunk.video_id
        clips = row.task.captioned_clips(row.decoded, len(prompts))
        for snippet, clip_fHWC in zip(row.task.captioned, clips, strict=True):
            if (video_id, snippet) not in written:
                yield {
                    "video_id": [video_id],
                    "snippet": [snippet],
                    "sampling_params": [dict(sampling)],
                    "tokenized_prompt": [prompts[len(clip_fHWC) - 1]],
                    "multimodal_data": [{"image": clip_images(clip_fHWC)}],
                }


class StoreCaptions:
    """Appends captions to the store.

    Input: the engine's answers to `caption_requests`. Output: their `outcome`. Resources:
    `stages.text`.

    Args:
        stage: the captions stage.
        model: name of the captioner, for errors.
        thoughts: the mark of thoughts that the prompts end with; empty for most models.
    """

    def __init__(self, stage: Stage, model: str, thoughts: str) -> None:
        self.stage, self.model, self.thoughts = stage, model, thoughts

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Process one batch of rows."""
        columns = (batch[name] for name in ("video_id", "snippet", "generated_text", ERROR_COLUMN))
        rows, outcomes = [], []
        for video_id, snippet, text, error in zip(*columns, strict=True):
            try:
                if error:
                    raise EngineError(error)
                answer = Answer(self.thoughts + str(text))
                caption = caption_text(answer, self.model, f"snippet {snippet} of {video_id}")
            except (EngineError, CaptionError) as failure:
                outcomes.append(Outcome.failure(str(video_id), failure).to_json())
            else:
                rows.append({"video_id": video_id, "snippet": snippet, "caption": caption})
                outcomes.append(Outcome(str(video_id)).to_json())
        return {"outcome": append_rows(self.stage, rows, outcomes)}


def run_captions(config: Config, manifest: Manifest, survey: Survey, stage: Stage) -> bool:
    """Fill the captions stage with the captions that are missing; for backend vllm only.

    Args:
        config: the captioner and the resources of its engines.
        manifest: the data set.
        survey: what the store holds.
        stage: its captions stage, open for writing.

    Returns:
        Whether any video was to be captioned.
    """
    videos = videos_to_encode(config, manifest, survey)
    if videos:
        dataset = caption_videos(config, stage, videos)
        with engines_running(config.captioner.model):
            run_to_end(dataset, "captioning", len(videos), survey.store, "vision")
    return bool(videos)


def caption_videos(config: Config, stage: Stage, videos: list[dict[str, Any]]) -> Dataset:
    """Return the data set of the outcomes of captioning videos.

    This step decodes the videos, and the vision stage decodes them again for CLIP: the engine
    takes only a few frames per video, and neither step's actors wait for the other's.

    Args:
        config: the captioner and the resources of its engines.
        stage: the captions stage.
        videos: rows of `videos_to_encode`.
    """
    captioner = config.captioner
    prompts = caption_prompt_tokens(captioner)
    written = {
        (row["video_id"], int(snippet)) for row in videos for snippet in json.loads(row["captions"])
    }
    requests = decode_videos(config, videos, set()).map_batches(
        caption_requests,
        batch_size=1,
        batch_format="pyarrow",
        fn_kwargs={
            "written": written,
            "prompts": prompts.by_frames,
            "sampling": sampling_parameters(captioner.max_new_tokens),
        },
        num_cpus=config.stages.decode_cpus,
    )
    engine = build_engine(
        captioner.model,
        captioner.engine,
        captioner.dtype,
        config.device,
        config.stages.vision,
    )
    return engine(requests).map_batches(
        StoreCaptions,
        fn_constructor_args=(stage, captioner.model, prompts.thoughts),
        batch_size=captioner.engine.batch_size,
        batch_format="numpy",
        **actor_options(config.stages.text),
    )
