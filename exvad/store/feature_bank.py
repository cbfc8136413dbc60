"""The features a model trains and runs on, put together from the stages of a store.

Shape suffixes: T snippets of one video, D the CLIP width, c captions of one video.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from exvad.data.atomic import atomic_file, write_json_atomic
from exvad.store.completeness import MissingFeaturesError, TextKind, missing_features, survey
from exvad.store.parts import CorruptPartError
from exvad.store.schema import feature_rows
from exvad.store.store import Store

__all__ = [
    "FeatureBank",
    "MissingFeaturesError",
    "VideoFeatures",
    "load_features",
    "missing_features",
]

Array = np.ndarray[Any, Any]

ABOUT_VISION = ("caption_snippets", "captions", "num_frames", "fps")
ABOUT_LANGUAGE = ("captions", "caption_snippets", "cleaned_captions", "explanation", "record")
BANK_FILE = "bank.json"
BANK_FORMAT = 1


@dataclass(frozen=True, eq=False)
class VideoFeatures:
    """All that the store knows of one video.

    Attributes:
        video_id: the video.
        visual: image features of every snippet, float16; may be read-only.
        times: seconds of each snippet, float64; may be read-only.
        text: the explanation's feature [D] or those of the cleaned captions [c, D], float16 and
            perhaps read-only; None for `text="none"`.
        caption_snippets: [c] numbers of the snippets that have captions.
        captions: [c] what the captioner wrote.
        cleaned_captions: [c] the captions after cleaning (paper, equation 2); empty for
            `text="none"`.
        explanation: the explanation E (equation 3); "" for `text="none"`.
        record: the validated record behind the explanation; None for `text="none"`.
        num_frames: frames of the video.
        fps: frames per second.
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


def load_features(
    store: Store, video_ids: Sequence[str], text: TextKind = "none", crop: int = 0
) -> dict[str, VideoFeatures]:
    """Load these videos, in this order; see `FeatureBank.build`."""
    return dict(FeatureBank.build(store, video_ids, text, crop))


class FeatureBank(Mapping[str, VideoFeatures]):
    """Many videos' features, all visual ones in a single array, looked up by video.

    Made to be shared: `open` maps the arrays from the disk so that processes hold them once, and
    in Ray's object store a bank is read without copying. What `bank[video_id]` returns are views.

    Args:
        visual: float16 [ΣT, D], the videos one after the other.
        times: float64 [ΣT].
        text: float16 [Σ, D], one row per explanation or per caption; None for no text.
        videos: a row per video with `video_id`, `snippets` (its T), `texts` (its rows of `text`)
            and the plain fields of `VideoFeatures`.
        text_kind: what `text` holds.
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
        sizes = (
            int(self._snippet_ends[-1]) if len(self._row) else 0,
            int(self._text_ends[-1]) if len(self._row) else 0,
        )
        if sizes != (len(visual), 0 if text is None else len(text)) or len(times) != len(visual):
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
        return VideoFeatures(
            visual=self.visual[snippets],
            times=self._times[snippets],
            text=text,
            record=(json.loads(record) or None) if record else None,
            **plain,
        )

    @property
    def width(self) -> int:
        """D, the width of the features."""
        return int(self.visual.shape[1])

    def lengths(self) -> dict[str, int]:
        """T of each video, without touching the features."""
        return dict(zip(self._row, self._videos["snippets"].to_pylist(), strict=True))

    @classmethod
    def build(
        cls, store: Store, video_ids: Sequence[str], text: TextKind = "none", crop: int = 0
    ) -> FeatureBank:
        """Read videos from a store; memory holds the bank and a few parts of the store.

        Args:
            store: the feature store.
            video_ids: which videos, in the order of the bank.
            text: which text features: none, one per cleaned caption, or that of the explanation.
            crop: which crop of the frames.

        Raises:
            MissingFeaturesError: a video is incomplete or absent; `missing_features` tells which
                beforehand.
            ValueError: a video is named twice, there is no such stage, or text and image features
                differ in width.
            CorruptPartError: a file of the store is damaged.
        """
        if len(set(video_ids)) != len(video_ids):
            raise ValueError("a video is named twice in the list of videos to load")
        layout, missing = survey(store, video_ids, text, crop)
        if missing:
            raise MissingFeaturesError(missing)
        plain = {video: _blank(video) for video in video_ids}
        start, total = {}, 0
        for video in video_ids:
            start[video] = total
            plain[video]["snippets"] = sum(len(times) for _, _, times in layout[video])
            total += plain[video]["snippets"]
        vision = store.read_stage("vision")
        visual = np.empty((total, vision.width or 0), np.float16)
        times_all = np.empty(total, np.float64)
        for video in video_ids:
            times_all[start[video] : start[video] + plain[video]["snippets"]] = np.concatenate(
                [times for _, _, times in layout[video]]
            )
        columns = ["visual", "first_snippet", *ABOUT_VISION]
        about: dict[str, list[dict[str, Any]]] = {video: [] for video in video_ids}
        for table in vision.iter_tables(columns, video_ids):
            rows = table.drop_columns(["visual"]).to_pylist()
            for row, features in zip(rows, feature_rows(table, "visual"), strict=True):
                if row["crop"] == crop:
                    begin = start[row["video_id"]] + row["first_snippet"]
                    visual[begin : begin + len(features)] = features
                    about[row["video_id"]].append(row)
        for video, chunks in about.items():
            chunks.sort(key=lambda row: int(row["chunk"]))
            plain[video] |= {n: [v for row in chunks for v in row[n]] for n in ABOUT_VISION[:2]}
            plain[video] |= {n: chunks[0][n] for n in ABOUT_VISION[2:]}
        texts = None if text == "none" else _add_language(store, plain, text, visual.shape[1])
        videos = pa.Table.from_pylist([plain[video] for video in video_ids], schema=_BANK_SCHEMA)
        return cls(visual, times_all, texts, videos, text)

    def save(self, directory: str | Path) -> None:
        """Write the bank into a local folder, replacing one that is there.

        Raises:
            OSError: it cannot be written; what is left does not open as a bank.
        """
        folder = Path(directory)
        # The description goes first and comes last: without it the folder is no bank.
        (folder / BANK_FILE).unlink(missing_ok=True)
        arrays = {"visual": self.visual, "times": self._times, "text": self._text}
        for name, array in arrays.items():
            if array is not None:
                with atomic_file(folder / f"{name}.npy") as file:
                    np.save(file, array, allow_pickle=False)
        with atomic_file(folder / "videos.parquet") as file:
            pq.write_table(self._videos, file, compression="zstd")
        write_json_atomic(folder / BANK_FILE, {"format": BANK_FORMAT, "text": self.text_kind})

    @classmethod
    def open(cls, directory: str | Path, mmap: bool = True) -> FeatureBank:
        """Open a bank that `save` wrote.

        Args:
            directory: its folder.
            mmap: map the arrays (read-only, shared by all processes of the machine, loaded as
                they are touched) rather than read them.

        Raises:
            ValueError: the folder holds no bank, or an unfinished or damaged one.
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
            videos = pq.read_table(folder / "videos.parquet", schema=_BANK_SCHEMA)
            return cls(arrays["visual"], arrays["times"], arrays.get("text"), videos, kind)
        except (OSError, ValueError, KeyError, pa.ArrowException) as problem:
            raise CorruptPartError(
                f"{folder} is no complete feature bank ({problem}): build and save it again."
            ) from problem


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
    }
)


def _blank(video: str) -> dict[str, Any]:
    return {
        "video_id": video,
        "texts": 0,
        "cleaned_captions": [],
        "explanation": "",
        "record": "",
    }


def _add_language(
    store: Store, plain: dict[str, dict[str, Any]], kind: TextKind, width: int
) -> Array:
    language = store.read_stage("language")
    if language.width != width:
        raise ValueError(
            f"text features are {language.width} wide, image features {width}: the stages of "
            f"{store.root} were made with different encoders"
        )
    column = "text" if kind == "explanation" else "caption_text"
    features: dict[str, Array] = {}
    for table in language.iter_tables([*ABOUT_LANGUAGE, column], plain):
        rows = table.drop_columns([column]).to_pylist()
        for row, matrix in zip(rows, feature_rows(table, column), strict=True):
            video = row["video_id"]
            if any(snippet >= plain[video]["snippets"] for snippet in row["caption_snippets"]):
                raise ValueError(
                    f"the language stage of {store.root} captions snippets that {video} does not "
                    "have: it was made from other vision features. Make it afresh with --fresh."
                )
            plain[video] |= row | {"texts": len(matrix)}
            features[video] = matrix.copy()
    none = np.empty((0, width), np.float16)
    return np.concatenate([none, *(features[video] for video in plain)])
