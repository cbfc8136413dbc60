"""Preprocess: videos → CLIP features and captions → explanations, on Ray Data.

`exvad preprocess --preset demo`, or on a cluster
`ray job submit --working-dir . -- python jobs/preprocess.py --preset ucf_crime data.root=…`.
A second run does only what is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exvad.aegm.language_stage import language_fingerprint
from exvad.aegm.prompts import with_prompt_text
from exvad.aegm.vision_stage import captions_fingerprint, vision_fingerprint
from exvad.config.counts import count_of
from exvad.data.dataset import run_manifest_path
from exvad.data.manifest_files import write_manifest
from exvad.pipeline.preflight.models import shipped_models_note
from exvad.pipeline.progress.manifest import load_manifest_with_progress
from exvad.pipeline.progress.terminal import console
from exvad.pipeline.session import ray_session
from exvad.pipeline.shared_places import check_shared, check_videos_shared, shared_places
from exvad.pipeline.stages.actors import check_stages
from exvad.pipeline.stages.captioning import run_captions
from exvad.pipeline.stages.language import run_language
from exvad.pipeline.stages.spreading import OverCluster
from exvad.pipeline.stages.tidying import finish_stage, merging_meanwhile
from exvad.pipeline.stages.vision import run_vision
from exvad.store.event_ends import events_beyond_the_end
from exvad.store.store import Store
from exvad.store.survey import Survey

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.manifest import Manifest
    from exvad.data.storage.marks import Marks

SHOWN_FAILURES = 10


def preprocess(
    config: Config,
    fresh: bool = False,
    retry_failed: bool = False,
    strict: bool = False,
    fresh_explanations: bool = False,
) -> int:
    """Fill the feature store of a run with what is missing.

    Args:
        config: the configuration of the run.
        fresh: whether to delete the content of the store first.
        retry_failed: whether to retry the videos that failed in earlier runs.
        strict: whether any failed video makes the exit code 1.
        fresh_explanations: whether to delete the explanations first, and nothing else.

    Returns:
        The exit code: 0, or 1 if no video is usable.

    Raises:
        ValueError: the data set is described wrongly, the store was made with other settings, the
            cluster has not the resources that a stage needs, or a node does not see the store or
            the videos.
    """
    if config.captioner.placement == "guided" and config.captioner.backend == "vllm":
        raise ValueError(
            "captioner.placement=guided: with captioner.backend=vllm captions are written before "
            "the first look at the frames; set captioner.placement=even, or another backend"
        )
    if config.llm.segment_captions and config.llm.backend == "vllm":
        raise ValueError(
            "llm.segment_captions: with llm.backend=vllm a video has one prompt; set "
            "llm.segment_captions=0, or llm.backend=openai with vllm serve"
        )
    config = with_prompt_text(config)  # the actors run in other folders, and on other machines
    manifest = load_manifest_with_progress(config)
    if note := shipped_models_note(config):
        console.print(f"note: {note}", highlight=False, soft_wrap=True)
    with shared_places({"store": config.store_path}) as marks:
        survey = _fill(config, manifest, marks, fresh, retry_failed, fresh_explanations)
    return _report(manifest, survey, strict)


def _fill(
    config: Config,
    manifest: Manifest,
    marks: Marks,
    fresh: bool,
    retry_failed: bool,
    fresh_explanations: bool,
) -> Survey:
    """Run the stages; return what the store holds afterwards."""
    store = Store(config.store_path, marks)
    vision_settings = vision_fingerprint(config)
    vision = store.stage("vision", vision_settings, fresh)
    language_settings = language_fingerprint(config, manifest.classes)
    language = store.stage(
        "language", {**language_settings, "vision": vision_settings}, fresh or fresh_explanations
    )
    # Not before: a store of other settings refuses, and the run stays as it was.
    write_manifest(manifest, run_manifest_path(config))
    if retry_failed:
        store.failures.clear()
    video_ids = [video.video_id for video in manifest.videos]
    with ray_session():
        check_stages(config)
        check_shared(marks)
        spread = OverCluster(config.stages.decode_cpus)
        survey = Survey(store, video_ids, spread)
        missing = survey.missing()
        check_videos_shared([v.path for v in manifest.videos if v.video_id in missing])
        if config.captioner.backend == "vllm":
            captions = store.stage("captions", captions_fingerprint(config), fresh)
            with merging_meanwhile(captions, spread):
                worked = run_captions(config, manifest, survey, captions)
            finish_stage(captions, survey, spread, worked)
        with merging_meanwhile(vision, spread):
            worked = run_vision(config, manifest, survey, vision)
        finish_stage(vision, survey, spread, worked)
        with merging_meanwhile(language, spread):
            worked = run_language(config, manifest, survey, language)
        finish_stage(language, survey, spread, worked)
    return survey


def _report(manifest: Manifest, survey: Survey, strict: bool) -> int:
    """Print how many videos are usable, which failed and which events lie beyond the end.

    Returns:
        The exit code.
    """
    failures, log = survey.failures(), survey.store.failures
    for failure in failures[:SHOWN_FAILURES]:
        console.print(f"failed: {failure['id']} ({failure['stage']}): {failure['message']}")
    beyond = events_beyond_the_end(manifest.videos, survey.store)
    for sentence in beyond[:SHOWN_FAILURES]:
        console.print(f"note: {sentence}", highlight=False, soft_wrap=True)
    if len(beyond) > SHOWN_FAILURES:
        console.print(
            f"note: {len(beyond) - SHOWN_FAILURES} more videos have events beyond their end; "
            "exvad evaluate names all of them",
            highlight=False,
        )
    total = len(survey.video_ids)
    usable = total - len(survey.missing("explanation"))
    videos = f"{count_of(total, 'video')} {'is' if total == 1 else 'are'}"
    console.print(f"{usable} of {videos} ready, {len(failures)} failed")
    if failures:
        console.print(f"failures are listed in {log.path}; --retry-failed retries them")
    return 1 if usable == 0 or (strict and failures) else 0
