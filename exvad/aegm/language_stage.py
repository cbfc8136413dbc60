"""The language stage: a video's captions → cleaned captions → explanation → text features.

One row per video, as the store's language stage wants it; jobs/preprocess.py fans it out, the
detector calls it directly.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.aegm.cleaning import CleanedCaptions, clean_captions
from exvad.aegm.explanation import ExplanationError, explain, explanation_prompt, refused_prompt
from exvad.aegm.prompts import Prompt, load_prompt
from exvad.aegm.text_feature import text_feature
from exvad.store.parts import Folder
from exvad.store.schema import feature_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.config import Config
    from exvad.encoders.protocols import ImageTextEncoder, LanguageModel
    from exvad.results import Explanation
    from exvad.store.store import Store

_CAPTIONED = (
    "video_id", "chunk", "crop", "first_snippet", "visual", "caption_snippets", "captions"
)  # fmt: skip


@dataclass(frozen=True)
class CaptionedVideo:
    """What the language stage reads of a video.

    Args:
        video_id: the video.
        caption_snippets: numbers of the captioned snippets.
        captions: their captions T_i.
        image_cD: their CLIP image features E_I(I_i).
    """

    video_id: str
    caption_snippets: Sequence[int]
    captions: Sequence[str]
    image_cD: NDArray[np.floating]


@dataclass(frozen=True)
class LanguageSettings:
    """What the stage is told beside its models.

    Args:
        prompt: P_S.
        classes: class names, the normal one first.
        attempts: how often an unusable answer is asked for.
        window: cleaning window, None for the whole video.
        llm_name: recorded with every row.
    """

    prompt: Prompt
    classes: Sequence[str]
    attempts: int
    window: int | None
    llm_name: str

    @classmethod
    def of(cls, config: Config, classes: Sequence[str]) -> LanguageSettings:
        """Read the settings from the configuration."""
        return cls(
            load_prompt(config.llm.prompt),
            tuple(classes),
            config.llm.attempts,
            config.cleaning.window,
            config.llm.model,
        )


@dataclass(frozen=True)
class Question:
    """A video whose captions are cleaned and that the language model has yet to explain.

    Args:
        video_id: the video.
        caption_snippets: numbers of the captioned snippets.
        captions: their captions T_i.
        cleaned: the captions T̂_i with their features.
    """

    video_id: str
    caption_snippets: Sequence[int]
    captions: Sequence[str]
    cleaned: CleanedCaptions

    def to_row(self) -> dict[str, Any]:
        """Return plain values that travel between processes."""
        plain = [list(self.caption_snippets), list(self.captions), self.cleaned.captions]
        return {
            "video_id": self.video_id,
            "captions": json.dumps([*plain, self.cleaned.changed]),
            "features": self.cleaned.features_cD.tobytes(),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Question:
        """Rebuild a question from its plain values."""
        snippets, captions, cleaned, changed = json.loads(row["captions"])
        features_cD = np.frombuffer(row["features"], np.float32).reshape(len(cleaned), -1)
        own = CleanedCaptions(cleaned, features_cD, changed)
        return cls(str(row["video_id"]), snippets, captions, own)


class CleaningStage:
    """Frozen text encoder around the language model: captions to questions, answers to rows.

    Args:
        clip: E_T.
        settings: prompt, classes and the like.
    """

    def __init__(self, clip: ImageTextEncoder, settings: LanguageSettings) -> None:
        self.clip = clip
        self.settings = settings

    def clean(self, videos: Sequence[CaptionedVideo]) -> list[Question]:
        """Clean all videos' captions, encoding every distinct caption of a video once.

        What is encoded together may change the last bits of a feature. Each video's captions are
        encoded by themselves, so that a row never depends on which videos came along.
        """
        questions = []
        for video in videos:
            distinct = list(dict.fromkeys(video.captions))
            number = {text: row for row, text in enumerate(distinct)}
            features_ND = self.clip.encode_texts(distinct)
            cleaned = clean_captions(
                video.captions,
                video.image_cD,
                features_ND[[number[text] for text in video.captions]],
                self.settings.window,
            )
            questions.append(
                Question(video.video_id, video.caption_snippets, video.captions, cleaned)
            )
        return questions

    def prompt(self, question: Question, refused: str = "") -> str:
        """Return P_S about a video; with what was wrong with the last answer, if there was one."""
        settings = self.settings
        first = explanation_prompt(settings.prompt, question.cleaned.captions, settings.classes)
        return refused_prompt(first, ExplanationError(refused)) if refused else first

    def row(self, question: Question, answer: Explanation) -> dict[str, Any]:
        """Return a video's row of the store's language stage."""
        return {
            "video_id": question.video_id,
            "captions": list(question.captions),
            "caption_snippets": list(question.caption_snippets),
            "cleaned_captions": question.cleaned.captions,
            "changed": question.cleaned.changed,
            "explanation": answer.text,
            "record": answer.model_dump_json(),
            "text": text_feature(self.clip, answer.text),
            "caption_text": question.cleaned.features_cD,
            "llm": self.settings.llm_name,
            "prompt": self.settings.prompt.identity,
        }


class LanguageStage:
    """Frozen text encoder and language model: input captioned videos, output language rows.

    Args:
        clip: E_T.
        llm: Φ_LLM.
        settings: prompt, classes and the like.
    """

    def __init__(
        self, clip: ImageTextEncoder, llm: LanguageModel, settings: LanguageSettings
    ) -> None:
        self.cleaning = CleaningStage(clip, settings)
        self.llm = llm

    def explain(self, videos: Sequence[CaptionedVideo]) -> list[dict[str, Any] | ExplanationError]:
        """Return each video's language row, or why the language model gave none."""
        questions, settings = self.cleaning.clean(videos), self.cleaning.settings
        answers = explain(
            [question.cleaned.captions for question in questions],
            self.llm,
            settings.prompt,
            settings.classes,
            settings.attempts,
        )
        return [
            answer if isinstance(answer, ExplanationError) else self.cleaning.row(question, answer)
            for question, answer in zip(questions, answers, strict=True)
        ]


def caption_parts(store: Store, video_ids: Collection[str]) -> dict[str, list[str]]:
    """Find the part files of the vision stage that hold each video, in the order of writing.

    With them a worker reads its own videos without looking through the whole store.
    """
    folder = Folder(store.root, "vision")
    parts: dict[str, list[str]] = {video: [] for video in video_ids}
    for name, table in folder.read_parts(folder.part_names(), ["video_id"]):
        for video in dict.fromkeys(table["video_id"].to_pylist()):
            if video in parts:
                parts[video].append(name)
    return parts


def read_captioned(store: Store, parts: Mapping[str, Sequence[str]]) -> list[CaptionedVideo]:
    """Read what the stage needs of some videos, which the vision stage must hold completely.

    Args:
        store: the feature store.
        parts: video → the part files that hold it, as `caption_parts` tells.

    Raises:
        CorruptPartError: a part file is damaged.
    """
    names = sorted({name for own in parts.values() for name in own})
    seen: dict[str, dict[int, tuple[dict[str, Any], NDArray[np.float16]]]] = {v: {} for v in parts}
    for _, table in Folder(store.root, "vision").read_parts(names, _CAPTIONED):
        plain = table.drop_columns(["visual"]).to_pylist()
        for row, visual_tD in zip(plain, feature_rows(table, "visual"), strict=True):
            if row["crop"] == 0 and row["video_id"] in seen:
                local = [snippet - row["first_snippet"] for snippet in row["caption_snippets"]]
                # Where a chunk was written twice, the first counts.
                seen[row["video_id"]].setdefault(row["chunk"], (row, visual_tD[local]))
    videos = []
    for video, chunks in seen.items():
        rows = [chunks[chunk][0] for chunk in sorted(chunks)]
        videos.append(
            CaptionedVideo(
                video,
                [snippet for row in rows for snippet in row["caption_snippets"]],
                [caption for row in rows for caption in row["captions"]],
                np.concatenate([chunks[chunk][1] for chunk in sorted(chunks)]).astype(np.float32),
            )
        )
    return videos


def language_fingerprint(config: Config, classes: Sequence[str]) -> dict[str, Any]:
    """What determines the content of the language stage, beside the vision stage it reads."""
    return {
        "clip": config.clip.model,
        "clip_pretrained": config.clip.pretrained,
        "llm": config.llm.model,
        "prompt": load_prompt(config.llm.prompt).identity,
        "max_new_tokens": config.llm.max_new_tokens,
        "cleaning_window": config.cleaning.window,
        "classes": list(classes),
    }
