"""The vision stage: a chunk of a video → CLIP features of its snippets and captions of some.

One row per chunk, as the store's vision stage wants it; jobs/preprocess.py fans it out, the
detector calls it directly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from exvad.aegm.cleaning import captioned_snippets
from exvad.video.chunks import Chunk, VideoInfo
from exvad.video.crops import crop_frames
from exvad.video.decoder import Decoder, PlainDecoder
from exvad.video.decoding import DecodedChunk

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from exvad.config import Config
    from exvad.encoders.protocols import Captioner, ImageTextEncoder


class UncaptionedError(ValueError):
    """A chunk has no captions, and there is nobody to write them."""


@dataclass(frozen=True)
class ChunkTask:
    """One chunk to see, and what of its video the row must carry.

    Args:
        chunk: which frames.
        num_chunks: how many chunks the video has.
        num_frames: frames of the video.
        fps: frames per second of the video.
        captioned: numbers, within the video, of the snippets to caption.
        captions: their captions, where a stage of its own has written them already.
    """

    chunk: Chunk
    num_chunks: int
    num_frames: int
    fps: float
    captioned: tuple[int, ...]
    captions: tuple[str, ...] | None = None

    def to_row(self) -> dict[str, Any]:
        """Return plain values that travel between processes."""
        return {
            "chunk": self.chunk.to_row(),
            "num_chunks": self.num_chunks,
            "num_frames": self.num_frames,
            "fps": self.fps,
            "captioned": list(self.captioned),
            "captions": None if self.captions is None else list(self.captions),
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
            None if row["captions"] is None else tuple(row["captions"]),
        )

    def with_captions(self, written: Mapping[str, str]) -> ChunkTask:
        """Return the task with the captions of its snippets, if all are there.

        Args:
            written: snippet number, as text → its caption.
        """
        own = [written.get(str(snippet)) for snippet in self.captioned]
        known = tuple(caption for caption in own if caption is not None)
        return replace(self, captions=known) if len(known) == len(own) else self

    def captioned_frames(self, decoded: DecodedChunk) -> NDArray[np.uint8]:
        """Return the pictures to caption, uint8 [c, H, W, 3]."""
        return decoded.frames[[snippet - self.chunk.first_snippet for snippet in self.captioned]]


def plan_video(
    video_id: str, path: str, config: Config, decoder: Decoder | None = None
) -> tuple[VideoInfo, list[ChunkTask]]:
    """Cut a video into chunks and choose its captioned snippets.

    Args:
        video_id: how the video is called.
        path: local path or URI.
        config: how it is cut.
        decoder: who reads the file; None for this process.

    Raises:
        VideoError: the file is no video that can be read.
    """
    data = config.data
    reader = decoder or PlainDecoder()
    info, chunks = reader.plan(video_id, path, data.stride, data.snippets_per_chunk)
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
        captioner: Φ_C; None where every task brings its captions.
        short_side: frames are decoded at most this large.
    """

    def __init__(
        self, clip: ImageTextEncoder, captioner: Captioner | None, short_side: int
    ) -> None:
        self.clip = clip
        self.captioner = captioner
        self.short_side = short_side

    def see(self, task: ChunkTask, decoded: DecodedChunk, crop: int = 0) -> dict[str, Any]:
        """Return the vision row of one crop of a decoded chunk; crop 0 carries the captions.

        Raises:
            UncaptionedError: the task brings no captions, and there is no captioner.
        """
        captions: list[str] = []
        if crop == 0 and task.captions is not None:
            captions = list(task.captions)
        elif crop == 0 and task.captioned:
            if self.captioner is None:
                raise UncaptionedError(
                    f"{task.chunk.video_id}: some of its frames were not captioned; "
                    "run again with --retry-failed"
                )
            captions = self.captioner.caption(task.captioned_frames(decoded))
        return {
            "video_id": task.chunk.video_id,
            "chunk": task.chunk.chunk,
            "crop": crop,
            "first_snippet": task.chunk.first_snippet,
            "num_chunks": task.num_chunks,
            "visual": self.clip.encode_images(crop_frames(decoded.frames, crop)).astype("float16"),
            "times": decoded.times,
            "caption_snippets": list(task.captioned) if crop == 0 else [],
            "captions": captions,
            "num_frames": task.num_frames,
            "fps": task.fps,
        }


def captions_fingerprint(config: Config) -> dict[str, Any]:
    """What determines the captions, where they are a stage of their own."""
    return {
        "stride": config.data.stride,
        "short_side": config.data.short_side,
        "captioner": config.captioner.model,
        "caption_prompt": config.captioner.prompt,
        "captions_per_video": config.captioner.per_video,
        "max_new_tokens": config.captioner.max_new_tokens,
    }


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
