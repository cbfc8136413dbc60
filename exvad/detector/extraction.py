"""Extraction: a video file → the network's input, with the frozen models of Figure 2.

T snippets · t snippets of a chunk · c captions · D feature width
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.aegm.captioned_videos import CaptionedVideo
from exvad.aegm.chunk_task import ChunkTask
from exvad.aegm.explanation_format import ExplanationError, partial_text
from exvad.aegm.language_stage import LanguageSettings, LanguageStage
from exvad.aegm.vision_stage import plan_video
from exvad.detector.chunk_features import ChunkFeatures
from exvad.detector.guided_clips import GuidedClips, SnippetScores
from exvad.detector.stage_timer import StageTimer
from exvad.encoders.answers import Answer, NoAnswerError
from exvad.encoders.protocols import StreamingLanguageModel
from exvad.results import Explanation
from exvad.store.feature_bank import VideoFeatures
from exvad.store.grounding import grounded_row, text_width
from exvad.video.container import DecodingLimitError, VideoError
from exvad.video.decoder import Decoder, InProcessDecoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.config import Config
    from exvad.encoders.protocols import Models
    from exvad.video.decoding import DecodedChunk
    from exvad.video.survey import VideoInfo

SNIPPETS_AT_ONCE = 32  # few enough for the first scores to come soon, enough for a batch
_FAR_APART = 16.0  # snippets from one caption to the next, from which on a short event has none
UNANSWERED = "no explanation: {} (the scores use the images alone)"

ChunkCallback = Callable[["NDArray[np.float16]", "NDArray[np.float64]", float], None]


@dataclass(frozen=True)
class Extraction:
    """The content of a video file as the network's input.

    Args:
        features: features and texts; the text feature is all zeros if nothing was explained.
        problems: what is odd about the file, what could not be read and was replaced, and why there
            is no explanation although one was asked for.
        seconds: duration of each stage: decoding (only the time that encoding waited for it),
            encoding, captioning (possibly parallel to encoding), explaining.
    """

    features: VideoFeatures
    problems: list[str]
    seconds: dict[str, float]


class Extractor:
    """Extracts features and texts from video files with frozen models.

    Args:
        config: how videos are split, and which text the network was trained with.
        models: the frozen models.
        classes: class names, the normal one first.
        decoder: the decoder; None to decode in this process.
        parallel: whether the last chunk is encoded and the video captioned at the same time, for
            models that do not share the cores of this process; not where a first look at the whole
            video chooses the captions.
        score: scores snippets by their image features, to place captions where they are high. Then
            half of the captions of a long video are placed so in any case: at even distances they
            are so far apart that an event may have none. None to place captions as the setting
            says, and guided ones where the features are unusual.
    """

    def __init__(
        self,
        config: Config,
        models: Models,
        classes: Sequence[str],
        decoder: Decoder | None = None,
        parallel: bool = False,
        score: SnippetScores | None = None,
    ) -> None:
        size = min(config.data.snippets_per_chunk, SNIPPETS_AT_ONCE)
        data = config.data.model_copy(update={"snippets_per_chunk": size})
        self.config = config.model_copy(update={"data": data})
        self.models = models
        self.classes = classes
        self.decoder = decoder or InProcessDecoder()
        self.parallel = parallel
        self.score = score

    def extract(
        self,
        path: str | Path,
        explain: bool = True,
        on_chunk: ChunkCallback | None = None,
        check_video: Callable[[VideoInfo], None] | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Extraction:
        """Extract features and texts from a video file.

        Args:
            path: the file; only a few chunks of it are in memory at a time.
            explain: whether to caption and explain the video, if the network was trained with text.
            on_chunk: called with the image features of each chunk, [t, D], the seconds of its
                snippets, [t], and the share of the video that is encoded so far, 0 to 1.
            check_video: called with the facts about the video before it is decoded; an exception
                ends the extraction.
            on_text: called with the explanation so far while the model generates it, if the model
                supports that.

        Raises:
            VideoError: the file is not a readable video.
            EndpointError: a model's endpoint cannot be used.
        """
        timer = StageTimer()
        with_text = explain and self.config.model.text != "none"
        with timer.measure("decoding"):
            info, tasks = self._plan(path)
        if check_video is not None:
            check_video(info)
        chunks, captions = self._encode(tasks, with_text, timer, on_chunk)
        visual_TD = chunks.visual()
        row: dict[str, Any] = {}
        if captions:
            snippets = chunks.captioned_snippets
            video = CaptionedVideo(info.path, snippets, captions, visual_TD[snippets])
            with timer.measure("explaining"):
                try:
                    row = self._explain(video, on_text)
                except NoAnswerError as error:
                    chunks.problems.append(UNANSWERED.format(error))
        record, segment_records = row.get("record"), row.get("segment_records", [])
        features = VideoFeatures(
            video_id=Path(path).name,
            visual=visual_TD,
            times=np.concatenate([task.chunk.times for task in tasks]),
            text=self._text_feature(row, visual_TD.shape[1]),
            caption_snippets=chunks.captioned_snippets if captions else [],
            captions=captions,
            cleaned_captions=row.get("cleaned_captions", []),
            explanation=row.get("explanation", ""),
            record=None if record is None else _read_record(record),
            num_frames=info.num_frames,
            fps=info.fps,
            duration=info.duration,
            gaps=info.gaps,
            grounded=self.config.model.text == "grounded",
            lead=info.lead,
            clock=np.concatenate([task.chunk.clock for task in tasks]).reshape(-1, 2),
            segment_ends=row.get("segment_ends", []),
            segment_records=[_read_record(segment) for segment in segment_records],
        )
        return Extraction(features, [*info.notes, *chunks.problems], timer.seconds)

    def _plan(self, path: str | Path) -> tuple[VideoInfo, list[ChunkTask]]:
        """Return the facts about a video and its chunks, with the captions that may move."""
        config, captioner = self.config, self.config.captioner
        is_even = captioner.placement == "even"
        if is_even and self.score is not None:
            guided = captioner.model_copy(update={"placement": "guided"})
            config = config.model_copy(update={"captioner": guided})
        info, tasks = plan_video(Path(path).name, str(path), config, self.decoder)
        snippets = sum(task.chunk.num_snippets for task in tasks)
        captions = sum(len(task.captioned) for task in tasks)
        if is_even and snippets < _FAR_APART * captions:
            tasks = [replace(task, movable=()) for task in tasks]
        return info, tasks

    def _encode(
        self,
        tasks: Sequence[ChunkTask],
        with_text: bool,
        timer: StageTimer,
        on_chunk: ChunkCallback | None,
    ) -> tuple[ChunkFeatures, list[str]]:
        """Encode all chunks; return their features, and captions if text is asked for.

        There are no captions if the captioner refuses a frame; the features have the problem.
        """
        chunks, guided = ChunkFeatures(), GuidedClips(tasks, self.score)
        num_frames = self.config.captioner.frames
        parallel = self.parallel and not any(task.movable for task in tasks)

        def caption() -> list[str]:
            with timer.measure("captioning"):
                try:
                    return chunks.caption(self.models.captioner) if with_text else []
                except NoAnswerError as error:
                    chunks.problems.append(UNANSWERED.format(error))
                    return []

        captioning: Future[list[str]] | None = None
        with ThreadPoolExecutor(1) as pool:
            for count, (task, decoded) in enumerate(self._decode(tasks, timer), 1):
                if isinstance(decoded, VideoError):
                    chunks.add_failed(task, decoded)
                    continue
                if with_text:
                    chunks.add_captioned_clips(task.at_even_places(), decoded, num_frames)
                    if parallel and count == len(tasks):
                        captioning = pool.submit(caption)
                with timer.measure("encoding"):
                    visual_tD = self.models.clip.encode_images(decoded.frames).astype(np.float16)
                chunks.add(decoded, visual_tD)
                if with_text:
                    guided.offer(task, decoded, visual_tD, num_frames)
                if on_chunk is not None:
                    on_chunk(visual_tD, decoded.times, count / len(tasks))
            chunks.add_guided_clips(guided.chosen())
            return chunks, caption() if captioning is None else captioning.result()

    def _decode(
        self, tasks: Sequence[ChunkTask], timer: StageTimer
    ) -> Iterator[tuple[ChunkTask, DecodedChunk | VideoError]]:
        """Yield each chunk decoded, or the error; the next chunk is decoded meanwhile."""

        def decode(task: ChunkTask) -> DecodedChunk | VideoError:
            try:
                return self.decoder.decode(task.chunk, self.config.data.short_side)
            except DecodingLimitError:
                raise
            except VideoError as error:
                return error

        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(decode, tasks[0])
            for index, task in enumerate(tasks):
                with timer.measure("decoding"):
                    decoded = future.result()
                if index + 1 < len(tasks):
                    future = pool.submit(decode, tasks[index + 1])
                yield task, decoded

    def _explain(
        self, video: CaptionedVideo, on_text: Callable[[str], None] | None
    ) -> dict[str, Any]:
        """Return the language row of a video.

        Raises:
            NoAnswerError: the language model gives no usable answer.
        """
        llm = self.models.llm
        if on_text is not None and isinstance(llm, StreamingLanguageModel):
            llm = _ReportingLanguageModel(llm, on_text)
        settings = LanguageSettings.from_config(self.config, self.classes)
        (row,) = LanguageStage(self.models.clip, llm, settings).explain([video])
        if isinstance(row, ExplanationError):
            raise row
        return row

    def _text_feature(self, row: dict[str, Any], width: int) -> NDArray[np.float16] | None:
        """Return the text feature that the network was trained with; zeros if there is no row."""
        kind = self.config.model.text
        if kind == "none":
            return None
        text: NDArray[np.float16]
        if not row:
            text = np.zeros(text_width(kind, width), np.float16)
        elif kind == "grounded":
            text = grounded_row(row)
        else:
            captions = kind == "captions" and len(row["caption_text"])
            text = row["caption_text"] if captions else row["text"]
        return text


def _read_record(record: str) -> dict[str, Any]:
    return Explanation.model_validate_json(record).model_dump()


@dataclass(frozen=True)
class _ReportingLanguageModel:
    """A language model that reports the explanation of one video while it is generated.

    The texts of several segments are reported as one, in order of time.

    Args:
        llm: the language model.
        on_text: called with the explanation so far.
    """

    llm: StreamingLanguageModel
    on_text: Callable[[str], None]

    def complete(self, prompts: Sequence[str]) -> list[Answer]:
        texts = [""] * len(prompts)

        def report(index: int, answer: str) -> None:
            texts[index] = partial_text(answer)
            self.on_text(" ".join(filter(None, texts)))

        return self.llm.stream(prompts, report)
