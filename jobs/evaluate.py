"""Evaluate: a checkpoint and the test split to metrics and a report; like `exvad evaluate`."""

import sys

from exvad.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
