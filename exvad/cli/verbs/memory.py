"""`exvad memory`: the memory of scenes of detection without training."""

from __future__ import annotations

import argparse
from pathlib import Path

import shtab

from exvad.cli.options import add_config, read_config, whole_number

HELP = "write or show the memory of scenes for detection without training"
DESCRIPTION = (
    "The memory of scenes describes normal scenes and incidents in short sentences. Without a "
    "checkpoint, `exvad analyze` compares frames with them."
)
BUILD = (
    "Let the language model of the configuration write a memory: scenes for every kind of incident "
    "and every place."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")
    build = actions.add_parser("build", help="write a memory", description=BUILD)
    output = build.add_argument(
        "--output",
        type=Path,
        default=Path("memory.json"),
        metavar="FILE",
        help="file to write [%(default)s]",
    )
    output.complete = shtab.FILE  # type: ignore[attr-defined]
    build.add_argument(
        "--kind",
        action="append",
        default=[],
        metavar="NAME",
        help="kind of incident; repeatable [those of package:scenes]",
    )
    build.add_argument(
        "--place",
        action="append",
        default=[],
        metavar="NAME",
        help="place with normal scenes; repeatable [those of package:scenes]",
    )
    build.add_argument(
        "--scenes",
        type=whole_number(1, 10_000),
        default=40,
        metavar="N",
        help="scenes per kind and place [%(default)s]",
    )
    add_config(build)
    show = actions.add_parser(
        "show", help="print kinds, places and numbers of scenes", description=DESCRIPTION
    )
    show.add_argument(
        "memory", nargs="?", default="package:scenes", help="file of a memory [%(default)s]"
    )


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    if options.action == "show":
        from exvad.cli.memory import show_memory

        return show_memory(options.memory)
    config = read_config(options)
    from exvad.cli.memory import build_memory

    return build_memory(config, options.output, options.kind, options.place, options.scenes)
