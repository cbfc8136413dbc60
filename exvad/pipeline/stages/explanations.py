"""Explanations with vLLM as a step of its own, between the actors that ask and that store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from exvad.aegm.captioned_videos import read_captioned_videos
from exvad.aegm.explanation_format import ExplanationError, explanation_schema, parse_answer
from exvad.aegm.language_stage import CleanedVideo, LanguageRowBuilder, LanguageSettings
from exvad.encoders.chat import load_tokenizer, prompt_thoughts, tokenize_prompts
from exvad.encoders.engine import EngineError, sampling_parameters
from exvad.encoders.loading import load_clip
from exvad.pipeline.stages.actors import actor_options, append_rows
from exvad.pipeline.stages.outcomes import Outcome
from exvad.pipeline.stages.pieces import read_pieces
from exvad.pipeline.stages.vllm_engine import ERROR_COLUMN, build_engine, row_answer

if TYPE_CHECKING:
    from ray.data import Dataset

    from exvad.config import Config
    from exvad.store.store import Stage, Store


class AskExplanation:
    """Cleans the captions of videos and writes the prompts that ask for explanations.

    Input: rows of `video_id`, `pieces` and `refused`; see `explain_with_vllm`. Output: the cleaned
    videos with `tokenized_prompt` and `sampling_params`. Resources: `stages.text`.

    Args:
        config: the models.
        classes: class names, the normal one first.
        store: the store that holds the captions.
    """

    def __init__(self, config: Config, classes: Sequence[str], store: Store) -> None:
        self.store = store
        self.builder = LanguageRowBuilder(
            load_clip(config), LanguageSettings.from_config(config, classes)
        )
        self.tokenizer = load_tokenizer(config.llm.model)
        schema = explanation_schema(classes) if config.llm.structured else None
        self.sampling = sampling_parameters(config.llm.max_new_tokens, schema)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Process one batch of rows."""
        video_ids = [str(video_id) for video_id in batch["video_id"]]
        pieces = read_pieces(batch)
        refused = dict(zip(video_ids, map(str, batch["refused"]), strict=True))
        videos = self.builder.clean(read_captioned_videos(self.store, pieces))
        prompts = [self.builder.build_prompt(video, refused[video.video_id]) for video in videos]
        rows = [video.to_row() for video in videos]
        return {
            **{name: [row[name] for row in rows] for name in rows[0]},
            "tokenized_prompt": tokenize_prompts(self.tokenizer, prompts),
            "sampling_params": [self.sampling] * len(prompts),
        }


class StoreExplanations:
    """Parses the engine's answers and appends the explanations to the store.

    Input: rows of `AskExplanation` with the engine's answers. Output: their `outcome`. Resources:
    `stages.text`.

    Args:
        config: the text encoder.
        classes: class names, the normal one first.
        stage: the language stage.
    """

    def __init__(self, config: Config, classes: Sequence[str], stage: Stage) -> None:
        self.stage, self.classes = stage, classes
        self.max_new_tokens = config.llm.max_new_tokens
        self.thoughts = prompt_thoughts(load_tokenizer(config.llm.model))
        self.builder = LanguageRowBuilder(
            load_clip(config), LanguageSettings.from_config(config, classes)
        )

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Process one batch of rows."""
        rows, outcomes = [], []
        for index in range(len(batch["video_id"])):
            row = {name: batch[name][index] for name in batch}
            video = CleanedVideo.from_row(row)
            try:
                rows.append(self._explain(video, row))
            except (ExplanationError, EngineError) as error:
                outcomes.append(Outcome.failure(video.video_id, error).to_json())
            else:
                outcomes.append(Outcome(video.video_id).to_json())
        return {"outcome": append_rows(self.stage, rows, outcomes)}

    def _explain(self, video: CleanedVideo, row: Mapping[str, Any]) -> dict[str, Any]:
        if row[ERROR_COLUMN]:
            raise EngineError(row[ERROR_COLUMN])
        answer = row_answer(row, self.max_new_tokens, self.thoughts)
        explanation = parse_answer(answer, self.classes, len(video.cleaned.captions))
        return self.builder.build_row(video, explanation)


def explain_with_vllm(
    config: Config,
    classes: Sequence[str],
    store: Store,
    stage: Stage,
    videos: Dataset,
    batch_size: int,
) -> Dataset:
    """Return the data set of the outcomes of explaining videos.

    Args:
        config: the models and the resources of the actors.
        classes: class names, the normal one first.
        store: the store that holds the captions.
        stage: its language stage.
        videos: rows of `video_id`, `pieces` (from `pieces_text`) and `refused` (why the last answer
            was refused, or "").
        batch_size: videos per batch.
    """
    text_actors: dict[str, Any] = {
        "batch_size": batch_size,
        "batch_format": "numpy",
        **actor_options(config.stages.text),
    }
    llm = config.llm
    engine = build_engine(llm.model, llm.engine, llm.dtype, config.device, config.stages.language)
    prompts = videos.map_batches(
        AskExplanation, fn_constructor_args=(config, classes, store), **text_actors
    )
    return engine(prompts).map_batches(
        StoreExplanations, fn_constructor_args=(config, classes, stage), **text_actors
    )
