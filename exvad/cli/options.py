"""Arguments that several verbs share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import shtab

from exvad.config import load_config, preset_names

if TYPE_CHECKING:
    from exvad.config import Config

PRESET_HELP = f"a packaged preset ({', '.join(preset_names())}) or a YAML file"
CHECKPOINT_HELP = "checkpoint: a folder, its URI, an MLflow run id or models:/NAME@ALIAS"
DETECTOR_HELP = (
    f"{CHECKPOINT_HELP}; zero-shot or a YAML file of settings to detect without training"
)

MOST_SEEDS = 1000
SHOWN_CHARACTERS = 40


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add `--preset` and the overrides; see `read_config`."""
    action = parser.add_argument("--preset", default="demo", help=f"{PRESET_HELP} [%(default)s]")
    action.complete = shtab.FILE  # type: ignore[attr-defined]
    add_overrides(parser)


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Add the overrides; `main` accepts them anywhere on the command line."""
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="section.field=value",
        help="settings that override the preset; `exvad config show` lists all of them",
    )


def add_no_check(parser: argparse.ArgumentParser) -> None:
    """Add `--no-check`, which skips the checks before a job."""
    parser.add_argument(
        "--no-check", action="store_true", help="start without the checks of `exvad check`"
    )


def add_protocol(parser: argparse.ArgumentParser, default: str) -> None:
    """Add `--protocol`, the protocol of mAP."""
    parser.add_argument(
        "--protocol",
        choices=["strict", "vadclip"],
        default=default,
        help="how mAP is computed; tables of the literature use vadclip [%(default)s]",
    )


def add_seeds(parser: argparse.ArgumentParser, default: int, text: str) -> None:
    """Add `--seeds`, the number of trainings.

    Args:
        parser: the parser.
        default: the default.
        text: the help, without the default.
    """
    parser.add_argument(
        "--seeds",
        type=whole_number(1, MOST_SEEDS),
        default=default,
        metavar="N",
        help=f"{text} [%(default)s]",
    )


def add_videos(parser: argparse.ArgumentParser, nargs: Literal["+", "*"], text: str) -> None:
    """Add the videos: files, folders and patterns.

    Args:
        parser: the parser.
        nargs: "+" if there must be one.
        text: the help.
    """
    action = parser.add_argument("videos", nargs=nargs, metavar="VIDEO", help=text)
    action.complete = shtab.FILE  # type: ignore[attr-defined]


def add_detector(
    parser: argparse.ArgumentParser,
    default: str = "that of the newest run below runs/; without one, zero-shot",
) -> None:
    """Add the arguments of a detector: a checkpoint, or the memory of scenes.

    Args:
        parser: the parser.
        default: what is used without arguments.
    """
    parser.add_argument(
        "--checkpoint",
        metavar="REF",
        help=f"{DETECTOR_HELP} [{default}]",
    )
    parser.add_argument(
        "--zero-shot",
        action="store_true",
        help="use no checkpoint even if there is one: compare frames with the memory of scenes",
    )
    memory = parser.add_argument(
        "--memory",
        metavar="FILE",
        help="memory of scenes for --zero-shot, which it implies [package:scenes]",
    )
    memory.complete = shtab.FILE  # type: ignore[attr-defined]
    parser.add_argument(
        "--normal",
        action="append",
        default=[],
        metavar="SCENE",
        help="zero-shot: a normal scene of this camera, such as 'people jog here'; "
        "repeatable [none]",
    )
    parser.add_argument(
        "--look-for",
        action="append",
        default=[],
        metavar="KIND=SCENE",
        help="zero-shot: an incident to look for, such as 'Climbing=a person climbs a fence'; "
        "repeatable [none]",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="replace a setting of the frozen models, such as llm.backend=openai, and any setting "
        "in zero-shot, such as clip.model=local-dir:FOLDER; repeatable [none]",
    )


def add_server(parser: argparse.ArgumentParser) -> None:
    """Add `--host`, `--port` and `--settings` of a server."""
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; any address but this machine's needs API keys [%(default)s]",
    )
    parser.add_argument("--port", type=int, default=8000, help="port to listen on [%(default)s]")
    parser.add_argument(
        "--settings",
        default="",
        metavar="FILE",
        help="YAML file of settings [$EXVAD_SERVE, if set]",
    )


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return the `type` of an option that takes a whole number in a range.

    Args:
        least: the smallest number.
        most: the largest one; more is a typing error.
    """

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            shown = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
            raise argparse.ArgumentTypeError(f"{shown!r} is no whole number from {least} to {most}")
        return number

    return parse


def read_config(options: argparse.Namespace) -> Config:
    """Return the configuration that the arguments of `add_config` describe."""
    return load_config(options.preset, options.overrides)


def is_override(argument: str) -> bool:
    """Return whether an argument has the form of an override."""
    return "=" in argument and not argument.startswith("-")
