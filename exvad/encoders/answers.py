"""What a language model answers: the text, and why it may be no whole answer."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Models mark their thoughts by a pair of these. Chat templates may write the opening one.
_OPENING_MARK = re.compile(r"<(?:think|thinking|thought|reasoning)>|\[THINK\]|◁think▷")
_CLOSING_MARK = re.compile(r"</(?:think|thinking|thought|reasoning)>|\[/THINK\]|◁/think▷")


class NoAnswerError(ValueError):
    """A model gives no usable answer to an input; the message says why."""


class CaptionError(NoAnswerError):
    """A captioner gives no caption of a frame; the message says why."""


@dataclass(frozen=True)
class Answer:
    """A language model's answer to one prompt.

    Args:
        text: the generated text without the prompt, thoughts included; it may be empty.
        cut_off_at: the length in tokens at which the answer was cut off; 0 for an answer that the
            model ended itself.
        only_thoughts: whether the model returned its reasoning and no answer.
        refusal: why the model or its provider refuses to answer this prompt, in its own words;
            empty if it answers. The same prompt would be refused again.
    """

    text: str
    cut_off_at: int = 0
    only_thoughts: bool = False
    refusal: str = ""

    def describe_defect(self, setting: str) -> str:
        """Return why the text is no whole answer, and what to do; "" for a whole answer.

        Args:
            setting: the configuration key of the maximum length, such as `llm.max_new_tokens`.
        """
        if self.refusal:
            return f"refused: {self.refusal}"
        cut_off = f"cut off at {self.cut_off_at} tokens" if self.cut_off_at else ""
        if self.only_thoughts or (self.cut_off_at and not without_thoughts(self.text)):
            was_cut_off = f" and was {cut_off}" if cut_off else ""
            return (
                f"the model answered only with its reasoning{was_cut_off}: raise {setting}, "
                "or disable the model's thinking"
            )
        return f"the answer was {cut_off}: raise {setting}" if cut_off else ""


def without_thoughts(text: str) -> str:
    """Return a text without the thoughts before it; "" if the thoughts have not ended.

    Everything up to the last closing mark is dropped, and everything from an opening mark that is
    not closed.

    Args:
        text: what a model generated so far.
    """
    closing_ends = [mark.end() for mark in _CLOSING_MARK.finditer(text)]
    remaining = text[closing_ends[-1] :] if closing_ends else text
    opening = _OPENING_MARK.search(remaining)
    return (remaining[: opening.start()] if opening else remaining).strip()


def open_thoughts(prompt: str) -> str:
    """Return the opening mark of thoughts that a prompt ends with; "" for any other prompt."""
    marks = [*_OPENING_MARK.finditer(prompt)]
    return marks[-1].group() if marks and not prompt[marks[-1].end() :].strip() else ""
