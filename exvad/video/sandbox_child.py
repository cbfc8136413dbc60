"""The child process of `sandbox.py`: decodes within limits until its input is closed.

A request is one line of JSON. A response is one line of JSON, followed by the frames as raw bytes.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from dataclasses import asdict
from typing import Any

from exvad.data.storage.errors import StorageError
from exvad.video.chunks import Chunk, plan_chunks
from exvad.video.container import VideoError
from exvad.video.decoding import decode_chunk, read_frames


def respond(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Return the head of the response to a request, and the bytes that follow it."""
    method, arguments = request["method"], request["arguments"]
    try:
        if method == "plan":
            info, chunks = plan_chunks(*arguments)
            return {"info": asdict(info), "chunks": [chunk.to_row() for chunk in chunks]}, b""
        if method == "read_frames":
            frames = read_frames(*arguments)
            shapes = [frame.shape for frame in frames]
            return {"shapes": shapes}, b"".join(frame.tobytes() for frame in frames)
        assert method == "decode", method
        row, short_side = arguments
        decoded = decode_chunk(Chunk.from_row(row), short_side)
    except (VideoError, StorageError) as error:
        return {"error": error.reason}, b""
    except MemoryError:
        return {"memory": True}, b""
    head = {
        "shape": decoded.frames.shape,
        "times": decoded.times.tolist(),
        "problems": decoded.problems,
    }
    return head, decoded.frames.tobytes()


def main(max_bytes: int) -> None:
    """Respond on standard output to requests on standard input, until either is closed.

    Args:
        max_bytes: limit of the address space.
    """
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not be taken for a response
    resource.setrlimit(resource.RLIMIT_AS, (max_bytes, max_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    threading.Thread(target=exit_with_parent, args=(os.getppid(),), daemon=True).start()
    for line in sys.stdin.buffer:
        head, frames = respond(json.loads(line))
        output.write(json.dumps(head).encode() + b"\n" + frames)
        output.flush()


def exit_with_parent(parent: int) -> None:
    """Exit when the parent process ends, even in the middle of decoding.

    Args:
        parent: process id of the parent.
    """
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
