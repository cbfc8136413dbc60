"""A part of a recording as one MP4: fragments put together, without FFmpeg."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from exvad.serving.recording.ring import KeptFragment, read_fragments
from exvad.video.footage.mp4_boxes import place_fragment, read_timescale

AROUND_SECONDS = 5.0
MAX_SECONDS = 600.0


class Clip:
    """An MP4 of a part of a recording; it begins at a key frame.

    Args:
        folder: of the stream's recording.
        start: seconds since the stream began.
        end: seconds since the stream began; a longer clip ends after `MAX_SECONDS`.
        around: seconds to show before and after.

    Attributes:
        size: bytes.
        start: when it begins, in seconds since the stream began.

    Raises:
        ValueError: nothing of it is kept.
    """

    def __init__(self, folder: Path, start: float, end: float, around: float) -> None:
        end = min(end, start + MAX_SECONDS)
        self._files = ExitStack()
        opened: dict[Path, IO[bytes]] = {}
        kept = read_fragments(folder, start - around - MAX_SECONDS, end + around)
        kept = _from_key_frame(kept, start - around)
        if not any(item.end >= start and item.start <= end for item in kept):
            raise ValueError("its recording is not kept any more, or was never made")
        for path in dict.fromkeys(item.path for item in kept):
            try:
                opened[path] = self._files.enter_context(path.open("rb"))
            except FileNotFoundError:  # the oldest are deleted meanwhile
                kept = _from_key_frame([item for item in kept if item.path != path], start - around)
        heads = {path: _read_head(opened[path], kept) for path in opened}
        kept = _alike(kept, heads, start, end)
        if not kept:
            self._files.close()
            raise ValueError("its recording is not kept any more")
        self._kept, self._opened = kept, opened
        self._head = heads[kept[0].path]
        self.start = kept[0].start
        self.size = len(self._head) + sum(item.size for item in kept)

    def read(self) -> Iterator[bytes]:
        """Yield the file in parts, and close what it is made of."""
        with self._files:
            yield self._head
            scale = read_timescale(self._head)
            for number, item in enumerate(self._kept, start=1):
                file = self._opened[item.path]
                file.seek(item.offset)
                ticks = round(max(0.0, item.start - self.start) * scale)
                yield place_fragment(file.read(item.size), number, ticks)


def _from_key_frame(kept: Sequence[KeptFragment], start: float) -> list[KeptFragment]:
    """Leave out what comes before the last key frame up to a time."""
    keys = [index for index, item in enumerate(kept) if item.is_key]
    before = [index for index in keys if kept[index].start <= start]
    first = before[-1] if before else keys[0] if keys else len(kept)
    return list(kept[first:])


def _read_head(file: IO[bytes], kept: Sequence[KeptFragment]) -> bytes:
    sizes = [item.head_bytes for item in kept if item.path == Path(file.name)]
    return file.read(sizes[0]) if sizes else b""


def _alike(
    kept: Sequence[KeptFragment], heads: dict[Path, bytes], start: float, end: float
) -> list[KeptFragment]:
    """Return the fragments of one encoding: of that which shows most of a span."""
    runs: list[list[KeptFragment]] = []
    for item in kept:
        if not runs or heads[runs[-1][-1].path] != heads[item.path]:
            runs.append([])
        runs[-1].append(item)

    def overlap(run: Sequence[KeptFragment]) -> float:
        return sum(max(0.0, min(item.end, end) - max(item.start, start)) for item in run)

    best = max(runs, key=overlap, default=[])
    return _from_key_frame(best, best[0].start) if best else []
