"""A language model behind an OpenAI-compatible endpoint, such as `vllm serve` or a provider."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial

from exvad.encoders.answers import Answer
from exvad.encoders.endpoint import ChatEndpoint
from exvad.serving.language.interface import PartialAnswers


class ConcurrentEndpoint:
    """A chat endpoint that several callers share.

    Args:
        endpoint: the client, which bounds the requests of all callers together.
    """

    def __init__(self, endpoint: ChatEndpoint) -> None:
        self._endpoint = endpoint

    async def answer(self, prompts: Sequence[str]) -> AsyncIterator[list[Answer]]:
        """Yield the partial answers to prompts again and again, and at last the answers.

        Args:
            prompts: the prompts of one caller.

        Raises:
            EndpointError: the endpoint can't be used; see `ChatEndpoint.chat`.
        """
        partial_answers, loop = PartialAnswers(len(prompts)), asyncio.get_running_loop()
        requests = [
            loop.run_in_executor(
                self._endpoint.pool,
                self._endpoint.chat_once,
                [{"role": "user", "content": prompt}],
                partial(partial_answers.set_text, index),
            )
            for index, prompt in enumerate(prompts)
        ]
        async for answers in partial_answers.follow(asyncio.gather(*requests)):
            yield answers

    def check_health(self) -> None:
        """Do nothing: whether the endpoint answers is no matter of this process."""
