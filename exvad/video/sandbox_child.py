"""The child process of `sandbox.py`: decodes within limits until its input is closed.

A question is a line of JSON; an answer is a line of JSON, and after it the pictures as raw bytes.
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

from exvad.video.chunks import Chunk, plan_chunks
from exvad.video.container import VideoError
from exvad.video.decoding import decode_chunk, read_frames


def answer(question: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Return the answer to a question, and the bytes that follow it."""
    try:
        if question["do"] == "plan":
            info, chunks = plan_chunks(*question["arguments"])
            return {"info": asdict(info), "chunks": [chunk.to_row() for chunk in chunks]}, b""
        if question["do"] == "frames":
            frames = read_frames(*question["arguments"])
            shapes = [frame.shape for frame in frames]
            return {"shapes": shapes}, b"".join(frame.tobytes() for frame in frames)
        row, short_side = question["arguments"]
        decoded = decode_chunk(Chunk.from_row(row), short_side)
    except VideoError as error:
        return {"error": error.reason}, b""
    except MemoryError:
        return {"memory": True}, b""
    told = {"shape": decoded.frames.shape, "problems": decoded.problems}
    return {**told, "times": decoded.times.tolist()}, decoded.frames.tobytes()


def main(max_bytes: int) -> None:
    """Answer questions from standard input on standard output until either is closed."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing that a library prints may pass for an answer
    resource.setrlimit(resource.RLIMIT_AS, (max_bytes, max_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    for line in sys.stdin.buffer:
        told, pictures = answer(json.loads(line))
        answers.write(json.dumps(told).encode() + b"\n" + pictures)
        answers.flush()


def end_with(parent: int) -> None:
    """End when the parent has, even in the middle of a picture that never ends."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
