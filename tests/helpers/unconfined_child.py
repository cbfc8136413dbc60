"""The child process of the sandbox on a machine whose kernel can confine nothing.

`python -m tests.helpers.unconfined_child BYTES MODE [half]`; with `half`, the kernel only allows
namespaces in which nothing is allowed.
"""

from __future__ import annotations

import sys
from unittest.mock import patch

from exvad.video import sandbox_child
from exvad.video.confinement import layers, namespaces
from tests.helpers.attacker import LAYERS

if __name__ == "__main__":
    if sys.argv[3:] == ["half"]:
        patch.object(namespaces, "_enter_empty_root", side_effect=PermissionError).start()
    else:
        for function in LAYERS.values():
            patch.object(layers, function, lambda *_: False).start()
    sandbox_child.main(int(sys.argv[1]), sys.argv[2] != "off")
