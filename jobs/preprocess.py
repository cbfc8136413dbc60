"""Preprocess: videos → CLIP features and captions → explanations, fanned out by Ray Data.

`python jobs/preprocess.py --preset demo`, or on a cluster
`ray job submit --working-dir . -- python jobs/preprocess.py --preset ucf_crime data.root=…`.
Running it again does only what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jobs.session import configure, console, parser, progress_bar, ray_session, run
from jobs.stages import Outcome, actors, keep, outcomes

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.manifest import Manifest
    from exvad.data.store import Stage, Store

VISION_BATCH = 4
BATCHES_AHEAD = 3
WIDEST = 16 / 9  # sides of a frame, as most videos have them at most


def plan(
    row: Mapping[str, Any], config: Config, done: set[tuple[str, int]]
) -> list[dict[str, Any]]:
    """Stage input: a video. Output: a row per chunk that is not in the store yet."""
    from exvad.data.video import VideoError
    from exvad.vision import plan_video

    try:
        _, tasks = plan_video(row["video_id"], row["path"], config)
    except VideoError as error:
        return [{"outcome": Outcome.of(row["video_id"], error).to_json(), "task": ""}]
    return [
        {"outcome": Outcome(task.chunk.video_id).to_json(), "task": json.dumps(task.to_row())}
        for task in tasks
        if (task.chunk.video_id, task.chunk.chunk) not in done
    ]


def decode(row: Mapping[str, Any], short_side: int) -> dict[str, Any]:
    """Stage input: a chunk. Output: the same with its frames, as bytes."""
    from exvad.data.video import VideoError, decode_chunk
    from exvad.vision import ChunkTask

    unseen = {**row, "frames": b"", "shape": []}
    if not row["task"]:
        return unseen
    task = ChunkTask.from_row(json.loads(row["task"]))
    video_id = task.chunk.video_id
    try:
        decoded = decode_chunk(task.chunk, short_side)
    except VideoError as error:
        return {**unseen, "outcome": Outcome.of(video_id, error).to_json(), "task": ""}
    return {
        "outcome": Outcome(video_id, message="; ".join(decoded.problems)).to_json(),
        "task": row["task"],
        "frames": decoded.frames.tobytes(),
        "shape": list(decoded.frames.shape),
    }


class VisionActor:
    """Stage input: decoded chunks. Output: their outcomes; their features go to the store."""

    def __init__(self, config: Config, stage: Stage) -> None:
        from exvad.encoders.load import load_captioner, load_clip
        from exvad.vision import VisionStage

        self.stage, self.crops = stage, config.data.crops
        self.vision = VisionStage(load_clip(config), load_captioner(config), config.data.short_side)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Process one batch of rows."""
        from exvad.data.video import DecodedChunk
        from exvad.vision import ChunkTask

        rows = []
        for text, frames, shape in zip(
            *(batch[name] for name in ("task", "frames", "shape")), strict=True
        ):
            if text:
                task = ChunkTask.from_row(json.loads(text))
                pictures = np.frombuffer(frames, np.uint8).reshape(tuple(shape))
                decoded = DecodedChunk(pictures, np.asarray(task.chunk.times), [])
                rows += [self.vision.see(task, decoded, crop) for crop in range(self.crops)]
        if rows:
            keep(self.stage, rows)
        return {"outcome": batch["outcome"]}


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


def run_vision(config: Config, manifest: Manifest, store: Store, stage: Stage) -> None:
    """Fill the vision stage with what is missing."""
    import ray

    from exvad.data.features import missing_features

    failed = {row["id"] for row in store.failures.rows("vision")}
    ids = [video.video_id for video in manifest.videos if video.video_id not in failed]
    missing = missing_features(store, ids)
    todo = [
        {"video_id": video.video_id, "path": video.path}
        for video in manifest.videos
        if video.video_id in missing
    ]
    if not todo:
        return
    done = {(key[0], key[1]) for key in sorted(stage.keys())}
    stages = config.stages
    with ray.data.DataContext.current(_chunk_by_chunk(config)):
        videos = ray.data.from_items(todo, override_num_blocks=len(todo))
    dataset = (
        videos.flat_map(
            plan, fn_kwargs={"config": config, "done": done}, num_cpus=stages.decode_cpus
        )
        .map(
            decode,
            fn_kwargs={"short_side": config.data.short_side},
            num_cpus=stages.decode_cpus,
            # The frames and their copy as bytes. A wish of its own also keeps Ray Data from making
            # one task of planning and decoding, or from decoding where the encoder would wait.
            memory=2 * _chunk_bytes(config),
        )
        .map_batches(
            VisionActor,
            fn_constructor_args=(config, stage),
            batch_size=VISION_BATCH,
            batch_format="numpy",
            **actors(stages.vision),
        )
    )
    _follow(dataset, "seeing and captioning", len(todo), store, "vision")


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
        refused = _follow(
            dataset, "cleaning and explaining", len(todo), store, "language", final=not left
        )
        todo = {outcome.video_id: outcome.message for outcome in refused}


def _chunk_bytes(config: Config) -> int:
    """Return how large a chunk's frames are at most, for videos of the usual shapes."""
    data = config.data
    return int(3 * data.short_side**2 * WIDEST * data.snippets_per_chunk)


def _chunk_by_chunk(config: Config) -> Any:
    """Return Ray Data's settings for a data set whose rows are large and differ in work.

    Every row is a block of its own, or all chunks of a video would be decoded by one task. (A
    repartition would do that too, but its tasks want a whole core, which nodes full of actors
    never have.) Decoding runs ahead of the actors by a few batches only, however long a video is.
    """
    import ray

    context = ray.data.DataContext.get_current().copy()
    context.target_max_block_size = 1
    batches = BATCHES_AHEAD * config.stages.vision.max_actors
    context.execution_options.resource_limits = ray.data.ExecutionResources.for_limits(
        object_store_memory=batches * VISION_BATCH * _chunk_bytes(config)
    )
    return context


def _follow(
    dataset: Any, title: str, total: int, store: Store, stage: str, final: bool = True
) -> list[Outcome]:
    """Run a dataset to its end, showing progress by video.

    Returns:
        What failed; it is kept in the store, unless it is asked for once more (not `final`).
    """
    seen: set[str] = set()
    remarks: list[Outcome] = []
    failed: list[Outcome] = []
    with progress_bar() as bar:
        task = bar.add_task(title, total=total)
        for outcome in outcomes(dataset):
            if outcome.error:
                failed.append(outcome)
                if final:
                    store.failures.append(outcome.video_id, stage, outcome.error, outcome.message)
            elif outcome.message:
                remarks.append(outcome)
            seen.add(outcome.video_id)
            bar.update(task, completed=len(seen))
    for outcome in remarks:
        console.print(f"note: {outcome.video_id}: {outcome.message}", highlight=False)
    return failed


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
    from exvad.vision import vision_fingerprint

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
