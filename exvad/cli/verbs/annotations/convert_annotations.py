"""`exvad convert-annotations`: files of annotation tools to manifests, and events to tools."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import shtab

# Spelled out, because the formats' modules are heavier than a help text may be.
INPUTS = ("manifest", "analyses", "label-studio", "cvat", "uca", "fiftyone", "coco-vid")
OUTPUTS = ("manifest", "label-studio", "cvat", "fiftyone", "coco-vid")

HELP = "convert labels of Label Studio, CVAT, FiftyOne, UCA and COCO-VID"
DESCRIPTION = (
    "Convert annotations of videos: files of annotation tools into a manifest, and the events of a "
    "manifest or of analyses into files that the tools import. What is assumed or left out is "
    "printed as notes."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    source = parser.add_argument("source", type=Path, help="file or folder of annotations")
    target = parser.add_argument("target", type=Path, help="file to write; for CVAT a folder")
    parser.add_argument(
        "--from", dest="kind", choices=INPUTS, help="format of the source [by its content]"
    )
    parser.add_argument(
        "--to", choices=OUTPUTS, help="format of the target [manifest for .csv and .parquet]"
    )
    videos = parser.add_argument(
        "--videos",
        type=Path,
        metavar="FOLDER",
        help="folder of the videos, for their paths, lengths and rates [none]",
    )
    parser.add_argument(
        "--fps",
        type=float,
        metavar="RATE",
        help="rate that frames are counted at, where the source does not have it [none]",
    )
    parser.add_argument(
        "--split",
        choices=["train", "val", "test"],
        default="test",
        help="split of the videos in a manifest, where the source has none [%(default)s]",
    )
    parser.add_argument(
        "--normal",
        metavar="CLASS",
        default="Normal",
        help="the normal class, where the source declares no classes [%(default)s]",
    )
    parser.add_argument(
        "--classes",
        metavar="CLASS,…",
        default="",
        help="further classes of a manifest, such as those that no video here shows [none]",
    )
    parser.add_argument(
        "--url-prefix",
        metavar="TEXT",
        default="",
        help="what stands before the names of the videos in tasks of Label Studio, such as "
        "/data/local-files/?d= [nothing]",
    )
    source.complete = target.complete = shtab.FILE  # type: ignore[attr-defined]
    videos.complete = shtab.DIRECTORY  # type: ignore[attr-defined]


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    from exvad.config.counts import count_of
    from exvad.data.annotations.convert import convert_annotations
    from exvad.data.annotations.measuring import measured_by

    with measured_by() as measure:
        conversion = convert_annotations(
            options.source,
            options.target,
            (options.kind or "", options.to or ""),
            videos=options.videos,
            measure=measure,
            fps=options.fps,
            split=options.split,
            normal=options.normal,
            prefix=options.url_prefix,
            classes=[name.strip() for name in options.classes.split(",") if name.strip()],
        )
    for note in conversion.notes:
        print(f"note: {note}", file=sys.stderr)
    found = f"{count_of(conversion.videos, 'video')}, {count_of(conversion.events, 'event')}"
    print(
        f"{found}, {' to '.join(conversion.kinds)}: {conversion.files[0]}"
        + (f" and {len(conversion.files) - 1} more" if len(conversion.files) > 1 else "")
    )
    return 0
