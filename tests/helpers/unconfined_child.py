"""The child process of the sandbox on a machine whose kernel can confine nothing.

`python -m tests.helpers.unconfined_child BYTES MODE`
"""

from __future__ import annotations

import sys
from unittest.mock import patch

from exvad.video import sandbox_child
from exvad.video.confinement import layers
from tests.helpers.attacker import LAYERS

if __name__ == "__main__":
    for function in LAYERS.values():
        patch.object(layers, function, lambda *_: False).start()
    sandbox_child.main(int(sys.argv[1]), sys.argv[2] != "off")
