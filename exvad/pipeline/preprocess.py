"""Preprocess: videos → CLIP features and captions → explanations, fanned out by Ray Data.

`python jobs/preprocess.py --preset demo`, or on a cluster
`ray job submit --working-dir . -- python jobs/preprocess.py --preset ucf_crime data.root=…`.
Running it again does only what is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exvad.data.manifest_files import write_manifest
from exvad.pipeline.language import run_language
from exvad.pipeline.session import console, progress_bar, ray_session
from exvad.pipeline.stages import Outcome, outcomes
from exvad.pipeline.vision import run_captions, run_vision

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.store.store import Store


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


def preprocess(
    config: Config, fresh: bool = False, retry_failed: bool = False, strict: bool = False
) -> int:
    """Fill the feature store of a run with whatever is missing.

    Args:
        config: the configuration.
        fresh: delete what the store holds first.
        retry_failed: try the videos again that failed earlier.
        strict: return 1 if any video failed.

    Returns:
        The exit code: 0, or 1 if no video is usable.
    """
    from exvad.aegm.language_stage import language_fingerprint
    from exvad.aegm.vision_stage import captions_fingerprint, vision_fingerprint
    from exvad.data.dataset import load_manifest, run_manifest
    from exvad.store.feature_bank import missing_features
    from exvad.store.store import Store

    with progress_bar() as bar:
        task = bar.add_task("rendering the demo world", total=None, visible=False)
        manifest = load_manifest(
            config, lambda done, of: bar.update(task, completed=done, total=of, visible=True)
        )
    write_manifest(manifest, run_manifest(config))
    store = Store(config.store_path)
    vision_print = vision_fingerprint(config)
    vision = store.stage("vision", vision_print, fresh)
    language_print = {**language_fingerprint(config, manifest.classes), "vision": vision_print}
    language = store.stage("language", language_print, fresh)
    if retry_failed:
        store.failures.clear()
    with ray_session():
        if config.captioner.backend == "vllm":
            captions = store.stage("captions", captions_fingerprint(config), fresh)
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
    return 1 if usable == 0 or (strict and failures) else 0
