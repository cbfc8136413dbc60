"""The verbs of the `exvad` command, one module each.

The module of a verb declares its arguments and calls one function of the library. It imports that
function only when the verb runs, so that `--help` answers without loading torch or Ray.
"""
