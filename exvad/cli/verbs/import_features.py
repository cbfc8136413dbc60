"""`exvad import-features`: features of any encoder, from .npy and .npz files."""

from __future__ import annotations

import argparse
from pathlib import Path

from exvad.cli.options import add_config, read_config

HELP = "import features of any encoder from .npy and .npz files"
DESCRIPTION = (
    "Import image features, text features and label embeddings that were computed elsewhere into "
    "a run. Training and evaluation then need no encoder."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "features",
        type=Path,
        help="folder of <video>.npy or <video>__<crop>.npy, each of shape [T, D]",
    )
    parser.add_argument(
        "--text",
        type=Path,
        metavar="PATH",
        help=".npz file or folder of .npy files with one vector [D] per video",
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help=".npz file with one array [1 + m, D] per class: its name, then its m phrases",
    )
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    config = read_config(options)
    from exvad.pipeline.import_features import import_into_run

    return import_into_run(config, options.features, options.text, options.labels)
