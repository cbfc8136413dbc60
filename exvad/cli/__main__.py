"""`python -m exvad.cli`, the same as the `exvad` command."""

import sys

from exvad.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
