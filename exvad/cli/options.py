"""Arguments that several verbs share."""

from __future__ import annotations

import argparse

import shtab

PRESET_HELP = "a packaged preset (demo, ucf_crime, xd_violence) or a YAML file"
CHECKPOINT_HELP = "folder, MLflow run id or models:/NAME@ALIAS; default: that of the newest run"


def add_config(parser: argparse.ArgumentParser, preset: str = "demo") -> None:
    """Add `--preset` and dotted overrides."""
    add_preset(parser, preset)
    add_overrides(parser)


def add_preset(parser: argparse.ArgumentParser, preset: str = "demo") -> None:
    """Add `--preset`."""
    action = parser.add_argument("--preset", default=preset, help=f"{PRESET_HELP} [{preset}]")
    action.complete = shtab.FILE  # type: ignore[attr-defined]


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Add dotted overrides; `main` accepts them anywhere on the command line."""
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="section.field=value",
        help="settings that override the preset; see `exvad config show`",
    )


def is_override(argument: str) -> bool:
    """Whether an argument has the form of an override."""
    return "=" in argument and not argument.startswith("-")
