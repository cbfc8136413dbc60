"""The vision stage: chunk of a video → image features F_I of its snippets, captions of some.

The output is one row per chunk and crop of the feature store's vision stage. Preprocessing computes
the rows on a cluster; the detector plans its own video with the same functions.

c captioned snippets of a chunk · t snippets of a chunk · f frames per caption · H, W pixels ·
D feature width
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.encoders.answers import CaptionError
from exvad.encoders.protocols import ClipCaptioner, ImageGroupEncoder
from exvad.video.chunks import Chunk
from exvad.video.container import DEFAULT_FPS
from exvad.video.decoder import Decoder, InProcessDecoder
from exvad.video.decoding import DecodedChunk
from exvad.video.footage.crops import crop_frames
from exvad.video.survey import VideoInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.config import Config
    from exvad.encoders.protocols import Captioner, ImageTextEncoder


class UncaptionedError(CaptionError):
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

    def captioned_clips(self, decoded: DecodedChunk, num_frames: int) -> NDArray[np.uint8]:
        """Return the clips to caption: each captioned snippet's frame between its neighbours.

        Args:
            decoded: the frames of the chunk.
            num_frames: frames per clip. A clip at an end of the chunk contains more frames from one
                side, and a shorter chunk is a clip as a whole.

        Returns:
            uint8 [c, f, H, W, 3] with f = min(`num_frames`, frames of the chunk).
        """
        num_frames = min(num_frames, len(decoded.frames))
        last_start = len(decoded.frames) - num_frames
        centres_c = np.array(self.captioned, int) - self.chunk.first_snippet
        starts_c = (centres_c - (num_frames - 1) // 2).clip(0, last_start)
        return decoded.frames[starts_c[:, None] + np.arange(num_frames)]


def plan_video(
    video_id: str, path: str, config: Config, decoder: Decoder | None = None
) -> tuple[VideoInfo, list[ChunkTask]]:
    """Cut a video into chunks and choose the snippets to caption.

    Args:
        video_id: name of the video.
        path: local path or URI.
        config: stride, snippets per chunk, rate of folders of frames, and captions per video.
        decoder: reads the file; None to read it in this process.

    Raises:
        VideoError: the file is not a readable video.
    """
    data = config.data
    decoder = decoder or InProcessDecoder()
    info, chunks = decoder.plan(
        video_id,
        path,
        data.stride,
        data.snippets_per_chunk,
        data.stride_seconds,
        data.folder_fps,
    )
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
    """The frozen image encoder and captioner: decoded chunks → rows.

    Args:
        clip: E_I.
        captioner: Φ_C; None if every task has its captions.
        frames: frames per caption; more than 1 for a `ClipCaptioner` only.
    """

    def __init__(
        self, clip: ImageTextEncoder, captioner: Captioner | None, frames: int = 1
    ) -> None:
        self.clip = clip
        self.captioner = captioner
        self.frames = frames

    def encode_chunks(
        self, chunks: Sequence[tuple[ChunkTask, DecodedChunk]], crops: int = 1
    ) -> list[list[dict[str, Any]] | CaptionError]:
        """Return the rows of decoded chunks: F_I = E_I(I), T_i = Φ_C(P_C, I_i) of equation 1.

        The frames to caption of all chunks are captioned together: on a GPU, many frames take
        little longer than one.

        Args:
            chunks: each chunk and its frames.
            crops: crops per frame; only the row of crop 0 has captions.

        Returns:
            For each chunk the row of every crop, or why it has no captions.
        """
        captions = self._caption_chunks(chunks)
        encoded = [
            (task, decoded, texts)
            for (task, decoded), texts in zip(chunks, captions, strict=True)
            if not isinstance(texts, CaptionError)
        ]
        groups = (
            crop_frames(decoded.frames, crop) for _, decoded, _ in encoded for crop in range(crops)
        )
        features = _encode_groups(self.clip, groups)
        rows = iter(
            [
                [_build_row(task, decoded, texts, crop, next(features)) for crop in range(crops)]
                for task, decoded, texts in encoded
            ]
        )
        return [texts if isinstance(texts, CaptionError) else next(rows) for texts in captions]

    def _caption_chunks(
        self, chunks: Sequence[tuple[ChunkTask, DecodedChunk]]
    ) -> list[list[str] | CaptionError]:
        """Return the captions of each chunk, or why it has none."""
        captions: list[list[str] | CaptionError] = [list(task.captions or ()) for task, _ in chunks]
        uncaptioned = [
            index
            for index, (task, _) in enumerate(chunks)
            if task.captioned and task.captions is None
        ]
        if self.captioner is None:
            for index in uncaptioned:
                captions[index] = UncaptionedError(
                    f"{chunks[index][0].chunk.video_id}: some of its frames were not captioned; "
                    "run again with --retry-failed"
                )
        else:
            clips = [
                list(task.captioned_clips(decoded, self.frames))
                for task, decoded in (chunks[index] for index in uncaptioned)
            ]
            answers = _caption_lists(self.captioner, clips)
            for index, texts in zip(uncaptioned, answers, strict=True):
                captions[index] = texts
        return captions


def _build_row(
    task: ChunkTask,
    decoded: DecodedChunk,
    captions: Sequence[str],
    crop: int,
    visual_tD: NDArray[np.float32],
) -> dict[str, Any]:
    """Return the row of one crop of a chunk."""
    return {
        "video_id": task.chunk.video_id,
        "chunk": task.chunk.chunk,
        "crop": crop,
        "first_snippet": task.chunk.first_snippet,
        "num_chunks": task.num_chunks,
        "visual": visual_tD.astype("float16"),
        "times": decoded.times,
        "caption_snippets": list(task.captioned) if crop == 0 else [],
        "captions": list(captions) if crop == 0 else [],
        "num_frames": task.num_frames,
        "fps": task.fps,
        "clock": list(task.chunk.clock),
    }


def _encode_groups(
    clip: ImageTextEncoder, groups: Iterable[NDArray[np.uint8]]
) -> Iterator[NDArray[np.float32]]:
    """Return the features of each group of frames, the next one prepared ahead where possible."""
    if isinstance(clip, ImageGroupEncoder):
        return clip.encode_groups(groups)
    return map(clip.encode_images, groups)


def _caption_lists(
    captioner: Captioner, lists: Sequence[Sequence[NDArray[np.uint8]]]
) -> list[list[str] | CaptionError]:
    """Return one caption for each clip in each list, or why a list has none."""
    clips = [clip for clips_of_list in lists for clip in clips_of_list]
    try:
        captions = iter(_caption_clips_of_any_size(captioner, clips))
    except CaptionError as error:
        if len(lists) == 1:
            return [error]
        # One clip has no caption: caption list by list, so that only its own list has none.
        return [result for clips in lists for result in _caption_lists(captioner, [clips])]
    return [list(islice(captions, len(clips))) for clips in lists]


def _caption_clips_of_any_size(
    captioner: Captioner, clips: Sequence[NDArray[np.uint8]]
) -> Sequence[str]:
    """Return one caption for each clip, from as few calls as the captioner allows."""
    if isinstance(captioner, ClipCaptioner):
        return captioner.caption_clips(clips)
    captions = [""] * len(clips)
    by_shape = sorted(range(len(clips)), key=lambda index: clips[index].shape)
    for _, group in groupby(by_shape, key=lambda index: clips[index].shape):
        indices = list(group)
        texts = caption_clips(captioner, [clips[index] for index in indices])
        for index, text in zip(indices, texts, strict=True):
            captions[index] = text
    return captions


def caption_clips(captioner: Captioner, clips: Sequence[NDArray[np.uint8]]) -> list[str]:
    """Return one caption for each clip: T_i = Φ_C(P_C, I_i) of equation 1.

    Args:
        captioner: Φ_C; a `ClipCaptioner` if a clip has several frames.
        clips: RGB, uint8 [f, H, W, 3] each. Clips of one frame have the same size.

    Raises:
        CaptionError: the captioner gives no caption for a clip.
    """
    if all(len(clip_fHWC) == 1 for clip_fHWC in clips):
        return captioner.caption(np.concatenate(clips))
    assert isinstance(captioner, ClipCaptioner), "load_captioner refuses frames > 1 otherwise"
    return captioner.caption_clips(clips)


def captions_fingerprint(config: Config) -> dict[str, Any]:
    """Return what the rows of a separate captioning stage depend on."""
    return {
        **_clip_settings(config),
        **_stride_settings(config),
        "short_side": config.data.short_side,
        **_captioner_settings(config),
    }


def vision_fingerprint(config: Config) -> dict[str, Any]:
    """Return what the rows of the vision stage depend on; `crops` only if there are several."""
    several = {"crops": config.data.crops} if config.data.crops > 1 else {}
    return {
        **several,
        **_clip_settings(config),
        **_stride_settings(config),
        "snippets_per_chunk": config.data.snippets_per_chunk,
        "short_side": config.data.short_side,
        "clip": config.clip.model,
        "clip_pretrained": config.clip.pretrained,
        "clip_dtype": config.clip.dtype,
        **_captioner_settings(config),
    }


def _stride_settings(config: Config) -> dict[str, Any]:
    """Return which frames are snippets; in seconds only if they are not counted in frames."""
    data = config.data
    seconds = {"stride_seconds": data.stride_seconds} if data.stride_seconds else {}
    rate = {"folder_fps": data.folder_fps} if data.folder_fps != DEFAULT_FPS else {}
    return {"stride": data.stride, **seconds, **rate}


def _captioner_settings(config: Config) -> dict[str, Any]:
    """Return what captions depend on, besides the frames that are captioned."""
    return {
        "captioner": config.captioner.model,
        "captioner_backend": config.captioner.backend,
        "captioner_dtype": config.captioner.dtype,
        "caption_prompt": config.captioner.prompt,
        "captions_per_video": config.captioner.per_video,
        "max_new_tokens": config.captioner.max_new_tokens,
    }


def _clip_settings(config: Config) -> dict[str, Any]:
    """Return the settings of captions of several frames, none for captions of single frames."""
    captioner = config.captioner
    if captioner.frames == 1:
        return {}
    # A clip ends where its chunk ends.
    return {
        "caption_frames": captioner.frames,
        "snippets_per_chunk": config.data.snippets_per_chunk,
    }
