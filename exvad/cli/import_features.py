"""`exvad import-features`: features of any encoder, from .npy and .npz files."""

from __future__ import annotations

import argparse
from pathlib import Path

from exvad.cli.options import add_config
from exvad.config import load_config

HELP = "take features of any encoder from .npy and .npz files"
DESCRIPTION = (
    "Put image features, text features and label embeddings that were computed elsewhere into a "
    "run, so that training and evaluation need no encoder: <video>.npy or <video>__<crop>.npy of "
    "shape [T, D]."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "features", type=Path, help="folder of <video>.npy or <video>__<crop>.npy, [T, D]"
    )
    parser.add_argument("--text", type=Path, help=".npz, or a folder of .npy: one [D] per video")
    parser.add_argument(
        "--labels", type=Path, help=".npz: per class [1 + m, D], its name's and its phrases'"
    )
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    from exvad.pipeline.import_features import import_into_run

    config = load_config(options.preset, options.overrides)
    return import_into_run(config, options.features, options.text, options.labels)
