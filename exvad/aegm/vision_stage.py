"""The vision stage: chunk of a video → image features F_I of its snippets, captions of some.

The output is one row per chunk and crop of the feature store's vision stage. Preprocessing computes
the rows on a cluster; the detector plans its own video with the same functions.

c captioned snippets of a chunk · t snippets of a chunk · f frames per caption · H, W pixels ·
D feature width
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.aegm.caption_placement import best_of_cells, novelty
from exvad.aegm.captioning import caption_lists
from exvad.aegm.chunk_task import ChunkTask
from exvad.encoders.answers import CaptionError
from exvad.encoders.protocols import ImageGroupEncoder
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
    # Every other caption keeps its even place, so that no part of the video is without one.
    moves = config.captioner.placement == "guided" and len(captioned) < num_snippets
    movable = frozenset(captioned[1::2] if moves else ())
    tasks = []
    for chunk in chunks:
        snippets = range(chunk.first_snippet, chunk.first_snippet + chunk.num_snippets)
        chunk_captioned = tuple(snippet for snippet in captioned if snippet in snippets)
        chunk_movable = tuple(snippet for snippet in chunk_captioned if snippet in movable)
        tasks.append(
            ChunkTask(
                chunk,
                len(chunks),
                info.num_frames,
                info.fps,
                chunk_captioned,
                movable=chunk_movable,
            )
        )
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


def place_captions(task: ChunkTask, visual_tD: NDArray[Any]) -> ChunkTask:
    """Return the task of a chunk with its movable captions at its most unusual snippets.

    Args:
        task: the chunk; `task.movable` are the captions that need not stay at their even places.
        visual_tD: image features of its snippets.
    """
    if not task.movable:
        return task
    even = task.at_even_places().captioned
    scores_t = novelty(visual_tD, visual_tD.astype(np.float32).mean(0))
    cell = max(1, len(visual_tD) // (2 * len(task.captioned)))
    found = best_of_cells(scores_t, task.chunk.first_snippet, cell, even)
    moved = [snippet for _, snippet in found[: len(task.movable)]]
    return replace(task, captioned=tuple(sorted([*even, *moved])), movable=())


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
        first_look = self._look_first(chunks)
        placed = [
            (place_captions(task, first_look[index]) if index in first_look else task, decoded)
            for index, (task, decoded) in enumerate(chunks)
        ]
        captions = self._caption_chunks(placed)
        todo = [
            (index, crop)
            for index, texts in enumerate(captions)
            if not isinstance(texts, CaptionError)
            for crop in range(crops)
        ]
        groups = (
            crop_frames(placed[index][1].frames, crop)
            for index, crop in todo
            if crop > 0 or index not in first_look
        )
        features = _encode_groups(self.clip, groups)
        rows: list[list[dict[str, Any]]] = [[] for _ in placed]
        for index, crop in todo:
            seen = index in first_look and crop == 0
            visual_tD = first_look[index] if seen else next(features)
            texts = captions[index]
            assert not isinstance(texts, CaptionError)
            rows[index].append(_build_row(*placed[index], texts, crop, visual_tD))
        return [
            texts if isinstance(texts, CaptionError) else rows[index]
            for index, texts in enumerate(captions)
        ]

    def _look_first(
        self, chunks: Sequence[tuple[ChunkTask, DecodedChunk]]
    ) -> dict[int, NDArray[np.float32]]:
        """Return the features of the chunks whose captions may move: index → crop 0, [t, D]."""
        indices = [index for index, (task, _) in enumerate(chunks) if task.movable]
        groups = (crop_frames(chunks[index][1].frames, 0) for index in indices)
        return dict(zip(indices, _encode_groups(self.clip, groups), strict=True))

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
            answers = caption_lists(self.captioner, clips)
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
        **({"placement": "guided"} if config.captioner.placement == "guided" else {}),
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
