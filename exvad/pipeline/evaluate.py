"""Evaluate: a checkpoint and the test split → figures, per-video answers and the HTML report.

`python jobs/evaluate.py --preset demo` reads RUN/checkpoint and writes RUN/summary.json,
RUN/analyses.jsonl and RUN/report.html.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exvad.pipeline.session import console, progress_bar, ray_session
from exvad.store.run_data import RunData

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.manifest import Manifest
    from exvad.evaluation.evaluation import Evaluation
    from exvad.store.store import Store

VARIANTS = ("none", "captions", "explanation")


def compare_texts(
    config: Config, manifest: Manifest, store: Store, own: dict[str, Any]
) -> dict[str, dict[str, float | None]]:
    """Measure what captions and explanations are worth, the other variants side by side on Ray."""
    import ray

    from exvad.evaluation.experiment import run_experiment, summary_metrics
    from exvad.laam.run_labels import RunLabels

    labels = RunLabels.load(config)
    waiting = {}
    task = ray.remote(num_cpus=1)(run_experiment)
    train = config.train.model_copy(update={"select_on": own["selected_on"]})
    for text in VARIANTS:
        if text != config.model.text:
            model = config.model.model_copy(update={"text": text})
            changed = config.model_copy(update={"model": model, "train": train})
            waiting[text] = task.remote(changed, manifest, store, labels)
    found: dict[str, dict[str, float | None]] = {config.model.text: summary_metrics(own)}
    with progress_bar() as bar:
        row = bar.add_task("comparing text variants", total=len(waiting))
        for text, reference in waiting.items():
            found[text] = ray.get(reference)
            bar.advance(row)
    return {text: found[text] for text in VARIANTS}


def write_report(
    config: Config, evaluation: Evaluation, summary: dict[str, Any], history: list[Any]
) -> None:
    """Write RUN/report.html with the evidence frames of every test video."""
    from exvad.data.atomic import write_text_atomic
    from exvad.report.pages import ReportVideo, RunRecord, evidence_frames, render_run
    from exvad.video.container import VideoError

    shown: list[ReportVideo] = []
    unseen: list[str] = []
    with progress_bar() as bar:
        row = bar.add_task("writing the report", total=len(evaluation.videos))
        for analysis, video in zip(evaluation.analyses, evaluation.videos, strict=True):
            events = tuple(
                (event.start / analysis.fps, event.end / analysis.fps, event.label)
                for event in video.events
            )
            frames: dict[int, bytes] = {}
            try:
                frames = evidence_frames(video.path, analysis) if analysis.captions else {}
            except VideoError as error:
                unseen.append(str(error))
            shown.append(ReportVideo(analysis, frames, video.labels[0], events))
            bar.advance(row)
    notes = []
    if unseen:
        console.print(f"no pictures of {len(unseen)} videos in the report: {unseen[0]}")
    if config.data.kind == "world":
        notes.append(
            "These videos are drawn, and the models that see them are tiny: the figures show that "
            "everything works, and say nothing about accuracy on real footage."
        )
    if summary["selected_on"] == "test":
        notes.append("The epoch was chosen on the test split: these figures flatter the model.")
    record = RunRecord(
        title=config.run_path.name,
        summary=summary,
        videos=shown,
        history=history,
        classes=evaluation.analyses[0].classes,
        notes=notes,
    )
    write_text_atomic(config.run_path / "report.html", render_run(record))


def one_line(summary: dict[str, Any]) -> str:
    """Say the headline figures with their intervals; without known events, of whole videos."""
    intervals = summary.get("intervals", {})

    def said(name: str, value: float | None, digits: int) -> str:
        if value is None:
            return "unknown"
        low, high = intervals.get(name, (None, None))
        spread = "" if low is None else f" [{low:.{digits}f}, {high:.{digits}f}]"
        return f"{value:.{digits}f}{spread}"

    detection = summary["map"] or {}
    parts = [f"video AUC {said('video_auc', summary['video_auc'], 3)}"]
    if detection:
        parts = [f"frame AUC {said('frame_auc', summary['frame_auc'], 3)}"]
        parts += [
            f"mAP {protocol} {said(f'map_{protocol}_average', detection[protocol]['average'], 1)}"
            for protocol in ("strict", "vadclip")
        ]
    parts.append(f"class accuracy {said('class_accuracy', summary['class_accuracy'], 3)}")
    chosen = summary["selected_on"]
    warning = f" (epoch chosen on the {chosen} split)" if chosen != "val" else ""
    return f"{', '.join(parts)} on {summary['videos']} test videos{warning}"


def evaluate_run(
    config: Config, checkpoint_reference: str = "", variants: bool = False, resamples: int = 1000
) -> int:
    """Measure a checkpoint on the test split and write summary, analyses and report into the run.

    Args:
        config: the configuration.
        checkpoint_reference: folder, MLflow run id or `models:/NAME@ALIAS`; empty for
            RUN/checkpoint.
        variants: also train and measure the other text variants.
        resamples: draws of the bootstrap intervals; 0 for none.

    Returns:
        The exit code.
    """
    from exvad.checkpoints.checkpoint import load_checkpoint
    from exvad.checkpoints.registry import resolve_checkpoint
    from exvad.data.atomic import write_json_atomic, write_text_atomic
    from exvad.evaluation.evaluation import evaluate
    from exvad.store.store import Store

    reference = checkpoint_reference or config.run_path / "checkpoint"
    checkpoint = load_checkpoint(resolve_checkpoint(reference, config.mlflow_uri))
    trained = checkpoint.config
    crop = config.data.model_copy(update={"test_crop": trained.data.test_crop})
    data = RunData.load(config.model_copy(update={"model": trained.model, "data": crop}), ("test",))
    evaluation = evaluate(checkpoint, data.bank, data.manifest, resamples)
    summary = {
        **evaluation.figures,
        "failed": len(data.missing),
        "selected_on": checkpoint.config.train.select_on,
        "checkpoint": checkpoint.name,
    }
    if variants:
        with ray_session():
            summary["variants"] = compare_texts(
                config, data.manifest, Store(config.store_path), summary
            )
    lines = [analysis.model_dump_json() for analysis in evaluation.analyses]
    write_text_atomic(config.run_path / "analyses.jsonl", "\n".join(lines) + "\n")
    write_json_atomic(config.run_path / "summary.json", summary)
    write_report(config, evaluation, summary, checkpoint.metrics.get("history", []))
    console.print(one_line(summary), highlight=False)
    console.print(f"report {config.run_path / 'report.html'}", highlight=False, soft_wrap=True)
    return 0
