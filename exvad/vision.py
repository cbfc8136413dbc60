"""The vision stage: a chunk of a video → CLIP features of its snippets and captions of some.

One row per chunk, as the store's vision stage wants it; jobs/preprocess.py fans it out, the
detector calls it directly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exvad.aegm import captioned_snippets
from exvad.data.crops import crop_frames
from exvad.data.video import Chunk, DecodedChunk, VideoInfo, decode_chunk, plan_chunks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exvad.config import Config
    from exvad.encoders import Captioner, ImageTextEncoder


@dataclass(frozen=True)
class ChunkTask:
    """One chunk to see, and what of its video the row must carry.

    Args:
        chunk: which frames.
        num_chunks: how many chunks the video has.
        num_frames: frames of the video.
        fps: frames per second of the video.
        captioned: numbers, within the video, of the snippets to caption.
    """

    chunk: Chunk
    num_chunks: int
    num_frames: int
    fps: float
    captioned: tuple[int, ...]

    def to_row(self) -> dict[str, Any]:
        """Return plain values that travel between processes."""
        return {
            "chunk": self.chunk.to_row(),
            "num_chunks": self.num_chunks,
            "num_frames": self.num_frames,
            "fps": self.fps,
            "captioned": list(self.captioned),
        }

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> ChunkTask:
        """Rebuild a task from its plain values."""
        return cls(
            Chunk.from_row(row["chunk"]),
            row["num_chunks"],
            row["num_frames"],
            row["fps"],
            tuple(row["captioned"]),
        )


def plan_video(video_id: str, path: str, config: Config) -> tuple[VideoInfo, list[ChunkTask]]:
    """Cut a video into chunks and choose its captioned snippets.

    Raises:
        VideoError: the file is no video that can be read.
    """
    data = config.data
    info, chunks = plan_chunks(video_id, path, data.stride, data.snippets_per_chunk)
    total = sum(chunk.num_snippets for chunk in chunks)
    chosen = captioned_snippets(total, config.captioner.per_video)
    tasks = []
    for chunk in chunks:
        last = chunk.first_snippet + chunk.num_snippets
        captioned = tuple(s for s in chosen if chunk.first_snippet <= s < last)
        tasks.append(ChunkTask(chunk, len(chunks), info.num_frames, info.fps, captioned))
    return info, tasks


class VisionStage:
    """Frozen CLIP and captioner: input a decoded chunk, output its row of the vision stage.

    Args:
        clip: E_I.
        captioner: Φ_C.
        short_side: frames are decoded at most this large.
    """

    def __init__(self, clip: ImageTextEncoder, captioner: Captioner, short_side: int) -> None:
        self.clip = clip
        self.captioner = captioner
        self.short_side = short_side

    def see(self, task: ChunkTask, decoded: DecodedChunk, crop: int = 0) -> dict[str, Any]:
        """Return the vision row of one crop of a decoded chunk; crop 0 carries the captions."""
        first = task.chunk.first_snippet
        captioned = task.captioned if crop == 0 else ()
        local = [snippet - first for snippet in captioned]
        return {
            "video_id": task.chunk.video_id,
            "chunk": task.chunk.chunk,
            "crop": crop,
            "first_snippet": first,
            "num_chunks": task.num_chunks,
            "visual": self.clip.encode_images(crop_frames(decoded.frames, crop)).astype("float16"),
            "times": decoded.times,
            "caption_snippets": list(captioned),
            "captions": self.captioner.caption(decoded.frames[local]) if local else [],
            "num_frames": task.num_frames,
            "fps": task.fps,
        }

    def see_video(self, tasks: list[ChunkTask]) -> Iterator[tuple[dict[str, Any], list[str]]]:
        """Decode and see a video chunk by chunk; yield each row with what could not be read."""
        for task in tasks:
            decoded = decode_chunk(task.chunk, self.short_side)
            yield self.see(task, decoded), decoded.problems


def vision_fingerprint(config: Config) -> dict[str, Any]:
    """What determines the content of the vision stage; `crops` only where there are several."""
    several = {"crops": config.data.crops} if config.data.crops > 1 else {}
    return {
        **several,
        "stride": config.data.stride,
        "snippets_per_chunk": config.data.snippets_per_chunk,
        "short_side": config.data.short_side,
        "clip": config.clip.model,
        "clip_pretrained": config.clip.pretrained,
        "captioner": config.captioner.model,
        "caption_prompt": config.captioner.prompt,
        "captions_per_video": config.captioner.per_video,
        "max_new_tokens": config.captioner.max_new_tokens,
    }
