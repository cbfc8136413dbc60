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
    options = command.parse_args(arguments)
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
        "--checkpoint", metavar="DIR", help="checkpoint folder; the newest demo run if absent"
    )
    analyze.add_argument("--json", action="store_true", help="print one JSON object per video")
    analyze.add_argument("--html", metavar="FILE", help="write a report with evidence frames")
    analyze.set_defaults(run=_analyze)
    return command


def _demo(options: argparse.Namespace) -> int:
    from exvad.demo import run_demo

    return run_demo(options.preset, options.overrides, options.fresh)


def _analyze(options: argparse.Namespace) -> int:
    from exvad.analyze import analyze_files

    checkpoint = Path(options.checkpoint) if options.checkpoint else None
    html = Path(options.html) if options.html else None
    return analyze_files(options.videos, checkpoint, options.json, html)


if __name__ == "__main__":
    sys.exit(main())
