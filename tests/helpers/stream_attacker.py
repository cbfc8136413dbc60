"""The process of a live source in which the stream has taken over the decoder.

It is the real process, with its real confinement; only the decoder is replaced.
Run as `python -m tests.helpers.stream_attacker SETTINGS`, with the targets of `attacker.py`.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import Any
from unittest.mock import patch

from exvad.serving.sources import stream_child, stream_reader
from exvad.video.confinement import layers
from exvad.video.frame_buffer import Notice
from tests.helpers.attacker import LAYERS, Targets, find_reached


class HostileStream:
    """In place of `LiveSource`: reports what it reached as its last notice."""

    def __init__(self, opener: Any, *_: object, **__: object) -> None:
        self._open = opener

    def follow(self, stopped: threading.Event) -> Iterator[Notice]:
        """Attack."""
        targets = Targets(**json.loads(sys.argv[1]))
        with suppress(ValueError), self._open(stopped):
            pass
        yield Notice("ended", " ".join(find_reached(targets, None)) or "nothing")


def attacking(targets: Targets) -> list[str]:
    """Return the command of such a process."""
    return [sys.executable, "-m", "tests.helpers.stream_attacker", json.dumps(asdict(targets))]


if __name__ == "__main__":
    for layer in json.loads(sys.argv[1])["without"]:
        patch.object(layers, LAYERS[layer], lambda *_: False).start()
    patch.object(stream_reader, "LiveSource", HostileStream).start()
    stream_child.main()
