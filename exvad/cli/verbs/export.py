"""`exvad export`: a checkpoint in, files for ONNX Runtime or OpenVINO out."""

from __future__ import annotations

import argparse
from pathlib import Path

import shtab

from exvad.cli.options import CHECKPOINT_HELP

HELP = "write CLIP and a checkpoint as ONNX or OpenVINO files"
DESCRIPTION = (
    "Write CLIP's image encoder and the trained network of a checkpoint as files that run without "
    "exvad and torch, with a description and an example program. Every file is compared with torch "
    "before the folder appears. Needs pip install 'exvad[export]'."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--checkpoint",
        metavar="REF",
        help=f"{CHECKPOINT_HELP} [that of the newest run below runs/]",
    )
    folder = parser.add_argument(
        "--to", type=Path, metavar="FOLDER", required=True, help="the new folder [required]"
    )
    folder.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    parser.add_argument(
        "--format",
        choices=["onnx", "openvino"],
        default="onnx",
        help="format of the files [%(default)s]",
    )
    parser.add_argument(
        "--parts",
        default="clip,head",
        metavar="NAMES",
        help="what to write: clip, head, or both, separated by a comma [%(default)s]",
    )


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    from exvad.checkpoints.registry import newest_checkpoint, resolve_checkpoint
    from exvad.export.folder import export_checkpoint, parse_parts

    parts = parse_parts(options.parts)
    checkpoint = (
        resolve_checkpoint(options.checkpoint) if options.checkpoint else newest_checkpoint()
    )
    for part in export_checkpoint(checkpoint, options.to, parts, options.format):
        path = options.to / part.file
        print(f"{path}: differs from torch by at most {part.difference:.1e}")
    return 0
