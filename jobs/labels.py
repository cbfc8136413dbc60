"""The verb `exvad labels` as a script, for `ray job submit`."""

import sys

from exvad.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["labels", *sys.argv[1:]]))
