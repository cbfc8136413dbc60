"""Captions from a model's answers; an answer without text is an error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from exvad.encoders.answers import Answer, CaptionError, without_thoughts

LENGTH_SETTING = "captioner.max_new_tokens"
REMEDY = "set another captioner.prompt, or choose another captioner.model"


class ClipsUnsupportedError(ValueError):
    """A captioner that takes single frames is configured to take several.

    Args:
        model: name of the model.
        frames: frames per caption that were asked for.
    """

    def __init__(self, model: str, frames: int) -> None:
        super().__init__(
            f"captioner.frames={frames}: {model} has no chat template and takes one frame per "
            "caption; set captioner.frames=1, or choose a chat model such as Qwen2.5-VL"
        )


def caption_text(answer: Answer, model: str, where: str) -> str:
    """Return the caption in a model's answer, without the model's thoughts.

    Args:
        answer: the answer.
        model: name of the model, for the error.
        where: the frame, such as `frame 3 of 32`, for the error.

    Raises:
        CaptionError: the answer has no caption.
    """
    caption = without_thoughts(answer.text)
    if caption:
        return caption
    only_thoughts = answer.only_thoughts or bool(answer.text.strip())
    defect = replace(answer, only_thoughts=only_thoughts).describe_defect(LENGTH_SETTING)
    raise CaptionError(f"{model} wrote no caption for {where} ({defect or REMEDY})")


def caption_texts(answers: Sequence[Answer], model: str) -> list[str]:
    """Return the captions in a model's answers, one for each frame or clip.

    Args:
        answers: the answers in the order of the frames.
        model: name of the model, for the error.

    Raises:
        CaptionError: an answer has no caption.
    """
    return [
        caption_text(answer, model, f"frame {number} of {len(answers)}")
        for number, answer in enumerate(answers, 1)
    ]
