"""The features of many videos, assembled from the stages of a store for training and inference.

T snippets of a video · ΣT snippets of all videos · c captions of a video · D feature width
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from exvad.data.atomic import atomic_file, write_json_atomic
from exvad.store.completeness import MissingFeaturesError, check_encoder
from exvad.store.examples import VideoInput
from exvad.store.grounding import RECORD_COLUMNS, text_columns, text_rows, text_width
from exvad.store.parts import CorruptPartError
from exvad.store.schema import TextKind, feature_rows
from exvad.store.store import Store
from exvad.store.survey import Survey
from exvad.video.footage.clock_points import gaps_of

Array = np.ndarray[Any, Any]

BANK_FILE = "bank.json"
BANK_FORMAT = 1
_LANGUAGE_COLUMNS = (
    *("captions", "caption_snippets", "cleaned_captions", "explanation"),
    *RECORD_COLUMNS,
)
_BANK_SCHEMA = pa.schema(
    {
        "video_id": pa.string(),
        "snippets": pa.int64(),
        "texts": pa.int64(),
        "caption_snippets": pa.list_(pa.int32()),
        "captions": pa.list_(pa.string()),
        "cleaned_captions": pa.list_(pa.string()),
        "explanation": pa.string(),
        "record": pa.string(),
        "num_frames": pa.int64(),
        "fps": pa.float64(),
        "clock": pa.list_(pa.float64()),
        "segment_ends": pa.list_(pa.int32()),
        "segment_records": pa.list_(pa.string()),
    }
)

_Row = dict[str, Any]  # a row of the bank's table of videos


@dataclass(frozen=True, eq=False)
class VideoFeatures:
    """The stored features of one video.

    Attributes:
        video_id: the video.
        visual: image features of every snippet, float16 [T, D]; may be read-only.
        times: seconds of each snippet, float64 [T]; may be read-only.
        text: the explanation's feature, float16 [D], or those of the cleaned captions, float16
            [c, D], or both, see `exvad.store.grounding`; may be read-only. None for `text="none"`.
        caption_snippets: [c] indices of the captioned snippets.
        captions: [c] captions as the captioner wrote them.
        cleaned_captions: [c] captions after cleaning (paper, equation 2); empty for `text="none"`.
        explanation: the explanation E (equation 3); "" for `text="none"`.
        record: the validated record of the explanation; None for `text="none"`.
        num_frames: frames of the video.
        fps: frames per second.
        duration: seconds of the video; None for frames divided by rate.
        gaps: seconds at which nothing was recorded; see `exvad.video.survey.VideoInfo`.
        grounded: whether `text` is that of `text="grounded"`.
        lead: seconds that players show before the first frame.
        clock: frame and second of points of the video's clock, float64 [k, 2]; see
            `exvad.video.footage.clock_points`. Empty for features of earlier code.
        segment_ends: the number of captions up to the end of each segment; empty for a video that
            is explained as a whole.
        segment_records: the validated record of each segment's explanation.
    """

    video_id: str
    visual: Array
    times: Array
    text: Array | None
    caption_snippets: list[int]
    captions: list[str]
    cleaned_captions: list[str]
    explanation: str
    record: dict[str, Any] | None
    num_frames: int
    fps: float
    duration: float | None = None
    gaps: tuple[tuple[float, float], ...] = ()
    grounded: bool = False
    lead: float = 0.0
    clock: Array = field(default_factory=lambda: np.empty((0, 2)))
    segment_ends: list[int] = field(default_factory=list)
    segment_records: list[dict[str, Any]] = field(default_factory=list)


def load_features(
    store: Store, video_ids: Sequence[str], text: TextKind = "none", crop: int = 0
) -> dict[str, VideoFeatures]:
    """Load the features of these videos, in this order; see `FeatureBank.build`."""
    return dict(FeatureBank.build(store, video_ids, text, crop))


class FeatureBank(Mapping[str, VideoFeatures]):
    """The features of many videos in shared arrays, looked up by video.

    It is made to be shared: `open` maps the arrays from the disk, so all processes of a machine
    hold them once, and Ray's object store reads a bank without copying. `bank[video_id]` returns
    views of the arrays.

    Args:
        visual: float16 [ΣT, D], the videos one after the other.
        times: float64 [ΣT].
        text: float16, one row [D] per explanation or per caption; None for no text.
        videos: one row per video: `video_id`, `snippets` (its T), `texts` (its rows of `text`) and
            the plain fields of `VideoFeatures`.
        text_kind: the kind of `text`.

    Raises:
        ValueError: the arrays do not have the lengths that `videos` gives.
    """

    def __init__(
        self, visual: Array, times: Array, text: Array | None, videos: pa.Table, text_kind: TextKind
    ) -> None:
        self.visual = visual
        self.text_kind = text_kind
        self._times = times
        self._text = text
        self._videos = videos
        self._row = {video: row for row, video in enumerate(videos["video_id"].to_pylist())}
        self._snippet_ends = np.cumsum(videos["snippets"].to_numpy())
        self._text_ends = np.cumsum(videos["texts"].to_numpy())
        expected = (
            int(self._snippet_ends[-1]) if self._row else 0,
            int(self._text_ends[-1]) if self._row else 0,
        )
        lengths = (len(visual), 0 if text is None else len(text))
        if lengths != expected or len(times) != len(visual):
            raise ValueError("the arrays of the feature bank do not fit its table of videos")

    def __len__(self) -> int:
        return len(self._row)

    def __iter__(self) -> Iterator[str]:
        return iter(self._row)

    def __contains__(self, video_id: object) -> bool:
        return video_id in self._row

    def __getitem__(self, video_id: str) -> VideoFeatures:
        row = self._row[video_id]
        plain = self._videos.slice(row, 1).to_pylist()[0]
        snippets = slice(self._snippet_ends[row] - plain.pop("snippets"), self._snippet_ends[row])
        texts = slice(self._text_ends[row] - plain.pop("texts"), self._text_ends[row])
        text = None if self._text is None else self._text[texts]
        if text is not None and self.text_kind == "explanation":
            text = text[0]
        record = plain.pop("record")
        # None in a bank that earlier code saved.
        segment_ends = plain.pop("segment_ends") or []
        segment_records = plain.pop("segment_records") or []
        clock_k2 = np.array(plain.pop("clock") or [], np.float64).reshape(-1, 2)
        return VideoFeatures(
            visual=self.visual[snippets],
            times=self._times[snippets],
            text=text,
            record=(json.loads(record) or None) if record else None,
            grounded=self.text_kind == "grounded",
            duration=float(clock_k2[-1, 1]) if len(clock_k2) else None,
            gaps=gaps_of(clock_k2),
            clock=clock_k2,
            segment_ends=segment_ends,
            segment_records=[json.loads(segment) for segment in segment_records],
            **plain,
        )

    def inputs(self, video_id: str) -> VideoInput:
        """Return what the network needs of a video: views of the arrays, without the plain fields.

        Training reads every video in every epoch; `bank[video_id]` would parse its record.
        """
        row = self._row[video_id]
        snippets = slice(self._snippet_ends[row - 1] if row else 0, self._snippet_ends[row])
        visual = self.visual[snippets]
        if self._text is None:
            return VideoInput(video_id, visual, None)
        texts = slice(self._text_ends[row - 1] if row else 0, self._text_ends[row])
        if self.text_kind == "explanation":
            return VideoInput(video_id, visual, self._text[texts][0])
        return VideoInput(
            video_id,
            visual,
            self._text[texts],
            self._videos["caption_snippets"][row].as_py(),
            grounded=self.text_kind == "grounded",
        )

    def beside(self, others: Sequence[FeatureBank]) -> FeatureBank:
        """Return the bank with the image features of other crops beside its own, [ΣT, P · D].

        Args:
            others: the same videos in other crops.

        Raises:
            ValueError: a video has another length in another crop.
        """
        for other in others:
            if other.lengths() != self.lengths():
                raise ValueError("the crops of a video have different numbers of snippets")
        visual = np.concatenate([self.visual, *(other.visual for other in others)], axis=1)
        return FeatureBank(visual, self._times, self._text, self._videos, self.text_kind)

    @property
    def width(self) -> int:
        """D, the width of the features."""
        return int(self.visual.shape[1])

    def lengths(self) -> dict[str, int]:
        """Return T of each video, without reading the features."""
        return dict(zip(self._row, self._videos["snippets"].to_pylist(), strict=True))

    @classmethod
    def build(
        cls,
        store: Store,
        video_ids: Sequence[str],
        text: TextKind = "none",
        crop: int = 0,
        survey: Survey | None = None,
    ) -> FeatureBank:
        """Read videos from a store; memory holds the bank and a few parts of the store.

        Args:
            store: the feature store.
            video_ids: which videos, in the order of the bank.
            text: which text features: none, one per cleaned caption, that of the explanation, or
                one per caption where those that the explanation cites have its feature.
            crop: which crop of the frames.
            survey: of these videos or more, if there is one.

        Raises:
            MissingFeaturesError: a video is incomplete or absent; `missing_features` finds them.
            ValueError: a video is listed twice, there is no such stage, or text and image features
                differ in width.
            CorruptPartError: a file of the store is damaged.
        """
        if len(set(video_ids)) != len(video_ids):
            raise ValueError("a video is listed twice among the videos to load")
        survey = survey or Survey(store, video_ids)
        stored = survey.missing(text, crop)
        missing = {video: stored[video] for video in video_ids if video in stored}
        if missing:
            raise MissingFeaturesError(missing)
        lengths = survey.lengths(crop)
        rows = {video: _new_row(video, lengths[video]) for video in video_ids}
        visual, times = _read_visual(survey, rows, crop)
        text_features = None if text == "none" else _read_text(survey, rows, text)
        videos = pa.Table.from_pylist(list(rows.values()), schema=_BANK_SCHEMA)
        return cls(visual, times, text_features, videos, text)

    def save(self, directory: str | Path) -> None:
        """Write the bank into a local folder; a bank that is there is replaced.

        Raises:
            OSError: it cannot be written; the folder does not open as a bank then.
        """
        folder = Path(directory)
        # Without the description the folder is no bank: it is deleted first and written last.
        (folder / BANK_FILE).unlink(missing_ok=True)
        arrays = {"visual": self.visual, "times": self._times, "text": self._text}
        for name, array in arrays.items():
            if array is not None:
                with atomic_file(folder / f"{name}.npy") as file:
                    np.save(file, array, allow_pickle=False)
        with atomic_file(folder / "videos.parquet") as file:
            pq.write_table(self._videos, file, compression="zstd")
        votes = text_width(self.text_kind, 0)
        description = {"format": BANK_FORMAT, "text": self.text_kind, "votes": votes}
        write_json_atomic(folder / BANK_FILE, description)

    @classmethod
    def open(cls, directory: str | Path, mmap: bool = True) -> FeatureBank:
        """Open a bank that `save` wrote.

        Args:
            directory: its folder.
            mmap: map the arrays instead of reading them: they are read-only, shared by all
                processes of the machine, and loaded on access.

        Raises:
            CorruptPartError: the folder has no bank, or an incomplete or damaged one.
        """
        folder = Path(directory)
        try:
            description = json.loads((folder / BANK_FILE).read_bytes())
            if description["format"] != BANK_FORMAT:
                raise ValueError(f"format {description['format']}, not {BANK_FORMAT}")
            kind: TextKind = description["text"]
            names = ["visual", "times"] + ([] if kind == "none" else ["text"])
            arrays = {
                # Plain array views: slices of numpy's memmap class are slow and pickle badly.
                name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r" if mmap else None))
                for name in names
            }
            if description.get("votes", 0) != text_width(kind, 0):
                raise ValueError("earlier code saved it, without the votes of grounded text")
            videos = pq.read_table(folder / "videos.parquet", schema=_BANK_SCHEMA)
            return cls(arrays["visual"], arrays["times"], arrays.get("text"), videos, kind)
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise CorruptPartError(
                f"{folder} is not a complete feature bank ({error}): build and save it again."
            ) from error


def _new_row(video: str, snippets: int) -> _Row:
    return {
        "video_id": video,
        "snippets": snippets,
        "texts": 0,
        "cleaned_captions": [],
        "explanation": "",
        "record": "",
        "segment_ends": [],
        "segment_records": [],
    }


def _read_visual(survey: Survey, rows: dict[str, _Row], crop: int) -> tuple[Array, Array]:
    """Return the image features [ΣT, D] and times [ΣT]; add the other columns to the rows."""
    stage = survey.store.read_stage("vision")
    lengths = [row["snippets"] for row in rows.values()]
    starts = dict(zip(rows, np.cumsum([0, *lengths])[:-1].tolist(), strict=True))
    stage.learn_width(survey.index("vision").snapshot)
    visual = np.empty((sum(lengths), stage.width or 0), np.float16)
    times = np.empty(sum(lengths), np.float64)
    columns = [
        *("visual", "times", "first_snippet", "caption_snippets", "captions", "num_frames", "fps"),
        "clock",
    ]
    stored: dict[str, list[dict[str, Any]]] = {video: [] for video in rows}
    for table in stage.iter_tables(columns, rows, survey.index("vision")):
        plain_rows = table.drop_columns(["visual"]).to_pylist()
        for plain, visual_tD in zip(plain_rows, feature_rows(table, "visual"), strict=True):
            if plain["crop"] == crop:
                start = starts[plain["video_id"]] + plain["first_snippet"]
                visual[start : start + len(visual_tD)] = visual_tD
                times[start : start + len(visual_tD)] = plain.pop("times")
                stored[plain["video_id"]].append(plain)
    for video, chunks in stored.items():
        chunks.sort(key=lambda chunk: int(chunk["chunk"]))
        rows[video] |= {
            "caption_snippets": [s for chunk in chunks for s in chunk["caption_snippets"]],
            "captions": [caption for chunk in chunks for caption in chunk["captions"]],
            "num_frames": chunks[0]["num_frames"],
            "fps": chunks[0]["fps"],
            "clock": [value for chunk in chunks for value in chunk["clock"]],
        }
    return visual, times


def _read_text(survey: Survey, rows: dict[str, _Row], kind: TextKind) -> Array:
    """Return the text features, one row [D] per text; add texts and explanations to the rows."""
    stage, root = survey.store.read_stage("language"), survey.store.root
    stage.learn_width(survey.index("language").snapshot)
    vision = survey.store.read_stage("vision")
    vision.learn_width(survey.index("vision").snapshot)
    check_encoder(vision, stage)
    width = text_width(kind, stage.width or 0)
    columns = text_columns(kind)
    features: dict[str, Array] = {}
    index = survey.index("language")
    for table in stage.iter_tables([*_LANGUAGE_COLUMNS, *columns], rows, index):
        plain_rows = table.drop_columns(columns).to_pylist()
        for plain, text_cD in zip(plain_rows, text_rows(table, kind), strict=True):
            video = plain["video_id"]
            if any(s >= rows[video]["snippets"] for s in plain["caption_snippets"]):
                raise ValueError(
                    f"the language stage of {root} has captions of snippets that {video} "
                    "does not have: it was made from other vision features. Make it again with "
                    "--fresh."
                )
            rows[video] |= plain | {"texts": len(text_cD)}
            features[video] = text_cD.copy()
    return np.concatenate([np.empty((0, width), np.float16), *(features[v] for v in rows)])
