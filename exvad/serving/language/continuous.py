"""A small language model that transformers runs by continuous batching.

The prompt of a new caller joins the batch at the next token of the others, and an answer leaves the
batch when it ends. Nobody waits for the answers of others.
"""

from __future__ import annotations

import asyncio
import copy
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

from exvad.encoders.answers import Answer
from exvad.encoders.chat import prompt_thoughts, tokenize_prompts
from exvad.encoders.engine import EngineError
from exvad.encoders.llm import TransformersLLM
from exvad.serving.language.interface import PARTIAL_SECONDS

PROMPT_TOKENS_PER_STEP = 512  # so that a long prompt does not delay the next token of the others
# To be woken at every token would take the interpreter from the thread that generates.
POLL_SECONDS = 0.02
CPU_PAGE_TOKENS = 32  # transformers reads whole pages; its own 256 are made for GPUs


class ContinuousLLM:
    """A frozen transformers model that several callers share, with greedy decoding.

    Args:
        llm: the model. Nothing else may use it from now on.
        cache_tokens: tokens of all prompts and answers in progress for which there is memory; more
            callers wait until an answer has ended.

    Raises:
        EngineError: transformers can't batch this model continuously.
    """

    def __init__(self, llm: TransformersLLM, cache_tokens: int) -> None:
        from transformers import ContinuousBatchingConfig

        self._llm, self._cache_tokens = llm, cache_tokens
        self._thoughts = prompt_thoughts(llm.tokenizer)
        generation = copy.deepcopy(llm.network.generation_config)
        generation.update(
            max_new_tokens=llm.max_new_tokens,
            do_sample=False,
            pad_token_id=llm.tokenizer.pad_token_id,
        )
        processors = llm.network._get_logits_processor(generation, input_ids_seq_length=1)
        if processors:
            names = ", ".join(sorted({type(processor).__name__ for processor in processors}))
            raise _unsupported(f"its generation_config.json changes the scores of tokens: {names}")
        ends = generation.eos_token_id
        self._end_tokens = set(ends if isinstance(ends, list) else [ends])
        # Without a number of blocks the cache would take nearly all free memory.
        page = CPU_PAGE_TOKENS if llm.device.type == "cpu" else ContinuousBatchingConfig.page_size
        try:
            self._manager = llm.network.init_continuous_batching(
                generation,
                ContinuousBatchingConfig(
                    page_size=page,
                    num_blocks=-(-cache_tokens // page),
                    max_batch_tokens=min(PROMPT_TOKENS_PER_STEP, cache_tokens),
                ),
            )
        except ValueError as error:
            raise _unsupported(str(error)) from error
        self._outputs: dict[str, Any] = {}
        self._manager.start()
        self._try_out()

    def _try_out(self) -> None:
        """Generate one token, so that a model that does not work fails here."""
        (token_ids,) = tokenize_prompts(self._llm.tokenizer, ["a"])
        self._manager.add_request(token_ids, max_new_tokens=1)
        output = self._manager.get_result()
        error = self._manager.background_thread_status.fatal_error
        if output is None or output.error is not None or error is not None:
            self.close()
            raise _unsupported(str(error or (output.error if output else "no answer")))

    def close(self) -> None:
        """Stop generating; answers in progress end with an error."""
        self._manager.stop(hard_stop=True)

    def check_health(self) -> None:
        """Raise an error if the thread that generates has stopped."""
        if not self._manager.is_running():
            raise RuntimeError("the language model has stopped")

    async def answer(self, prompts: Sequence[str]) -> AsyncIterator[list[Answer]]:
        """Yield the partial answers to prompts again and again, and at last the answers.

        All callers share one event loop.

        Args:
            prompts: the prompts of one caller.

        Raises:
            EngineError: the model has stopped.
        """
        requests: list[str] = []
        try:
            for token_ids in tokenize_prompts(self._llm.tokenizer, prompts):
                requests.append(self._submit(token_ids))
            next_report = 0.0
            while not all(self._outputs[request].is_finished() for request in requests):
                await asyncio.sleep(POLL_SECONDS)
                self._collect()
                now = time.monotonic()
                outputs = [self._outputs[request] for request in requests]
                if now >= next_report and any(output.generated_tokens for output in outputs):
                    next_report = now + PARTIAL_SECONDS
                    yield [Answer(self._decode(output.generated_tokens)) for output in outputs]
            yield [self._to_answer(self._outputs[request]) for request in requests]
        finally:
            for request in requests:
                if not self._outputs.pop(request).is_finished():
                    self._manager.cancel_request(request)

    def _submit(self, token_ids: list[int]) -> str:
        """Let a prompt join the batch; return the name of the request."""
        from transformers.generation.continuous_batching.requests import (
            GenerationOutput,
            RequestStatus,
        )

        request = uuid.uuid4().hex
        output = GenerationOutput(request, token_ids)
        self._outputs[request] = output
        length = len(token_ids) + self._llm.max_new_tokens
        if length > self._cache_tokens:
            output.status = RequestStatus.FAILED
        elif self._manager.add_request(token_ids, request, streaming=True) is None:
            del self._outputs[request]
            raise EngineError("the language model has stopped: the log of the replica says why")
        return request

    def _collect(self) -> None:
        """Take what was generated since the last time."""
        while (output := self._manager.get_result(timeout=0)) is not None:
            if output.request_id in self._outputs:  # else its caller is gone
                self._outputs[output.request_id] = output
        if not self._manager.is_running():
            raise EngineError("the language model has stopped: the log of the replica says why")

    def _to_answer(self, output: Any) -> Answer:
        if output.error is not None:
            raise EngineError(f"the language model failed ({output.error})")
        tokens = output.generated_tokens
        if not tokens:
            return Answer(
                "",
                refusal=f"a prompt of {len(output.prompt_ids)} tokens with its answer does not "
                f"fit llm.batch_tokens={self._cache_tokens}",
            )
        has_ended = tokens[-1] in self._end_tokens
        return Answer(self._decode(tokens), 0 if has_ended else self._llm.max_new_tokens)

    def _decode(self, tokens: Sequence[int]) -> str:
        text = self._llm.tokenizer.decode(tokens, skip_special_tokens=True)
        return f"{self._thoughts}{text}".strip()


def _unsupported(reason: str) -> EngineError:
    return EngineError(
        f"transformers can't batch this language model continuously ({reason}): serve it by vLLM "
        "or another server, and set llm.backend=openai"
    )
