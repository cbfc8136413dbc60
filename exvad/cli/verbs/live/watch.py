"""`exvad watch`: the alerts of cameras and other streams, printed as they happen."""

from __future__ import annotations

import argparse

import shtab

from exvad.cli.options import add_detector

HELP = "watch cameras and print their alerts, without a server"
DESCRIPTION = (
    "Watch cameras, streams and growing files with a trained checkpoint, or without one by a "
    "memory of described scenes. Print a line when an alert begins, changes its class, is "
    "explained, and ends. Interrupted cameras are connected again; Ctrl-C ends the watch. All "
    "options, also --normal and --look-for, are for all sources: cameras that need others have a "
    "command of their own."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    sources = parser.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="rtsp://, rtsps://, http:// or https:// (also an HLS playlist), or a file that is "
        "being written; NAME=SOURCE names the camera",
    )
    sources.complete = shtab.FILE  # type: ignore[attr-defined]
    add_detector(parser)
    parser.add_argument(
        "--on",
        type=float,
        metavar="SCORE",
        help="an alert begins above this score, 0 to 1 [where abnormal is more likely than normal]",
    )
    parser.add_argument(
        "--off", type=float, metavar="SCORE", help="an alert ends below this score [0.7 times --on]"
    )
    parser.add_argument(
        "--least-seconds",
        type=float,
        default=1.0,
        metavar="N",
        help="an alert begins after this many seconds above --on [%(default)g]",
    )
    parser.add_argument(
        "--cool-down-seconds",
        type=float,
        default=10.0,
        metavar="N",
        help="no alert begins for this many seconds after the last one ended [%(default)g]",
    )
    parser.add_argument(
        "--no-explain",
        dest="explain",
        action="store_false",
        help="no captions and no explanations, which is faster",
    )
    parser.add_argument(
        "--idle-seconds",
        type=float,
        default=30.0,
        metavar="N",
        help="a file has ended that has not grown for this many seconds [%(default)g]",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object per alert and notice"
    )


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    from exvad.cli.detectors import ZeroShotOptions, choose_checkpoint
    from exvad.cli.watched_sources import find_sources, parse_stream_options
    from exvad.cli.watching import watch_sources
    from exvad.config import parse_overrides

    stream_options, settings = parse_stream_options(options)
    sources = find_sources(options.sources, settings)
    zero_shot = ZeroShotOptions.from_arguments(options)
    checkpoint = choose_checkpoint(options.checkpoint, zero_shot)
    overrides = parse_overrides(options.set)
    return watch_sources(
        sources, stream_options, settings, options.json, checkpoint, overrides, zero_shot
    )
