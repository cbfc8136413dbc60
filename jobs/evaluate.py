"""The verb `exvad evaluate` as a script, for `ray job submit`."""

import sys

from exvad.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
