"""The decoder of a worker process of a job."""

from __future__ import annotations

import atexit
import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from exvad.video.decoder import Decoder, InProcessDecoder
from exvad.video.decoding import read_frames
from exvad.video.sandbox import GIB, DecodingProcess

if TYPE_CHECKING:
    from exvad.config import Config, SandboxMode
    from exvad.report.evidence import ReadFrames

# A chunk of a job may be long, and may have to be decoded from the beginning of its file.
CHUNK_SECONDS = 3600.0
MAX_ASPECT_RATIO = 16 / 9  # of usual videos, width to height
PROCESS_CHUNKS = 32  # address space of a decoding process, in chunks of frames; code comes to it


def job_decoder(config: Config) -> Decoder:
    """Return the decoder of this worker process.

    Args:
        config: how videos are cut, and `stages.sandbox`.
    """
    chunk_bytes = max_chunk_bytes(config.data.short_side, config.data.snippets_per_chunk)
    return _decoder(config.stages.sandbox, max(4 * GIB, PROCESS_CHUNKS * chunk_bytes))


@contextmanager
def frame_reader(config: Config) -> Iterator[ReadFrames]:
    """Yield a function that reads single frames; see `exvad.video.decoding.read_frames`.

    Args:
        config: `stages.sandbox`.
    """
    if config.stages.sandbox == "off":
        yield read_frames
        return
    with DecodingProcess(seconds=CHUNK_SECONDS, mode=config.stages.sandbox) as process:
        yield process.read_frames


def max_chunk_bytes(short_side: int, snippets: int) -> int:
    """Return the size of the frames of the largest chunk, for videos of the usual shapes.

    Args:
        short_side: pixels of the shorter side.
        snippets: maximum snippets of a chunk.
    """
    return int(3 * short_side**2 * MAX_ASPECT_RATIO * snippets)


@cache  # the next task of this worker process takes the same decoding process
def _decoder(mode: SandboxMode, max_bytes: int) -> Decoder:
    if mode == "off":
        return InProcessDecoder()
    process = DecodingProcess(max_bytes, CHUNK_SECONDS, file_seconds=math.inf, mode=mode)
    atexit.register(process.close)
    return process
