"""The exit codes of all commands; docs/command-line.md explains them."""

from __future__ import annotations

DONE = 0
# The command did its work to the end, and some of it failed.
FAILED = 1
# The command has begun nothing, or could not go on: what it was given can't be worked with.
REFUSED = 2
