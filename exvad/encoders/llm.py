"""Language model Φ_LLM of equation 3, by transformers: any causal language model.

B prompts of a batch · L tokens
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from exvad.encoders.chat import apply_chat_template, load_tokenizer
from exvad.encoders.devices import resolve_device, resolve_dtype
from exvad.encoders.model_files import ModelUnavailableError, resolve_model

STREAM_INTERVAL_SECONDS = 0.1


class TransformersLLM:
    """A frozen transformers model that completes prompts in batches, with greedy decoding.

    If the tokenizer has a chat template, each prompt is wrapped as the user's message.

    Args:
        model: hub name (`meta-llama/Llama-3.1-8B-Instruct`), folder, or `package:NAME`.
        device: `auto` or a torch device.
        dtype: `auto`, `float32`, `float16` or `bfloat16`.
        batch_size: prompts per forward pass.
        max_new_tokens: maximum length of an answer.

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
    ) -> None:
        from transformers import AutoModelForCausalLM

        self.device = resolve_device(device)
        self.batch_size = batch_size
        self.max_new_tokens = max_new_tokens
        self.tokenizer = load_tokenizer(model)
        try:
            network = AutoModelForCausalLM.from_pretrained(
                resolve_model(model), dtype=resolve_dtype(dtype, self.device)
            )
        except (OSError, ValueError) as error:
            raise ModelUnavailableError(model, error) from error
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.network = network.to(self.device).eval().requires_grad_(False)

    def complete(self, prompts: Sequence[str]) -> list[str]:
        """Return the model's answer to each prompt, without the prompt."""
        return self.stream(prompts)

    def stream(
        self, prompts: Sequence[str], on_text: Callable[[int, str], None] | None = None
    ) -> list[str]:
        """Return the model's answer to each prompt and report partial answers on the way.

        Args:
            prompts: the prompts.
            on_text: called a few times per second with the index of a prompt and its answer so
                far; None reports nothing.
        """
        import torch

        answers: list[str] = [""] * len(prompts)
        by_length = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
        for start in range(0, len(by_length), self.batch_size):
            indices = by_length[start : start + self.batch_size]
            inputs = self._tokenize([prompts[index] for index in indices])
            streamer = None if on_text is None else TokenStreamer(self.tokenizer, indices, on_text)
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
            for index, text in zip(indices, texts, strict=True):
                answers[index] = text.strip()
        return answers

    def _tokenize(self, prompts: list[str]):  # type: ignore[no-untyped-def]
        texts, add_special_tokens = apply_chat_template(self.tokenizer, prompts)
        inputs = self.tokenizer(
            texts, return_tensors="pt", padding=True, add_special_tokens=add_special_tokens
        )
        inputs.pop("token_type_ids", None)
        return inputs.to(self.device)


class TokenStreamer:
    """A transformers streamer that reports the partial answers of one batch.

    Args:
        tokenizer: decodes the new tokens.
        indices: the index of each prompt of the batch, as reported to `on_text`.
        on_text: called with the index of a prompt and its answer so far.
    """

    def __init__(
        self, tokenizer: Any, indices: Sequence[int], on_text: Callable[[int, str], None]
    ) -> None:
        self._tokenizer, self._indices, self._on_text = tokenizer, indices, on_text
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
            self._on_text(index, text.strip())

    def end(self) -> None:
        """Receive the end of the batch; the answers are returned by `TransformersLLM.stream`."""
