"""Evaluate: a checkpoint and the test split → metrics, analyses of the videos and a report.

`exvad evaluate --preset demo` reads RUN/checkpoint and writes RUN/summary.json, RUN/analyses.jsonl
and RUN/report.html.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ray

from exvad.checkpoints.checkpoint import load_checkpoint
from exvad.checkpoints.registry import resolve_checkpoint
from exvad.data.atomic import write_json_atomic, write_text_atomic
from exvad.data.storage.errors import StorageError
from exvad.encoders.devices import resolve_device
from exvad.evaluation.evaluation import Evaluation, evaluate
from exvad.evaluation.experiment import summary_metrics
from exvad.laam.run_labels import RunLabels
from exvad.pipeline.ablate import experiment_task
from exvad.pipeline.placement import waiting_reported
from exvad.pipeline.session import ray_session
from exvad.pipeline.stages.decoders import frame_reader
from exvad.pipeline.terminal import console, progress_bar
from exvad.report.evidence import evidence_frames
from exvad.report.pages import RunRecord, render_run
from exvad.report.report_video import ReportVideo
from exvad.store.run_data import RunData
from exvad.store.store import Store
from exvad.video.container import VideoError

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.manifest import Manifest

TEXT_VARIANTS = ("none", "captions", "explanation")


def evaluate_run(
    config: Config, checkpoint_reference: str = "", variants: bool = False, resamples: int = 1000
) -> int:
    """Measure a checkpoint on the test split; write summary, analyses and report into the run.

    Args:
        config: the configuration of the run.
        checkpoint_reference: folder, MLflow run id or `models:/NAME@ALIAS`; empty for
            RUN/checkpoint.
        variants: whether to train and measure the other text variants too.
        resamples: number of bootstrap resamples; 0 for no intervals.

    Returns:
        The exit code.

    Raises:
        ValueError: there is no checkpoint, or no test video has the features that it needs.
    """
    reference = checkpoint_reference or config.run_path / "checkpoint"
    folder = resolve_checkpoint(reference, config.mlflow_uri)
    checkpoint = load_checkpoint(folder, str(resolve_device(config.device)))
    trained = checkpoint.config
    data_config = config.data.model_copy(update={"test_crop": trained.data.test_crop})
    data = RunData.load(
        config.model_copy(update={"model": trained.model, "data": data_config}), ("test",)
    )
    evaluation = evaluate(checkpoint, data.bank, data.manifest, resamples)
    summary = {
        **evaluation.metrics,
        "failed": len(data.missing),
        "selected_on": trained.train.select_on,
        "checkpoint": checkpoint.name,
    }
    if variants:
        with ray_session():
            summary["variants"] = compare_text_variants(config, data.manifest, summary)
    lines = [analysis.model_dump_json() for analysis in evaluation.analyses]
    write_text_atomic(config.run_path / "analyses.jsonl", "\n".join(lines) + "\n")
    write_json_atomic(config.run_path / "summary.json", summary)
    write_report(config, evaluation, summary, checkpoint.metrics.get("history", []))
    console.print(summary_line(summary), highlight=False)
    console.print(f"report {config.run_path / 'report.html'}", highlight=False, soft_wrap=True)
    return 0


def compare_text_variants(
    config: Config, manifest: Manifest, summary: dict[str, Any]
) -> dict[str, dict[str, float | None]]:
    """Train and measure the detector with each kind of text, side by side on Ray.

    Args:
        config: the configuration of the run; its own kind of text is not trained again.
        manifest: the data set.
        summary: the summary of the run.

    Returns:
        `model.text` → summary metrics.
    """
    labels, store = RunLabels.load(config), Store(config.store_path)
    title = "comparing text variants"
    task = experiment_task(config, title)
    train = config.train.model_copy(update={"select_on": summary["selected_on"]})
    pending = {}
    for text in TEXT_VARIANTS:
        if text != config.model.text:
            model = config.model.model_copy(update={"text": text})
            variant = config.model_copy(update={"model": model, "train": train})
            pending[text] = task.remote(variant, manifest, store, labels)
    metrics: dict[str, dict[str, float | None]] = {config.model.text: summary_metrics(summary)}
    with progress_bar() as bar, waiting_reported(title) as reporter:
        row = bar.add_task(title, total=len(pending))
        for text, reference in pending.items():
            metrics[text] = ray.get(reference)
            reporter.progress()
            bar.advance(row)
    return {text: metrics[text] for text in TEXT_VARIANTS}


def write_report(
    config: Config,
    evaluation: Evaluation,
    summary: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
) -> None:
    """Write RUN/report.html with the evidence frames of every test video.

    Args:
        config: the configuration of the run.
        evaluation: the analyses with the ground truth.
        summary: the summary of the run.
        history: the training metrics of every epoch.
    """
    videos: list[ReportVideo] = []
    unreadable: list[str] = []
    with progress_bar() as bar, frame_reader(config) as read:
        row = bar.add_task("writing the report", total=len(evaluation.videos))
        for analysis, video in zip(evaluation.analyses, evaluation.videos, strict=True):
            events = tuple(
                (event.start / analysis.fps, event.end / analysis.fps, event.label)
                for event in video.events
            )
            frames: dict[int, bytes] = {}
            try:
                if analysis.captions:
                    frames = evidence_frames(video.path, analysis, read=read)
            except (VideoError, StorageError) as error:
                unreadable.append(str(error))
            videos.append(ReportVideo(analysis, frames, video.labels[0], events))
            bar.advance(row)
    if unreadable:
        console.print(
            f"the report has no frames of {len(unreadable)} videos; the first: {unreadable[0]}"
        )
    record = RunRecord(
        title=config.run_path.name,
        summary=summary,
        videos=videos,
        history=history,
        classes=evaluation.analyses[0].classes,
        notes=_cautions(config, summary),
    )
    write_text_atomic(config.run_path / "report.html", render_run(record))


def _cautions(config: Config, summary: Mapping[str, Any]) -> list[str]:
    cautions = []
    if config.data.kind == "world":
        cautions.append(
            "These videos are rendered and the models that process them are tiny: the metrics show "
            "that everything works, and nothing about the accuracy on real footage."
        )
    if summary["selected_on"] == "test":
        cautions.append(
            "The epoch was chosen on the test split: these metrics are better than on new videos."
        )
    return cautions


def summary_line(summary: Mapping[str, Any]) -> str:
    """Return the summary metrics with their intervals as one line.

    Args:
        summary: the summary of a run. Where no events are known, the line has the AUC over videos
            in place of the AUC over frames and the mAP.
    """
    intervals = summary.get("intervals", {})

    def with_interval(name: str, value: float | None, digits: int) -> str:
        if value is None:
            return "unknown"
        low, high = intervals.get(name, (None, None))
        interval = "" if low is None else f" [{low:.{digits}f}, {high:.{digits}f}]"
        return f"{value:.{digits}f}{interval}"

    detection = summary["map"]
    if detection:
        parts = [f"frame AUC {with_interval('frame_auc', summary['frame_auc'], 3)}"]
        for protocol in ("strict", "vadclip"):
            average = detection[protocol]["average"]
            value = with_interval(f"map_{protocol}_average", average, 1)
            parts.append(f"mAP {protocol} {value}")
    else:
        parts = [f"video AUC {with_interval('video_auc', summary['video_auc'], 3)}"]
    accuracy = with_interval("class_accuracy", summary["class_accuracy"], 3)
    parts.append(f"class accuracy {accuracy}")
    split = summary["selected_on"]
    caution = f" (epoch chosen on the {split} split)" if split != "val" else ""
    return f"{', '.join(parts)} on {summary['videos']} test videos{caution}"
