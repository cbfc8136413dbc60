"""Preprocess: videos to features, captions and explanations; the same as `exvad preprocess`."""

import sys

from exvad.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["preprocess", *sys.argv[1:]]))
