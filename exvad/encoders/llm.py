"""Language model Φ_LLM of equation 3, by transformers: any causal language model.

B prompts of a batch · L tokens
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from exvad.encoders.answers import Answer
from exvad.encoders.batching import halve_on_oom, split_by_tokens
from exvad.encoders.chat import load_tokenizer, prompt_thoughts, tokenize_prompts
from exvad.encoders.devices import load_onto_device, resolve_device
from exvad.encoders.model_files import ModelUnavailableError, resolve_model

STREAM_INTERVAL_SECONDS = 0.1


class TransformersLLM:
    """A frozen transformers model that completes prompts in batches, with greedy decoding.

    If the tokenizer has a chat template, each prompt is wrapped as the user's message.

    Args:
        model: hub name (`meta-llama/Llama-3.1-8B-Instruct`), folder, or `package:NAME`.
        device: `auto` or a torch device.
        dtype: `auto`, `float32`, `float16` or `bfloat16`.
        batch_size: maximum prompts per forward pass.
        max_new_tokens: maximum length of an answer.
        batch_tokens: on a GPU, maximum tokens of the prompts and answers of a forward pass.

    Raises:
        ModelUnavailableError: the checkpoint cannot be found.
    """

    def __init__(
        self,
        model: str,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int = 16,
        max_new_tokens: int = 256,
        batch_tokens: int = 16384,
    ) -> None:
        from transformers import AutoModelForCausalLM

        self.device = resolve_device(device)
        self.batch_size = batch_size
        self.max_new_tokens = max_new_tokens
        self.batch_tokens = batch_tokens if self.device.type == "cuda" else None
        self.tokenizer = load_tokenizer(model)
        try:
            self.network = load_onto_device(
                AutoModelForCausalLM, resolve_model(model), dtype, self.device
            )
        except (OSError, ValueError) as error:
            raise ModelUnavailableError(model, error) from error
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token

    def complete(self, prompts: Sequence[str]) -> list[Answer]:
        """Return the model's answer to each prompt."""
        return self.stream(prompts)

    def stream(
        self, prompts: Sequence[str], on_text: Callable[[int, str], None] | None = None
    ) -> list[Answer]:
        """Return the model's answer to each prompt and report partial answers on the way.

        Args:
            prompts: the prompts.
            on_text: called a few times per second with the index of a prompt and its answer so
                far; None reports nothing.
        """
        if not prompts:
            return []
        answers = [Answer("")] * len(prompts)
        token_ids = tokenize_prompts(self.tokenizer, prompts)
        by_length = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
        lengths = [len(token_ids[index]) + self.max_new_tokens for index in by_length]
        thoughts = prompt_thoughts(self.tokenizer)

        def generate(indices: Sequence[int]) -> list[Answer]:
            streamer = None
            if on_text is not None:
                streamer = TokenStreamer(self.tokenizer, indices, on_text, thoughts)
            batch = [token_ids[index] for index in indices]
            return [
                Answer(f"{thoughts}{text}".strip(), cut_off_at)
                for text, cut_off_at in self._generate(batch, streamer)
            ]

        for positions in split_by_tokens(lengths, self.batch_size, self.batch_tokens):
            indices = by_length[positions]
            for index, answer in zip(indices, halve_on_oom(generate, indices), strict=True):
                answers[index] = answer
        return answers

    def _generate(
        self, token_ids: list[list[int]], streamer: TokenStreamer | None
    ) -> list[tuple[str, int]]:
        """Return the texts for one batch of prompts, and where each was cut off (0: nowhere)."""
        import torch

        padded = self.tokenizer.pad({"input_ids": token_ids}, return_tensors="pt")
        inputs = padded.to(self.device)
        with torch.inference_mode():
            tokens_BL = self.network.generate(
                **inputs,
                max_new_tokens=self.max_new_tokens,
                do_sample=False,
                pad_token_id=self.tokenizer.pad_token_id,
                streamer=streamer,
            )
        new_BL = tokens_BL[:, inputs["input_ids"].shape[1] :]
        texts = self.tokenizer.batch_decode(new_BL, skip_special_tokens=True)
        return list(zip(texts, map(self._cut_off_at, new_BL.tolist()), strict=True))

    def _cut_off_at(self, tokens_L: list[int]) -> int:
        """Return the length of an answer that reached the maximum; 0 for one that ended before."""
        end_tokens = self.network.generation_config.eos_token_id
        ends = end_tokens if isinstance(end_tokens, list) else [end_tokens]
        if len(tokens_L) < self.max_new_tokens or any(token in ends for token in tokens_L):
            return 0
        return self.max_new_tokens


class TokenStreamer:
    """A transformers streamer that reports the partial answers of one batch.

    Args:
        tokenizer: decodes the new tokens.
        indices: the index of each prompt of the batch, as reported to `on_text`.
        on_text: called with the index of a prompt and its answer so far.
        thoughts: the mark of thoughts that the prompts end with; each answer begins with it.
    """

    def __init__(
        self,
        tokenizer: Any,
        indices: Sequence[int],
        on_text: Callable[[int, str], None],
        thoughts: str = "",
    ) -> None:
        self._tokenizer, self._indices, self._on_text = tokenizer, indices, on_text
        self._thoughts = thoughts
        self._new_tokens: list[list[int]] = []
        self._received_prompts, self._last_report = False, time.monotonic()

    def put(self, tokens: Any) -> None:
        """Receive token ids: first the prompts, [B, L], then the next token of each answer, [B]."""
        if not self._received_prompts:
            self._received_prompts = True
            return
        self._new_tokens.append(tokens.tolist())
        # Decoding all answers takes longer than one step of a small model.
        if time.monotonic() - self._last_report < STREAM_INTERVAL_SECONDS:
            return
        self._last_report = time.monotonic()
        answers = [list(answer) for answer in zip(*self._new_tokens, strict=True)]
        texts = self._tokenizer.batch_decode(answers, skip_special_tokens=True)
        for index, text in zip(self._indices, texts, strict=True):
            self._on_text(index, f"{self._thoughts}{text}".strip())

    def end(self) -> None:
        """Receive the end of the batch; the answers are returned by `TransformersLLM.stream`."""
