"""The verb `exvad train` as a script, for `ray job submit`."""

import sys

from exvad.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
