"""TODO"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from exvad.pipeline.preprocess import _follow
from exvad.pipeline.stages import Outcome, actors, keep

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.manifest import Manifest
    from exvad.store.store import Stage, Store


class LanguageActor:
    """Stage input: videos and where their captions are. Output: their outcomes.

    Their explanations go to the store.
    """

    def __init__(self, config: Config, classes: Sequence[str], store: Store, stage: Stage) -> None:
        from exvad.aegm.explanation import explanation_schema
        from exvad.aegm.language_stage import LanguageSettings, LanguageStage
        from exvad.encoders.loading import load_clip, load_llm

        self.store, self.stage = store, stage
        settings = LanguageSettings.of(config, classes)
        llm = load_llm(config, schema=explanation_schema(classes))
        self.language = LanguageStage(load_clip(config), llm, settings)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Process one batch of rows."""
        from exvad.aegm.explanation import ExplanationError
        from exvad.aegm.language_stage import read_captioned

        places = zip(batch["video_id"], batch["parts"], strict=True)
        videos = read_captioned(
            self.store, {str(video): json.loads(parts) for video, parts in places}
        )
        answers = self.language.explain(videos)
        rows = [answer for answer in answers if not isinstance(answer, ExplanationError)]
        if rows:
            keep(self.stage, rows)
        return {
            "outcome": [
                (
                    Outcome.of(video.video_id, answer)
                    if isinstance(answer, ExplanationError)
                    else Outcome(video.video_id)
                ).to_json()
                for video, answer in zip(videos, answers, strict=True)
            ]
        }


def run_language(config: Config, manifest: Manifest, store: Store, stage: Stage) -> None:
    """Fill the language stage with what is missing, for all videos that were seen completely."""
    import ray

    from exvad.aegm.language_stage import caption_parts
    from exvad.pipeline.engine import explained
    from exvad.store.feature_bank import missing_features

    ids = [video.video_id for video in manifest.videos]
    unseen = missing_features(store, ids)
    failed = {row["id"] for row in store.failures.rows("language")}
    done = {key[0] for key in sorted(stage.keys())}
    parts = caption_parts(
        store, [v for v in ids if v not in unseen and v not in failed and v not in done]
    )
    # In the order of the part files, so that a batch has to read few of them.
    order = sorted(parts, key=lambda video: parts[video])
    todo = dict.fromkeys(order, "")
    # An actor asks again by itself; a stage of vLLM answers each row once.
    rounds = config.llm.attempts if config.llm.backend == "vllm" else 1
    for left in reversed(range(rounds)):
        if not todo:
            return
        size = min(config.stages.language_batch, -(-len(todo) // config.stages.language.max_actors))
        videos = ray.data.from_items(
            [
                {"video_id": video, "parts": json.dumps(parts[video]), "refused": refused}
                for video, refused in todo.items()
            ],
            override_num_blocks=-(-len(todo) // size),
        )
        if config.llm.backend == "vllm":
            dataset = explained(config, manifest.classes, store, stage, videos, size)
        else:
            dataset = videos.map_batches(
                LanguageActor,
                fn_constructor_args=(config, manifest.classes, store, stage),
                batch_size=size,
                batch_format="numpy",
                **actors(config.stages.language),
            )
        # What is wrong with an answer can be told; a question that can't be asked stays as it is.
        again = "ExplanationError" if left else ""
        refused = _follow(dataset, "cleaning and explaining", len(todo), store, "language", again)
        todo = {outcome.video_id: outcome.message for outcome in refused}
