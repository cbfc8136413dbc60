"""Captioning with vLLM as a stage of its own: pictures go to its engines one by one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from exvad.pipeline.engine import FAILED, EngineError, engine
from exvad.pipeline.stages import Outcome, actors, keep

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.store.store import Stage


def pictures(
    row: Mapping[str, Any], written: set[tuple[str, int]], asked: Mapping[str, Any], chat: bool
) -> list[dict[str, Any]]:
    """Stage input: a decoded chunk. Output: a row for each of its pictures without a caption.

    A chunk that can't be decoded gives none: the vision stage, which needs it too, says why.
    """
    from PIL import Image

    from exvad.aegm.vision_stage import ChunkTask
    from exvad.encoders.chat import image_turn
    from exvad.pipeline.decoding import decoded_chunk

    if not row["task"]:
        return []
    task = ChunkTask.from_row(json.loads(row["task"]))
    frames = task.captioned_frames(decoded_chunk(task, row["frames"], row["shape"]))
    rows = []
    for snippet, frame in zip(task.captioned, frames, strict=True):
        if (task.chunk.video_id, snippet) in written:
            continue
        seen: dict[str, Any] = {"multimodal_data": {"image": Image.fromarray(frame)}}
        if chat:
            seen = {"messages": [image_turn(asked["prompt"], frame)]}
        rows.append({"video_id": task.chunk.video_id, "snippet": snippet, **asked, **seen})
    return rows


class CaptionKeeper:
    """Stage input: what the engine said of pictures. Output: outcomes; captions go to the store."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Process one batch of rows."""
        columns = (batch[name] for name in ("video_id", "snippet", "generated_text", FAILED))
        outcomes, rows = [], []
        for video, snippet, text, problem in zip(*columns, strict=True):
            if problem:
                outcomes.append(Outcome.of(str(video), EngineError(problem)).to_json())
            else:
                rows.append({"video_id": video, "snippet": snippet, "caption": text.strip()})
                outcomes.append(Outcome(str(video)).to_json())
        if rows:
            keep(self.stage, rows)
        return {"outcome": outcomes}


def captioned(config: Config, stage: Stage, todo: list[dict[str, Any]]) -> Any:
    """Return the data set of the outcomes of captioning some videos.

    Their pictures are decoded here and once more for CLIP: what is sent to the engine are a few
    pictures of each video, and its actors need not wait for each other's.

    Args:
        config: the models and how they are spread.
        stage: takes the captions.
        todo: rows of `video_id`, `path` and `captions`, those that are written already.
    """
    from exvad.encoders.chat import ASKED, load_tokenizer
    from exvad.encoders.engine import chats, greedy, opening
    from exvad.pipeline.decoding import decoded_chunks

    captioner, resources = config.captioner, config.stages.vision
    chat = chats(captioner.model)
    asked: dict[str, Any] = {"sampling_params": greedy(captioner.max_new_tokens)}
    if chat:
        asked["prompt"] = captioner.prompt or ASKED
    else:
        asked["tokenized_prompt"] = opening(load_tokenizer(captioner.model), captioner.prompt)
    written = {
        (row["video_id"], int(snippet)) for row in todo for snippet in json.loads(row["captions"])
    }
    shots = decoded_chunks(config, todo, set()).flat_map(
        pictures,
        fn_kwargs={"written": written, "asked": asked, "chat": chat},
        num_cpus=config.stages.decode_cpus,
    )
    on = {"prepare_multimodal_stage": True, "chat_template_stage": True} if chat else {}
    answers = engine(
        captioner.model, captioner.engine, captioner.dtype, config.device, resources, on
    )(shots)
    return answers.map_batches(
        CaptionKeeper,
        fn_constructor_args=(stage,),
        batch_size=captioner.engine.batch_size,
        batch_format="numpy",
        **actors(config.stages.text),
    )
