"""Evaluate: a checkpoint and the test split → figures, per-video answers and the HTML report.

`python jobs/evaluate.py --preset demo` reads RUN/checkpoint and writes RUN/summary.json,
RUN/analyses.jsonl and RUN/report.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jobs.session import configure, console, parser, progress_bar, ray_session, run

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.manifest import Manifest
    from exvad.data.store import Store
    from exvad.evaluation import Evaluation

VARIANTS = ("none", "captions", "explanation")


def compare_texts(
    config: Config, manifest: Manifest, store: Store, own: dict[str, Any]
) -> dict[str, dict[str, float | None]]:
    """Measure what captions and explanations are worth, the other variants side by side on Ray."""
    import ray

    from exvad.experiment import headline, run_experiment
    from exvad.label_vectors import RunLabels

    labels = RunLabels(config)
    label_CD = labels.embeddings(config)
    waiting = {}
    task = ray.remote(num_cpus=1)(run_experiment)
    train = config.train.model_copy(update={"select_on": own["selected_on"]})
    for text in VARIANTS:
        if text != config.model.text:
            model = config.model.model_copy(update={"text": text})
            changed = config.model_copy(update={"model": model, "train": train})
            waiting[text] = task.remote(changed, manifest, store, labels.phrases, label_CD)
    found: dict[str, dict[str, float | None]] = {config.model.text: headline(own)}
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
    from exvad.data.video import VideoError
    from exvad.report import ReportVideo, RunRecord, evidence_frames, render_run

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


def main(arguments: Sequence[str]) -> int:
    """Run the job; return its exit code."""
    command = parser("A checkpoint and the test split in, figures and a report out.")
    command.add_argument(
        "--checkpoint",
        help="folder, MLflow run id or models:/NAME@ALIAS; RUN/checkpoint if absent",
    )
    command.add_argument(
        "--variants", action="store_true", help="also train and measure the other text variants"
    )
    command.add_argument(
        "--resamples", type=int, default=1000, help="draws of the bootstrap intervals; 0 for none"
    )
    options = command.parse_args(arguments)
    config = configure(options)

    from exvad.checkpoint import load_checkpoint
    from exvad.data.atomic import write_json_atomic, write_text_atomic
    from exvad.data.dataset import saved_manifest
    from exvad.data.features import FeatureBank, missing_features
    from exvad.data.store import Store
    from exvad.evaluation import evaluate
    from exvad.load import resolve_checkpoint

    manifest = saved_manifest(config)
    reference = options.checkpoint or config.run_path / "checkpoint"
    checkpoint = load_checkpoint(resolve_checkpoint(reference, config.mlflow_uri))
    store = Store(config.store_path)
    text = checkpoint.config.model.text
    wanted = [video.video_id for video in manifest.of_split("test")]
    crop = checkpoint.config.data.test_crop
    missing = missing_features(store, wanted, text, crop)
    bank = FeatureBank.build(store, [v for v in wanted if v not in missing], text, crop)
    evaluation = evaluate(checkpoint, bank, manifest, options.resamples)
    summary = {
        **evaluation.figures,
        "failed": len(missing),
        "selected_on": checkpoint.config.train.select_on,
        "checkpoint": checkpoint.name,
    }
    if options.variants:
        with ray_session():
            summary["variants"] = compare_texts(config, manifest, store, summary)
    lines = [analysis.model_dump_json() for analysis in evaluation.analyses]
    write_text_atomic(config.run_path / "analyses.jsonl", "\n".join(lines) + "\n")
    write_json_atomic(config.run_path / "summary.json", summary)
    write_report(config, evaluation, summary, checkpoint.metrics.get("history", []))
    console.print(one_line(summary), highlight=False)
    console.print(f"report {config.run_path / 'report.html'}", highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    run(main)
