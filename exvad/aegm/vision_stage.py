"""The vision stage: chunk of a video → image features F_I of its snippets, captions of some.

The output is one row per chunk and crop of the feature store's vision stage. Preprocessing computes
the rows on a cluster; the detector plans its own video with the same functions.

c captioned snippets of a chunk · H, W pixels
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.video.chunks import Chunk
from exvad.video.crops import crop_frames
from exvad.video.decoder import Decoder, InProcessDecoder
from exvad.video.decoding import DecodedChunk
from exvad.video.survey import VideoInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.config import Config
    from exvad.encoders.protocols import Captioner, ImageTextEncoder


class UncaptionedError(ValueError):
    """A chunk has no captions and the stage has no captioner."""


@dataclass(frozen=True)
class ChunkTask:
    """One chunk to encode, with the facts about its video that belong in the row.

    Args:
        chunk: the frames.
        num_chunks: number of chunks of the video.
        num_frames: number of frames of the video.
        fps: frames per second of the video.
        captioned: indices within the video of the snippets to caption, ascending.
        captions: captions T_i of these snippets, if a separate captioning stage wrote them.
    """

    chunk: Chunk
    num_chunks: int
    num_frames: int
    fps: float
    captioned: tuple[int, ...]
    captions: tuple[str, ...] | None = None

    def to_row(self) -> dict[str, Any]:
        """Return the task as plain values, to send it between processes."""
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
        """Rebuild a task from `to_row`."""
        return cls(
            Chunk.from_row(row["chunk"]),
            row["num_chunks"],
            row["num_frames"],
            row["fps"],
            tuple(row["captioned"]),
            None if row["captions"] is None else tuple(row["captions"]),
        )

    def with_captions(self, captions: Mapping[str, str]) -> ChunkTask:
        """Return the task with its captions, or unchanged if any of them is missing.

        Args:
            captions: index of a snippet within the video, as text → its caption.
        """
        indices = [str(snippet) for snippet in self.captioned]
        if not all(index in captions for index in indices):
            return self
        return replace(self, captions=tuple(captions[index] for index in indices))

    def captioned_frames(self, decoded: DecodedChunk) -> NDArray[np.uint8]:
        """Return the frames to caption, uint8 [c, H, W, 3]."""
        return decoded.frames[[snippet - self.chunk.first_snippet for snippet in self.captioned]]


def plan_video(
    video_id: str, path: str, config: Config, decoder: Decoder | None = None
) -> tuple[VideoInfo, list[ChunkTask]]:
    """Cut a video into chunks and choose the snippets to caption.

    Args:
        video_id: name of the video.
        path: local path or URI.
        config: stride, snippets per chunk, and captions per video.
        decoder: reads the file; None to read it in this process.

    Raises:
        VideoError: the file is not a readable video.
    """
    data = config.data
    decoder = decoder or InProcessDecoder()
    info, chunks = decoder.plan(video_id, path, data.stride, data.snippets_per_chunk)
    num_snippets = sum(chunk.num_snippets for chunk in chunks)
    captioned = choose_captioned_snippets(num_snippets, config.captioner.per_video)
    tasks = []
    for chunk in chunks:
        snippets = range(chunk.first_snippet, chunk.first_snippet + chunk.num_snippets)
        chunk_captioned = tuple(snippet for snippet in captioned if snippet in snippets)
        tasks.append(ChunkTask(chunk, len(chunks), info.num_frames, info.fps, chunk_captioned))
    return info, tasks


def choose_captioned_snippets(num_snippets: int, count: int) -> list[int]:
    """Choose snippets at equal distances over a video.

    Args:
        num_snippets: T, at least 1.
        count: n, at least 1; of a video with fewer snippets all are chosen.

    Returns:
        min(T, n) distinct indices, ascending.
    """
    assert num_snippets >= 1
    assert count >= 1
    if num_snippets <= count:
        return list(range(num_snippets))
    centres = (np.arange(count) + 0.5) * num_snippets / count
    return [int(centre) for centre in centres]


class VisionStage:
    """The frozen image encoder and captioner: decoded chunk → row.

    Args:
        clip: E_I.
        captioner: Φ_C; None if every task has its captions.
    """

    def __init__(self, clip: ImageTextEncoder, captioner: Captioner | None) -> None:
        self.clip = clip
        self.captioner = captioner

    def encode_chunk(self, task: ChunkTask, decoded: DecodedChunk, crop: int = 0) -> dict[str, Any]:
        """Return the row of one crop of a decoded chunk: F_I = E_I(I), T_i = Φ_C(P_C, I_i).

        The captions are those of equation 1.

        Args:
            task: the chunk.
            decoded: its frames.
            crop: index of the crop; only the row of crop 0 has captions.

        Raises:
            UncaptionedError: the task has no captions and the stage has no captioner.
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
    """Return what the rows of a separate captioning stage depend on."""
    return {
        "stride": config.data.stride,
        "short_side": config.data.short_side,
        "captioner": config.captioner.model,
        "caption_prompt": config.captioner.prompt,
        "captions_per_video": config.captioner.per_video,
        "max_new_tokens": config.captioner.max_new_tokens,
    }


def vision_fingerprint(config: Config) -> dict[str, Any]:
    """Return what the rows of the vision stage depend on; `crops` only if there are several."""
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
