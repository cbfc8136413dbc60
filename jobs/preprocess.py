"""Preprocess: videos → CLIP features and captions → explanations, fanned out by Ray Data.

`python jobs/preprocess.py --preset demo`, or on a cluster
`ray job submit --working-dir . -- python jobs/preprocess.py --preset ucf_crime data.root=…`.
Running it again does only what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jobs.decoding import VISION_BATCH, decoded_chunk, decoded_chunks
from jobs.session import configure, console, parser, progress_bar, ray_session, run
from jobs.stages import Outcome, actors, keep, outcomes

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.manifest import Manifest
    from exvad.data.store import Stage, Store


class VisionActor:
    """Stage input: decoded chunks. Output: their outcomes; their features go to the store."""

    def __init__(self, config: Config, stage: Stage) -> None:
        from exvad.encoders.load import load_captioner, load_clip
        from exvad.vision import VisionStage

        self.stage, self.crops = stage, config.data.crops
        written = config.captioner.backend == "vllm"
        captioner = None if written else load_captioner(config)
        self.vision = VisionStage(load_clip(config), captioner, config.data.short_side)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Process one batch of rows."""
        from exvad.vision import ChunkTask, UncaptionedError

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


class LanguageActor:
    """Stage input: videos and where their captions are. Output: their outcomes.

    Their explanations go to the store.
    """

    def __init__(self, config: Config, classes: Sequence[str], store: Store, stage: Stage) -> None:
        from exvad.aegm import explanation_schema
        from exvad.encoders.load import load_clip, load_llm
        from exvad.language import LanguageSettings, LanguageStage

        self.store, self.stage = store, stage
        settings = LanguageSettings.of(config, classes)
        llm = load_llm(config, schema=explanation_schema(classes))
        self.language = LanguageStage(load_clip(config), llm, settings)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Process one batch of rows."""
        from exvad.aegm import ExplanationError
        from exvad.language import read_captioned

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


def run_captions(config: Config, manifest: Manifest, store: Store, captions: Stage) -> None:
    """Have vLLM caption what has no captions yet; any other captioner works beside CLIP."""
    from jobs.captioning import captioned

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
    from exvad.data.features import missing_features

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


def run_language(config: Config, manifest: Manifest, store: Store, stage: Stage) -> None:
    """Fill the language stage with what is missing, for all videos that were seen completely."""
    import ray

    from exvad.data.features import missing_features
    from exvad.language import caption_parts
    from jobs.engine import explained

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


def _follow(
    dataset: Any, title: str, total: int, store: Store, stage: str, again: str = ""
) -> list[Outcome]:
    """Run a dataset to its end, showing progress by video; failures are kept in the store.

    Args:
        dataset: gives outcomes.
        title: of the progress bar.
        total: videos.
        store: takes the failures.
        stage: which failed.
        again: the error of those that are asked for once more, so have not failed yet.

    Returns:
        Those to ask for again.
    """
    seen: set[str] = set()
    remarks: list[Outcome] = []
    waiting: list[Outcome] = []
    with progress_bar() as bar:
        task = bar.add_task(title, total=total)
        for outcome in outcomes(dataset):
            if outcome.error and outcome.error == again:
                waiting.append(outcome)
            elif outcome.error:
                store.failures.append(outcome.video_id, stage, outcome.error, outcome.message)
            elif outcome.message:
                remarks.append(outcome)
            seen.add(outcome.video_id)
            bar.update(task, completed=len(seen))
    for outcome in remarks:
        console.print(f"note: {outcome.video_id}: {outcome.message}", highlight=False)
    return waiting


def main(arguments: Sequence[str]) -> int:
    """Run the job; return its exit code."""
    command = parser("Videos in, features, captions and explanations out.")
    command.add_argument("--fresh", action="store_true", help="throw away what is in the store")
    command.add_argument("--retry-failed", action="store_true", help="try failed videos again")
    command.add_argument("--strict", action="store_true", help="fail if any video failed")
    options = command.parse_args(arguments)
    config = configure(options)

    from exvad.data.dataset import load_manifest, run_manifest
    from exvad.data.features import missing_features
    from exvad.data.store import Store
    from exvad.language import language_fingerprint
    from exvad.vision import captions_fingerprint, vision_fingerprint

    with progress_bar() as bar:
        task = bar.add_task("rendering the demo world", total=None, visible=False)
        manifest = load_manifest(
            config, lambda done, of: bar.update(task, completed=done, total=of, visible=True)
        )
    manifest.write(run_manifest(config))
    store = Store(config.store_path)
    vision_print = vision_fingerprint(config)
    vision = store.stage("vision", vision_print, options.fresh)
    language_print = {**language_fingerprint(config, manifest.classes), "vision": vision_print}
    language = store.stage("language", language_print, options.fresh)
    if options.retry_failed:
        store.failures.clear()
    with ray_session():
        if config.captioner.backend == "vllm":
            captions = store.stage("captions", captions_fingerprint(config), options.fresh)
            run_captions(config, manifest, store, captions)
        run_vision(config, manifest, store, vision)
        run_language(config, manifest, store, language)

    ids = [video.video_id for video in manifest.videos]
    failures = [row for row in store.failures.rows() if row["id"] in set(ids)]
    for failure in failures[:10]:
        console.print(f"failed: {failure['id']} ({failure['stage']}): {failure['message']}")
    usable = len(ids) - len(missing_features(store, ids, "explanation"))
    console.print(f"{usable} of {len(ids)} videos are ready, {len(failures)} failed")
    if failures:
        console.print(
            f"the failures are listed in {config.store_path}/failures; "
            "--retry-failed takes them up again"
        )
    return 1 if usable == 0 or (options.strict and failures) else 0


if __name__ == "__main__":
    run(main)
