"""From a video file to all the network wants to know of it, with the frozen models of Figure 2.

T snippets · t snippets of a chunk · c captions · D feature width
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.aegm.explanation import ExplanationError, words_so_far
from exvad.aegm.language_stage import CaptionedVideo, LanguageSettings, LanguageStage
from exvad.aegm.vision_stage import ChunkTask, plan_video
from exvad.encoders.protocols import Writer
from exvad.results import Explanation
from exvad.store.feature_bank import VideoFeatures
from exvad.video.container import DecodingLimitError, VideoError
from exvad.video.decoder import Decoder, PlainDecoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.config import Config
    from exvad.encoders.protocols import Captioner, Models
    from exvad.video.chunks import VideoInfo
    from exvad.video.decoding import DecodedChunk

SNIPPETS_AT_ONCE = 32  # few enough for the first scores to come soon, enough for a batch

Seen = Callable[["NDArray[np.float16]", "NDArray[np.float64]", float], None]


@dataclass
class Extracted:
    """What was found in a video file.

    Args:
        features: for the network; `text` is all zeros where nothing was to be explained.
        problems: what could not be read and was replaced.
        seconds: how long each stage took: decoding (beyond what ran beside the encoder), encoding,
            captioning (perhaps beside the encoding), explaining.
    """

    features: VideoFeatures
    problems: list[str]
    seconds: dict[str, float]


class Extractor:
    """Reads video files with frozen models.

    Args:
        config: how videos are cut and what text the network was trained with.
        models: the frozen models.
        classes: class names, the normal one first.
        decoder: who decodes; None for this process.
        overlaps: have the last stretch encoded and the video captioned at the same time, for
            models that do not share the cores of this process.
    """

    def __init__(
        self,
        config: Config,
        models: Models,
        classes: Sequence[str],
        decoder: Decoder | None = None,
        overlaps: bool = False,
    ) -> None:
        size = min(config.data.snippets_per_chunk, SNIPPETS_AT_ONCE)
        data = config.data.model_copy(update={"snippets_per_chunk": size})
        self.config = config.model_copy(update={"data": data})
        self.models = models
        self.classes = classes
        self.decoder = decoder or PlainDecoder()
        self.overlaps = overlaps

    def extract(
        self,
        path: str | Path,
        explain: bool = True,
        on_seen: Seen | None = None,
        check: Callable[[VideoInfo], None] | None = None,
        on_words: Callable[[str], None] | None = None,
    ) -> Extracted:
        """Read a video file.

        Args:
            path: the file; a few chunks of it are in memory at a time.
            explain: whether to caption and explain it, if the network was trained with text.
            on_seen: told the features [t, D] of each chunk, the seconds [t] of its snippets, and
                the share of the video that has been seen, 0 to 1.
            check: told what the file contains before it is decoded; what it raises ends the work.
            on_words: told the explanation so far while it is written, if the model tells.

        Raises:
            VideoError: the file is no video that can be read.
            ExplanationError: the language model gives no usable answer.
        """
        clock = _Clock()
        kind = self.config.model.text
        wants_text = explain and kind != "none"
        with clock.measure("decoding"):
            info, tasks = plan_video(Path(path).name, str(path), self.config, self.decoder)
        if check is not None:
            check(info)
        seen = _Seen()

        def caption() -> list[str]:
            with clock.measure("captioning"):
                return seen.captions(self.models.captioner) if wants_text else []

        with ThreadPoolExecutor(1) as helper:
            captioning: Future[list[str]] | None = None
            for number, (task, decoded) in enumerate(self._decoded(tasks, clock), 1):
                if isinstance(decoded, VideoError):
                    seen.lost(task, decoded)
                    continue
                if wants_text:
                    seen.show(task, decoded)
                    if self.overlaps and number == len(tasks):
                        captioning = helper.submit(caption)
                with clock.measure("encoding"):
                    visual_tD = self.models.clip.encode_images(decoded.frames).astype(np.float16)
                seen.add(decoded, visual_tD)
                if on_seen is not None:
                    on_seen(visual_tD, decoded.times, number / len(tasks))
            visual_TD = seen.features()
            captions = caption() if captioning is None else captioning.result()
        language: dict[str, Any] = {}
        if wants_text:
            with clock.measure("explaining"):
                language = self._explain(info.path, seen.snippets, captions, visual_TD, on_words)
        column = {"none": None, "captions": "caption_text", "explanation": "text"}[kind]
        text = None if column is None else np.zeros(visual_TD.shape[1], np.float16)
        record = language.get("record")
        features = VideoFeatures(
            video_id=Path(path).name,
            visual=visual_TD,
            times=np.concatenate([task.chunk.times for task in tasks]),
            text=language[column] if column is not None and language else text,
            caption_snippets=seen.snippets if wants_text else [],
            captions=captions,
            cleaned_captions=language.get("cleaned_captions", []),
            explanation=language.get("explanation", ""),
            record=None if record is None else Explanation.model_validate_json(record).model_dump(),
            num_frames=info.num_frames,
            fps=info.fps,
        )
        return Extracted(features, seen.problems, clock.seconds)

    def _decoded(
        self, tasks: Sequence[ChunkTask], clock: _Clock
    ) -> Iterator[tuple[ChunkTask, DecodedChunk | VideoError]]:
        """Decode one chunk ahead of the one that is being looked at."""

        def decode(task: ChunkTask) -> DecodedChunk | VideoError:
            try:
                return self.decoder.decode(task.chunk, self.config.data.short_side)
            except DecodingLimitError:
                raise
            except VideoError as error:
                return error

        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(decode, tasks[0])
            for number, task in enumerate(tasks):
                with clock.measure("decoding"):
                    decoded = ahead.result()
                if number + 1 < len(tasks):
                    ahead = pool.submit(decode, tasks[number + 1])
                yield task, decoded

    def _explain(
        self,
        path: str,
        snippets: list[int],
        captions: list[str],
        visual_TD: NDArray[np.float16],
        on_words: Callable[[str], None] | None,
    ) -> dict[str, Any]:
        settings = LanguageSettings.of(self.config, self.classes)
        llm = self.models.llm
        if on_words is not None and isinstance(llm, Writer):
            llm = _Overheard(llm, on_words)
        stage = LanguageStage(self.models.clip, llm, settings)
        (answer,) = stage.explain([CaptionedVideo(path, snippets, captions, visual_TD[snippets])])
        if isinstance(answer, ExplanationError):
            raise answer
        return answer


@dataclass(frozen=True)
class _Overheard:
    """A language model whose words are told while it writes the answer about one video."""

    writer: Writer
    on_words: Callable[[str], None]

    def complete(self, prompts: Sequence[str]) -> list[str]:
        return self.writer.write(prompts, lambda _, text: self.on_words(words_so_far(text)))


@dataclass
class _Clock:
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            spent = self.seconds.get(stage, 0.0) + time.perf_counter() - began
            self.seconds[stage] = round(spent, 4)


@dataclass
class _Seen:
    """What has been seen of a video so far."""

    visual: list[NDArray[np.float16] | int] = field(default_factory=list)
    snippets: list[int] = field(default_factory=list)
    shots: list[NDArray[np.uint8]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    error: VideoError | None = None

    def show(self, task: ChunkTask, decoded: DecodedChunk) -> None:
        self.snippets += task.captioned
        self.shots += list(task.captioned_frames(decoded))

    def add(self, decoded: DecodedChunk, visual_tD: NDArray[np.float16]) -> None:
        self.visual.append(visual_tD)
        self.problems += decoded.problems

    def lost(self, task: ChunkTask, error: VideoError) -> None:
        self.visual.append(task.chunk.num_snippets)
        self.problems.append(f"{error.reason}; the nearest frames stand in")
        self.error = self.error or error

    def features(self) -> NDArray[np.float16]:
        """Return [T, D], the nearest features where a chunk could not be decoded."""
        known = [number for number, own in enumerate(self.visual) if isinstance(own, np.ndarray)]
        if not known:
            assert self.error is not None
            raise self.error
        rows = []
        for number, own in enumerate(self.visual):
            if isinstance(own, int):
                nearest = min(known, key=lambda other: abs(other - number))
                other = self.visual[nearest]
                assert isinstance(other, np.ndarray)
                own = np.repeat(other[-1:] if nearest < number else other[:1], own, axis=0)
            rows.append(own)
        return np.concatenate(rows)

    def captions(self, captioner: Captioner) -> list[str]:
        """Caption all pictures at once, those of a size together."""
        told: list[str] = []
        for _, shots in groupby(self.shots, key=lambda shot: shot.shape):
            told += captioner.caption(np.stack(list(shots)))
        return told
