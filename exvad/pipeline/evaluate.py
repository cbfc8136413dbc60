"""Evaluate: a checkpoint and the test split → metrics, analyses of the videos and a report.

`exvad evaluate --preset demo` reads RUN/checkpoint and writes RUN/summary.json, RUN/analyses.jsonl
and RUN/report.html.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from exvad.checkpoints.checkpoint import load_checkpoint, trained_config
from exvad.checkpoints.registry import CHECKPOINT, local_checkpoint
from exvad.data.dataset import read_run_manifest
from exvad.data.storage.errors import StorageError
from exvad.data.storage.marks import UNMARKED
from exvad.data.storage.places import resolve_place
from exvad.encoders.devices import resolve_device
from exvad.evaluation.bootstrap import check_resamples
from exvad.evaluation.evaluation import Evaluation, evaluate
from exvad.evaluation.experiment import summary_metrics
from exvad.laam.run_labels import RunLabels
from exvad.pipeline.placement import Demand, waiting_reported
from exvad.pipeline.progress.names import missing_lines
from exvad.pipeline.progress.terminal import console, progress_bar
from exvad.pipeline.session import is_on_cluster, ray_session
from exvad.pipeline.shared_places import shared_places
from exvad.pipeline.stages.decoders import frame_reader
from exvad.pipeline.studies.ablate import experiment_task
from exvad.pipeline.tasks import (
    full_path,
    get_result,
    run_task,
    with_full_places,
    with_tracking_store,
)
from exvad.report.evidence import evidence_frames
from exvad.report.pages import RunRecord, render_run
from exvad.report.report_video import ReportVideo
from exvad.store.run_data import RunData
from exvad.store.store import Store
from exvad.video.container import VideoError

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.records import Split
    from exvad.data.storage.marks import Marks

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
        ValueError: there is no checkpoint, no test video has the features that it needs, or there
            can't be so many resamples.
    """
    check_resamples(resamples)
    if is_on_cluster():
        config = with_tracking_store(with_full_places(config))
        checkpoint_reference = full_path(checkpoint_reference)
    reference = checkpoint_reference or config.in_run(CHECKPOINT)
    variant_metrics = None
    if variants:
        with local_checkpoint(reference, config.mlflow_uri) as folder:
            selected_on = trained_config(folder).train.select_on
        with shared_places(read={"store": config.store_path}) as marks, ray_session():
            variant_metrics = train_other_variants(config, selected_on, marks)
    demand = Demand("evaluation", "train.gpu", 1, 1 if config.train.gpu else 0)
    lines = run_task("evaluation", demand, config,
                     measure, config, reference, resamples, variant_metrics)  # fmt: skip
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
    return 0


def measure(
    config: Config,
    reference: str,
    resamples: int,
    variants: Mapping[str, dict[str, float | None]] | None = None,
) -> list[str]:
    """Measure a checkpoint on the test split; write summary, analyses and report into the run.

    Args:
        config: the configuration of the run.
        reference: a reference to the checkpoint.
        resamples: number of bootstrap resamples; 0 for no intervals.
        variants: the metrics of the other text variants, for the summary; None for none.

    Returns:
        What to print.

    Raises:
        ValueError: there is no checkpoint, or no test video has the features that it needs.
    """
    with local_checkpoint(reference, config.mlflow_uri) as folder:
        checkpoint = load_checkpoint(folder, str(resolve_device(config.device)))
    trained = checkpoint.config
    data_config = config.data.model_copy(update={"test_crop": trained.data.test_crop})
    data = RunData.load(
        config.model_copy(update={"model": trained.model, "data": data_config}), ("test",)
    )
    evaluation = evaluate(checkpoint, data.bank, data.manifest, resamples)
    summary: dict[str, Any] = {
        **evaluation.metrics,
        "failed": len(data.missing),
        "selected_on": trained.train.select_on,
        "checkpoint": checkpoint.name,
    }
    if variants is not None:
        metrics = {**variants, config.model.text: summary_metrics(summary)}
        texts = dict.fromkeys((*TEXT_VARIANTS, config.model.text))
        summary["variants"] = {text: metrics[text] for text in texts}
    lines = [analysis.model_dump_json() for analysis in evaluation.analyses]
    resolve_place(config.in_run("analyses.jsonl")).write_text("\n".join(lines) + "\n")
    resolve_place(config.in_run("summary.json")).write_json(summary)
    notes = write_report(config, evaluation, summary, checkpoint.metrics.get("history", []))
    notes += [f"note: {note}" for note in evaluation.notes]
    notes += missing_lines(data.missing, "not measured")
    return [*notes, summary_line(summary), f"report {config.in_run('report.html')}"]


def train_other_variants(
    config: Config, selected_on: Split, marks: Marks = UNMARKED
) -> dict[str, dict[str, float | None]]:
    """Train and measure the detector with each other kind of text, side by side on Ray.

    Args:
        config: the configuration of the run; its own kind of text is not trained again.
        selected_on: the split that the epoch of the run's checkpoint was chosen on.
        marks: those of the store, which other nodes read.

    Returns:
        `model.text` → summary metrics.
    """
    manifest, store = read_run_manifest(config), Store(config.store_path, marks)
    labels = RunLabels.load(config, manifest.classes)
    title = "comparing text variants"
    task = experiment_task(config, title, marks)
    train = config.train.model_copy(update={"select_on": selected_on})
    pending = {}
    for text in TEXT_VARIANTS:
        if text != config.model.text:
            model = config.model.model_copy(update={"text": text})
            variant = config.model_copy(update={"model": model, "train": train})
            pending[text] = task.remote(variant, manifest, store, labels)
    metrics: dict[str, dict[str, float | None]] = {}
    with progress_bar() as bar, waiting_reported(title) as reporter:
        row = bar.add_task(title, total=len(pending))
        for text, reference in pending.items():
            metrics[text] = get_result(reference)
            reporter.progress()
            bar.advance(row)
    return metrics


def write_report(
    config: Config,
    evaluation: Evaluation,
    summary: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
) -> list[str]:
    """Write RUN/report.html with the evidence frames of every test video.

    Args:
        config: the configuration of the run.
        evaluation: the analyses with the ground truth.
        summary: the summary of the run.
        history: the training metrics of every epoch.

    Returns:
        What to print about frames that could not be read.
    """
    videos: list[ReportVideo] = []
    unreadable: list[str] = []
    with progress_bar() as bar, frame_reader(config) as read:
        row = bar.add_task("writing the report", total=len(evaluation.videos))
        for analysis, video, clock in zip(
            evaluation.analyses, evaluation.videos, evaluation.clocks, strict=True
        ):
            events = tuple(
                (clock.seconds_at(event.start), clock.end_of(event.end), event.label)
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
    notes = []
    if unreadable:
        notes.append(
            f"the report has no frames of {len(unreadable)} videos; the first: {unreadable[0]}"
        )
    record = RunRecord(
        title=PurePosixPath(config.run).name,
        summary=summary,
        videos=videos,
        history=history,
        classes=evaluation.analyses[0].classes,
        notes=[*_cautions(config, summary), *evaluation.notes],
    )
    resolve_place(config.in_run("report.html")).write_text(render_run(record))
    return notes


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
