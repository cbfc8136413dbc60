"""The `exvad` command: every verb calls one library function or runs one job."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import exvad


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    command = _parser()
    options, rest = command.parse_known_args(arguments)
    # Overrides may stand before and after options; argparse takes only the first group.
    if rest and (not hasattr(options, "overrides") or not all(map(_is_override, rest))):
        command.error(f"unrecognized arguments: {' '.join(rest)}")
    elif rest:
        options.overrides += rest
    verb: Callable[[argparse.Namespace], int] | None = getattr(options, "run", None)
    if verb is None:
        command.print_help()
        return 0
    try:
        return verb(options)
    except ValueError as error:
        print(f"exvad: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("exvad: stopped", file=sys.stderr)
        return 130


def _is_override(argument: str) -> bool:
    return "=" in argument and not argument.startswith("-")


def _parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(
        prog="exvad",
        description="Explainable, fine-grained video anomaly detection: "
        "when something abnormal happened, what it was, and why.",
    )
    command.add_argument("--version", action="version", version=f"exvad {exvad.__version__}")
    verbs = command.add_subparsers(title="verbs", metavar="VERB")

    demo = verbs.add_parser(
        "demo",
        help="run everything on a rendered world: no GPU, no download",
        description="Render a small world of surveillance videos, preprocess it, train a detector "
        "on video-level labels, evaluate it and write a report. Run again, it goes on.",
    )
    demo.add_argument("--preset", default="demo", help="demo, or a YAML file made from it")
    demo.add_argument("--fresh", action="store_true", help="throw away an earlier demo run first")
    demo.add_argument("overrides", nargs="*", metavar="section.field=value")
    demo.set_defaults(run=_demo)

    analyze = verbs.add_parser(
        "analyze",
        help="say of videos what happened, when, and why",
        description="Analyze video files with a trained checkpoint.",
    )
    analyze.add_argument("videos", nargs="+", metavar="VIDEO", help="video files")
    analyze.add_argument(
        "--checkpoint",
        metavar="REF",
        help="folder, MLflow run id or models:/NAME@ALIAS; the newest run's if absent",
    )
    analyze.add_argument("--json", action="store_true", help="print one JSON object per video")
    analyze.add_argument("--html", metavar="FILE", help="write a report with evidence frames")
    analyze.set_defaults(run=_analyze)
    again = verbs.add_parser(
        "reproduce",
        help="features, labels, several trainings, evaluation, and the paper's tables",
        description="Run the whole protocol of a preset, with several seeds, and print the paper's "
        "tables with the measured rows beside the quoted ones. Run again, it goes on.",
    )
    again.add_argument("preset", help="ucf_crime, xd_violence, demo, or a YAML file")
    again.add_argument("--seeds", type=int, default=3, help="how many trainings")
    again.add_argument(
        "--protocol",
        choices=["vadclip", "strict"],
        default="vadclip",
        help="of the measured mAP; vadclip is what the literature's tables are computed with",
    )
    again.add_argument("overrides", nargs="*", metavar="section.field=value")
    again.set_defaults(run=_reproduce)

    ablate = verbs.add_parser(
        "ablate",
        help="the paper's ablations, or a plan of your own",
        description="Train and measure every variant of a plan on the features of a run: the "
        "paper's Tables 4 to 6 and Figure 4, or a YAML file like exvad/paper/ablations.yaml.",
    )
    ablate.add_argument("--preset", default="demo", help="a preset's name or a YAML file")
    ablate.add_argument("--plan", help="YAML file; the paper's ablations if absent")
    ablate.add_argument("--seeds", type=int, default=1, help="trainings per variant")
    ablate.add_argument("--protocol", choices=["vadclip", "strict"], default="strict")
    ablate.add_argument("overrides", nargs="*", metavar="section.field=value")
    ablate.set_defaults(run=_ablate)

    bring = verbs.add_parser(
        "import-features",
        help="take features of any encoder from .npy and .npz files",
        description="Put image features, text features and label embeddings that were computed "
        "elsewhere into a run, so that training and evaluation need no encoder: "
        "<video>.npy or <video>__<crop>.npy of shape [T, D].",
    )
    bring.add_argument("features", help="folder of <video>.npy or <video>__<crop>.npy, [T, D]")
    bring.add_argument("--text", help=".npz, or a folder of .npy: one [D] per video")
    bring.add_argument("--labels", help=".npz: per class [1 + m, D], its name's and its phrases'")
    bring.add_argument("--preset", default="demo", help="a preset's name or a YAML file")
    bring.add_argument("overrides", nargs="*", metavar="section.field=value")
    bring.set_defaults(run=_import_features)
    serving = verbs.add_parser(
        "serve",
        help="an HTTP endpoint and a page for a trained checkpoint",
        description="Serve a checkpoint until Ctrl-C. Limits, API keys and replicas are settings "
        "(serve/settings.py) in a YAML file.",
    )
    serving.add_argument(
        "--checkpoint", metavar="REF",
        help="folder, MLflow run id or models:/NAME@ALIAS; the newest run's if absent",
    )  # fmt: skip
    serving.add_argument("--host", default="127.0.0.1", help="other machines need api_keys")
    serving.add_argument("--port", type=int, default=8000)
    serving.add_argument("--settings", default="", metavar="FILE", help="YAML file of settings")
    serving.set_defaults(run=_serve)
    return command


def _serve(options: argparse.Namespace) -> int:
    import os

    from jobs.session import QUIET
    from serve.command import run_server
    from serve.settings import load_settings

    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    settings = load_settings(options.settings)
    if options.checkpoint:
        settings = settings.model_copy(update={"checkpoint": options.checkpoint})
    run_server(options.host, options.port, settings)
    return 0


def _import_features(options: argparse.Namespace) -> int:
    from exvad.config import load_config
    from exvad.data.dataset import load_manifest, run_manifest
    from exvad.data.import_features import import_text, import_visual
    from exvad.data.store import Store
    from exvad.label_vectors import import_labels

    if not Path(options.features).is_dir():
        raise ValueError(f"{options.features}: there is no such folder")
    config = load_config(options.preset, options.overrides)
    manifest, store = load_manifest(config), Store(config.store_path)
    manifest.write(run_manifest(config))
    done = import_visual(options.features, manifest, store, config.data.stride)
    print(
        f"{done.videos} of {len(manifest.videos)} videos have features, {done.width} wide, "
        f"{done.crops} crop{'s' if done.crops > 1 else ''}"
    )
    if done.missing:
        print(f"without: {', '.join(done.missing[:10])}{' …' if len(done.missing) > 10 else ''}")
    if options.text:
        told = import_text(options.text, manifest, store)
        print(f"{told.videos} have text features")
    if options.labels:
        import_labels(options.labels, manifest.classes, config)
        print(f"label embeddings are in {config.run_path}")
    return 0


def _reproduce(options: argparse.Namespace) -> int:
    from exvad.reproduce import reproduce

    return reproduce(options.preset, options.overrides, options.seeds, options.protocol)


def _ablate(options: argparse.Namespace) -> int:
    from exvad.demo import run_job

    plan = ["--plan", options.plan] if options.plan else []
    flags = ["--preset", options.preset, "--seeds", str(options.seeds)]
    run_job("jobs/ablate.py", [*flags, "--protocol", options.protocol, *plan, *options.overrides])
    return 0


def _demo(options: argparse.Namespace) -> int:
    from exvad.demo import run_demo

    return run_demo(options.preset, options.overrides, options.fresh)


def _analyze(options: argparse.Namespace) -> int:
    from exvad.analyze import analyze_files

    checkpoint = None
    if options.checkpoint:
        from exvad.load import resolve_checkpoint

        checkpoint = resolve_checkpoint(options.checkpoint)
    html = Path(options.html) if options.html else None
    return analyze_files(options.videos, checkpoint, options.json, html)


if __name__ == "__main__":
    sys.exit(main())
