"""Train: stored features and labels to a checkpoint; the same as `exvad train`."""

import sys

from exvad.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
