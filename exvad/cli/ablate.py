"""`exvad ablate`: train and measure every variant of a plan."""

from __future__ import annotations

import argparse
from pathlib import Path

from exvad.cli.options import add_config
from exvad.config import load_config

HELP = "the paper's ablations, or a plan of your own"
DESCRIPTION = (
    "Train and measure every variant of a plan on the features of a run: the paper's Tables 4 to "
    "6 and Figure 4, or a YAML file like exvad/assets/paper/ablations.yaml."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--plan", type=Path, help="YAML file [the paper's ablations]")
    parser.add_argument("--seeds", type=int, default=1, help="trainings per variant [1]")
    parser.add_argument(
        "--protocol", choices=["strict", "vadclip"], default="strict", help="of the mAP [strict]"
    )
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    from exvad.pipeline.ablate import ablate

    config = load_config(options.preset, options.overrides)
    return ablate(config, options.plan, options.seeds, options.protocol)
