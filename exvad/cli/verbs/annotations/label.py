"""`exvad label`: persons confirm and correct the events of videos; a manifest has their labels."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from exvad.cli.options import add_detector, add_server, add_videos

HELP = "confirm and correct the events of your videos on a page, and train on the labels"
DESCRIPTION = (
    "Detect events in videos, and ask on a page which of them are right, which are wrong and which "
    "are missing. The labels are written to a manifest after each decision, and training "
    "starts from there. Stop with Ctrl-C; the same command continues, also with more videos."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_videos(parser, "*", "videos, folders of videos, or patterns [those of the session]")
    parser.add_argument(
        "--manifest",
        type=Path,
        default=Path("labels.csv"),
        metavar="FILE",
        help="manifest to write, .csv or .parquet; the session is in a folder beside it "
        "[%(default)s]",
    )
    add_detector(parser, "the settings' checkpoint, else zero-shot")
    parser.add_argument(
        "--no-explain",
        action="store_true",
        help="no captions and no explanations of new videos, which is much faster",
    )
    parser.add_argument(
        "--export", action="store_true", help="write the manifest of the session, and serve nothing"
    )
    add_server(parser)


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    from exvad.cli.detectors import ZeroShotOptions, choose_settings
    from exvad.config import parse_overrides
    from exvad.serving.labelling.session import open_session
    from exvad.serving.schemas.analyses import AnalysisOptions
    from exvad.serving.settings import load_settings

    settings = load_settings(options.settings, options.checkpoint)
    zero_shot = ZeroShotOptions.from_arguments(options)
    session = open_session(
        options.videos,
        options.manifest,
        settings,
        AnalysisOptions(explain=not options.no_explain),
        choose_settings(settings.checkpoint, parse_overrides(options.set), zero_shot),
    )
    for note in session.notes:
        print(f"note: {note}")
    print(f"new videos: {session.queued.added}, queued earlier: {session.queued.known}")
    if not options.export:
        from exvad.serving.deployments.server import run_server

        run_server(options.host, options.port, session.settings)
    summary = session.manifest.summary()
    print(summary.text)
    if summary.advice:
        print(f"note: {summary.advice}")
    if summary.abnormal or summary.normal:
        data = f"data.kind=manifest data.manifest={shlex.quote(str(options.manifest))}"
        print(
            f"next: exvad check --preset my.yaml {data} run=runs/mine, then preprocess, labels, "
            "train and evaluate with the same arguments"
        )
    return 0
