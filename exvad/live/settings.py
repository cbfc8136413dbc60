"""Settings of the live detector."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LiveSettings:
    """How a stream is scored and explained.

    Args:
        window: W, snippets that the network sees at once.
        context: snippets the network must have seen before an alert may begin; the scores of
            earlier snippets are unreliable.
        captions: captions of an explanation, evenly over its frames; None for as many as the
            explanation of a video file has, which is what the network was trained with.
        explain_seconds: seconds between two explanations of the stream; alerts are explained when
            they begin and end, too.
        explain: whether to caption and explain at all.
        alerts: number of alerts that the stream has had before.
    """

    window: int = 64
    context: int = 4
    captions: int | None = None
    explain_seconds: float = 30.0
    explain: bool = True
    alerts: int = 0
