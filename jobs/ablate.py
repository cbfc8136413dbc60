"""Ablate: train and measure every variant of a plan; the same as `exvad ablate`."""

import sys

from exvad.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["ablate", *sys.argv[1:]]))
