"""`exvad ablate`: train and measure every variant of a plan."""

from __future__ import annotations

import argparse
from pathlib import Path

from exvad.cli.options import add_config, add_no_check, add_protocol, add_seeds, read_config

HELP = "train and measure variants: the paper's ablations, or a plan of yours"
DESCRIPTION = (
    "Train and measure every variant of a plan on the features of a run. The default plan is the "
    "paper's Tables 4 to 6 and Figure 4. Run the same command again to continue after an "
    "interruption."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--plan", type=Path, metavar="FILE", help="YAML file of a plan [the paper's ablations]"
    )
    add_seeds(parser, 1, "trainings per variant")
    add_protocol(parser, default="strict")
    add_no_check(parser)
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    config = read_config(options)
    from exvad.pipeline.preflight.checks import require_ready
    from exvad.pipeline.studies.ablate import ablate

    if not options.no_check:
        require_ready(config, "ablate")
    return ablate(config, options.plan, options.seeds, options.protocol)
