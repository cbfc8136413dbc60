"""The `exvad` command."""
