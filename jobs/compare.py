"""The verb `exvad compare` as a script, for `ray job submit`."""

import sys

from exvad.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["compare", *sys.argv[1:]]))
