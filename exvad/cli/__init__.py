"""The `exvad` command: one module per verb.

A verb's module declares its arguments and calls one library function. It imports that function
only when the verb runs, so that every `--help` answers without loading torch or Ray.
"""
