"""The verb `exvad sweep` as a script."""

import sys

from exvad.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["sweep", *sys.argv[1:]]))
