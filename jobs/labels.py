"""Labels: class names to label phrases; the same as `exvad labels`."""

import sys

from exvad.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["labels", *sys.argv[1:]]))
