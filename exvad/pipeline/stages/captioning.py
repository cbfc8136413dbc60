"""Captioning with vLLM as a step of its own: its engines take frames one by one."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from PIL import Image

from exvad.aegm.vision_stage import ChunkTask
from exvad.encoders.chat import DEFAULT_CAPTION_PROMPT, image_message, load_tokenizer
from exvad.encoders.engine import plain_prompt_tokens, sampling_parameters, uses_chat_template
from exvad.pipeline.stages.actors import actor_options, append_rows
from exvad.pipeline.stages.decoding import decode_videos, unpack_frames
from exvad.pipeline.stages.outcomes import Outcome, run_to_end
from exvad.pipeline.stages.vision import videos_to_encode
from exvad.pipeline.stages.vllm_engine import ERROR_COLUMN, EngineError, build_engine

if TYPE_CHECKING:
    from ray.data import Dataset

    from exvad.config import Config
    from exvad.data.manifest import Manifest
    from exvad.store.store import Stage, Store

SnippetKey = tuple[str, int]  # video, number of the snippet


def caption_requests(
    row: Mapping[str, Any],
    written: Collection[SnippetKey],
    request: Mapping[str, Any],
    as_chat: bool,
) -> list[dict[str, Any]]:
    """Return a request to the engine for each frame of a chunk that has no caption.

    Args:
        row: a row of `decode_row`. A chunk that could not be decoded gives no requests; the vision
            stage, which reads it too, reports the error.
        written: the captions that the store holds already.
        request: the columns that all requests share.
        as_chat: whether the model takes the frame in a chat message.
    """
    if not row["task"]:
        return []
    task = ChunkTask.from_row(json.loads(row["task"]))
    frames = task.captioned_frames(unpack_frames(task, row["frames"], row["shape"]))
    requests = []
    for snippet, frame in zip(task.captioned, frames, strict=True):
        if (task.chunk.video_id, snippet) in written:
            continue
        image: dict[str, Any] = {"multimodal_data": {"image": Image.fromarray(frame)}}
        if as_chat:
            image = {"messages": [image_message(request["prompt"], frame)]}
        requests.append({"video_id": task.chunk.video_id, "snippet": snippet, **request, **image})
    return requests


class StoreCaptions:
    """Appends captions to the store.

    Input: the engine's answers to `caption_requests`. Output: their `outcome`. Resources:
    `stages.text`.

    Args:
        stage: the captions stage.
    """

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Process one batch of rows."""
        columns = (batch[name] for name in ("video_id", "snippet", "generated_text", ERROR_COLUMN))
        rows, outcomes = [], []
        for video_id, snippet, text, error in zip(*columns, strict=True):
            if error:
                outcomes.append(Outcome.failure(str(video_id), EngineError(error)).to_json())
            else:
                rows.append({"video_id": video_id, "snippet": snippet, "caption": text.strip()})
                outcomes.append(Outcome(str(video_id)).to_json())
        append_rows(self.stage, rows)
        return {"outcome": outcomes}


def run_captions(config: Config, manifest: Manifest, store: Store, stage: Stage) -> None:
    """Fill the captions stage with the captions that are missing; for backend vllm only.

    Args:
        config: the captioner and the resources of its engines.
        manifest: the data set.
        store: the feature store.
        stage: its captions stage, open for writing.
    """
    videos = videos_to_encode(config, manifest, store)
    if videos:
        dataset = caption_videos(config, stage, videos)
        run_to_end(dataset, "captioning", len(videos), store, "vision")


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
    as_chat = uses_chat_template(captioner.model)
    request: dict[str, Any] = {"sampling_params": sampling_parameters(captioner.max_new_tokens)}
    preparation = {}
    if as_chat:
        request["prompt"] = captioner.prompt or DEFAULT_CAPTION_PROMPT
        preparation = {"prepare_multimodal_stage": True, "chat_template_stage": True}
    else:
        tokenizer = load_tokenizer(captioner.model)
        request["tokenized_prompt"] = plain_prompt_tokens(tokenizer, captioner.prompt)
    written = {
        (row["video_id"], int(snippet)) for row in videos for snippet in json.loads(row["captions"])
    }
    requests = decode_videos(config, videos, set()).flat_map(
        caption_requests,
        fn_kwargs={"written": written, "request": request, "as_chat": as_chat},
        num_cpus=config.stages.decode_cpus,
    )
    engine = build_engine(
        captioner.model,
        captioner.engine,
        captioner.dtype,
        config.device,
        config.stages.vision,
        preparation,
    )
    return engine(requests).map_batches(
        StoreCaptions,
        fn_constructor_args=(stage,),
        batch_size=captioner.engine.batch_size,
        batch_format="numpy",
        **actor_options(config.stages.text),
    )
