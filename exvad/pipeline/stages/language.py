"""Filling the language stage: cleaned captions, explanations and their text features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ray.data

from exvad.aegm.captioned_videos import read_captioned_videos
from exvad.aegm.explanation_format import ExplanationError, explanation_schema
from exvad.aegm.language_stage import LanguageSettings, LanguageStage
from exvad.data.storage.errors import StorageError
from exvad.encoders.loading import load_clip, load_llm
from exvad.pipeline.placement import place_actors
from exvad.pipeline.stages.actors import actor_options, append_rows
from exvad.pipeline.stages.explanations import explain_with_vllm
from exvad.pipeline.stages.outcomes import Outcome, run_to_end
from exvad.pipeline.stages.pieces import pieces_text, read_pieces
from exvad.pipeline.stages.vllm_engine import engines_running

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.manifest import Manifest
    from exvad.store.parts import Piece
    from exvad.store.store import Stage, Store
    from exvad.store.survey import Survey

TITLE = "cleaning and explaining"


class LanguageActor:
    """Cleans and explains the captions of videos and appends the explanations to the store.

    Input: rows of `video_id` and `pieces` (from `pieces_text`). Output: their `outcome`. Resources:
    `stages.language`.

    Args:
        config: the models.
        classes: class names, the normal one first.
        store: the store that holds the captions.
        stage: its language stage.
    """

    def __init__(self, config: Config, classes: Sequence[str], store: Store, stage: Stage) -> None:
        self.store, self.stage = store, stage
        llm = load_llm(config, schema=explanation_schema(classes))
        settings = LanguageSettings.from_config(config, classes)
        self.language = LanguageStage(load_clip(config), llm, settings)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Process one batch of rows."""
        pieces = read_pieces(batch)
        rows, outcomes = [], []
        try:
            videos = read_captioned_videos(self.store, pieces)
        except StorageError as error:
            return {"outcome": [Outcome.failure(video_id, error).to_json() for video_id in pieces]}
        for video, answer in zip(videos, self.language.explain(videos), strict=True):
            if isinstance(answer, ExplanationError):
                outcomes.append(Outcome.failure(video.video_id, answer).to_json())
            else:
                rows.append(answer)
                outcomes.append(Outcome(video.video_id).to_json())
        return {"outcome": append_rows(self.stage, rows, outcomes)}


def run_language(config: Config, manifest: Manifest, survey: Survey, stage: Stage) -> bool:
    """Fill the language stage with what is missing, for videos whose vision stage is complete.

    Args:
        config: the models and the resources of the actors.
        manifest: the data set.
        survey: what the store holds.
        stage: its language stage, open for writing.

    Returns:
        Whether anything was missing.
    """
    pieces = _pieces_to_explain(survey)
    # In the order of the part files, so that a batch reads few of them.
    refused = dict.fromkeys(sorted(pieces, key=lambda video_id: pieces[video_id]), "")
    if refused:
        stage.learn_width(survey.index("language").snapshot)
    # An actor retries by itself. vLLM answers each row once, so a retry is a round of its own.
    rounds = config.llm.attempts if config.llm.backend == "vllm" else 1
    for rounds_left in reversed(range(rounds)):
        if not refused:
            break
        # A refused answer is retried with the reason. Any other error would only repeat.
        retry_error = ExplanationError.__name__ if rounds_left else ""
        dataset = _explain(config, manifest.classes, survey.store, stage, pieces, refused)
        with engines_running(config.llm.model):
            to_retry = run_to_end(
                dataset, TITLE, len(refused), survey.store, "language", retry_error
            )
        refused = {outcome.video_id: outcome.message for outcome in to_retry}
    return bool(pieces)


def _pieces_to_explain(survey: Survey) -> dict[str, list[Piece]]:
    """Find the rows of the videos that are encoded, not explained and have not failed."""
    skipped = {*survey.missing(), *survey.explained()}
    skipped |= {row["id"] for row in survey.failures("language")}
    return survey.pieces("vision", [v for v in survey.video_ids if v not in skipped])


def _explain(
    config: Config,
    classes: Sequence[str],
    store: Store,
    stage: Stage,
    pieces: Mapping[str, Sequence[Piece]],
    refused: Mapping[str, str],
) -> ray.data.Dataset:
    by_vllm = config.llm.backend == "vllm"
    actors = config.stages.language
    if not by_vllm:
        actors = place_actors(TITLE, "stages.language", actors)
    per_actor = -(-len(refused) // (actors.max_actors or actors.min_actors))
    batch_size = min(config.stages.language_batch, per_actor)
    videos = ray.data.from_items(
        [
            {"video_id": video_id, "pieces": pieces_text(pieces[video_id]), "refused": reason}
            for video_id, reason in refused.items()
        ],
        override_num_blocks=-(-len(refused) // batch_size),
    )
    if by_vllm:
        return explain_with_vllm(config, classes, store, stage, videos, batch_size)
    return videos.map_batches(
        LanguageActor,
        fn_constructor_args=(config, classes, store, stage),
        batch_size=batch_size,
        batch_format="numpy",
        **actor_options(actors),
    )
