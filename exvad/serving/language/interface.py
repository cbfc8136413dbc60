"""What the explainer needs of a language model: answers to several callers at the same time."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from exvad.encoders.answers import Answer

PARTIAL_SECONDS = 0.1  # between two partial answers to one caller


class ConcurrentLanguageModel(Protocol):
    """A language model that answers several callers at the same time."""

    def answer(self, prompts: Sequence[str]) -> AsyncIterator[list[Answer]]:
        """Yield the partial answers to prompts again and again, and at last the answers.

        A call begins without waiting for the calls before it.

        Args:
            prompts: the prompts of one caller.
        """
        ...

    def check_health(self) -> None:
        """Raise an error if the model can answer no more calls."""
        ...


class PartialAnswers:
    """The answers to one caller while they grow.

    Args:
        count: number of prompts.
    """

    def __init__(self, count: int) -> None:
        self._answers = [Answer("")] * count
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()

    def set_text(self, index: int, text: str) -> None:
        """Set the text so far of an answer; any thread may do so.

        Args:
            index: number of the prompt, from 0.
            text: the text so far.
        """
        self._answers[index] = Answer(text)
        self._loop.call_soon_threadsafe(self._changed.set)

    async def follow(self, answers: asyncio.Future[list[Answer]]) -> AsyncIterator[list[Answer]]:
        """Yield the partial answers, the first one at once, and at last the answers.

        Args:
            answers: the answers; it is cancelled if the caller goes away.
        """
        last = -math.inf
        try:
            while not answers.done():
                changed: asyncio.Future[Any] = asyncio.ensure_future(self._changed.wait())
                waited: list[asyncio.Future[Any]] = [answers, changed]
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                # An event for each token would take longer than to generate it.
                pause = last + PARTIAL_SECONDS - time.monotonic()
                if pause > 0:
                    await asyncio.wait([answers], timeout=pause)
                if not answers.done():
                    self._changed.clear()
                    last = time.monotonic()
                    yield list(self._answers)
            yield answers.result()
        finally:
            answers.cancel()
