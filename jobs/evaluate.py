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
SHOWN = ("frame_auc", "frame_ap", "class_accuracy")


def variant(config: Config, manifest: Manifest, store: Store, label_CD: Any) -> dict[str, float]:
    """Train and measure the detector with another text modality (paper, Tables 4 and 5)."""
    import torch

    from exvad.checkpoint import Checkpoint, build_network
    from exvad.data.features import FeatureBank, missing_features
    from exvad.evaluation import evaluate
    from exvad.fit import fit, training_data
    from exvad.laam import LabelPhrases

    text = config.model.text
    ids = [video.video_id for video in manifest.videos]
    missing = missing_features(store, ids, text)
    bank = FeatureBank.build(store, [video for video in ids if video not in missing], text)
    torch.manual_seed(config.train.seed)
    label_tensor = torch.from_numpy(label_CD)
    network = build_network(config, bank.width, len(label_CD))
    state = fit(network, label_tensor, training_data(bank, manifest, config), config)
    network.load_state_dict(state.best_weights)
    labels = LabelPhrases.read(config.labels_path)
    checkpoint = Checkpoint(
        network, label_tensor, labels, config, state.calibration, {}, {"version": "", "weights": ""}
    )
    figures = evaluate(checkpoint, bank, manifest).figures
    return {
        **{name: figures[name] for name in SHOWN},
        "map_strict_average": figures["map"]["strict"]["average"],
        "map_vadclip_average": figures["map"]["vadclip"]["average"],
    }


def compare_texts(
    config: Config, manifest: Manifest, store: Store, own: dict[str, Any]
) -> dict[str, dict[str, float]]:
    """Measure what captions and explanations are worth, the other variants side by side on Ray."""
    import ray

    from exvad.encoders.load import load_clip
    from exvad.laam import LabelPhrases, label_embeddings

    labels = LabelPhrases.read(config.labels_path)
    label_CD = label_embeddings(
        labels, load_clip(config), config.model.label_prompt, config.labels.k
    )
    waiting = {}
    task = ray.remote(num_cpus=1)(variant)
    for text in VARIANTS:
        if text != config.model.text:
            model = config.model.model_copy(update={"text": text})
            changed = config.model_copy(update={"model": model})
            waiting[text] = task.remote(changed, manifest, store, label_CD)
    found: dict[str, dict[str, float]] = {
        config.model.text: {
            **{name: own[name] for name in SHOWN},
            "map_strict_average": own["map"]["strict"]["average"],
            "map_vadclip_average": own["map"]["vadclip"]["average"],
        }
    }
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
    from exvad.report import ReportVideo, RunRecord, evidence_frames, render_run

    shown = []
    with progress_bar() as bar:
        row = bar.add_task("writing the report", total=len(evaluation.videos))
        for analysis, video in zip(evaluation.analyses, evaluation.videos, strict=True):
            events = tuple(
                (event.start / analysis.fps, event.end / analysis.fps, event.label)
                for event in video.events
            )
            frames = evidence_frames(video.path, analysis)
            shown.append(ReportVideo(analysis, frames, video.labels[0], events))
            bar.advance(row)
    notes = []
    if config.data.kind == "world":
        notes.append(
            "These videos are drawn, and the models that see them are tiny: the figures show that "
            "everything works, and say nothing about accuracy on real footage."
        )
    if config.train.select_on == "test":
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


def main(arguments: Sequence[str]) -> int:
    """Run the job; return its exit code."""
    command = parser("A checkpoint and the test split in, figures and a report out.")
    command.add_argument("--checkpoint", help="folder of the checkpoint; RUN/checkpoint if absent")
    command.add_argument(
        "--variants", action="store_true", help="also train and measure the other text variants"
    )
    options = command.parse_args(arguments)
    config = configure(options)

    from exvad.checkpoint import load_checkpoint
    from exvad.data.atomic import write_json_atomic, write_text_atomic
    from exvad.data.dataset import saved_manifest
    from exvad.data.features import FeatureBank, missing_features
    from exvad.data.store import Store
    from exvad.evaluation import evaluate

    manifest = saved_manifest(config)
    checkpoint = load_checkpoint(options.checkpoint or config.run_path / "checkpoint")
    store = Store(config.store_path)
    text = checkpoint.config.model.text
    wanted = [video.video_id for video in manifest.of_split("test")]
    missing = missing_features(store, wanted, text)
    bank = FeatureBank.build(store, [v for v in wanted if v not in missing], text)
    evaluation = evaluate(checkpoint, bank, manifest)
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
    console.print(
        f"frame AUC {summary['frame_auc']:.3f}, "
        f"mAP strict {summary['map']['strict']['average']:.1f} "
        f"vadclip {summary['map']['vadclip']['average']:.1f}, "
        f"class accuracy {summary['class_accuracy']:.3f} on {summary['videos']} test videos; "
        f"report {config.run_path / 'report.html'}"
    )
    return 0


if __name__ == "__main__":
    run(main)
