"""Language models: Φ_LLM of equation 3, any transformers causal model."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from exvad.encoders.chat import as_turns, load_tokenizer
from exvad.encoders.devices import (
    ModelUnavailableError,
    resolve_device,
    resolve_dtype,
    resolve_model,
)

TOLD_SECONDS = 0.1


class TransformersLLM:
    """A frozen transformers causal language model that answers prompts in batches, greedily.

    A tokenizer that brings a chat template gets the prompt as the user's turn.

    Args:
        model: hub name (`meta-llama/Llama-3.1-8B-Instruct`), folder, or `package:NAME`.
        device: `auto` or a torch device.
        dtype: `auto`, `float32`, `float16` or `bfloat16`.
        batch_size: prompts per forward pass.
        max_new_tokens: the longest answer.

    Raises:
        ModelUnavailableError: the checkpoint can't be found.
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
        return self.write(prompts)

    def write(
        self, prompts: Sequence[str], on_text: Callable[[int, str], None] | None = None
    ) -> list[str]:
        """Return the model's answer to each prompt, and tell of it while it is written.

        Args:
            prompts: the prompts.
            on_text: told the index of a prompt and its answer so far, a few times a second.
        """
        import torch

        answers: list[str] = [""] * len(prompts)
        order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
        for start in range(0, len(order), self.batch_size):
            chosen = order[start : start + self.batch_size]
            inputs = self._tokenize([prompts[index] for index in chosen])
            teller = None if on_text is None else TokenStreamer(self.tokenizer, chosen, on_text)
            with torch.inference_mode():
                tokens_BL = self.network.generate(
                    **inputs,
                    max_new_tokens=self.max_new_tokens,
                    do_sample=False,
                    pad_token_id=self.tokenizer.pad_token_id,
                    streamer=teller,
                )
            new_BL = tokens_BL[:, inputs["input_ids"].shape[1] :]
            texts = self.tokenizer.batch_decode(new_BL, skip_special_tokens=True)
            for index, text in zip(chosen, texts, strict=True):
                answers[index] = text.strip()
        return answers

    def _tokenize(self, prompts: list[str]):  # type: ignore[no-untyped-def]
        texts, special = as_turns(self.tokenizer, prompts)
        inputs = self.tokenizer(
            texts, return_tensors="pt", padding=True, add_special_tokens=special
        )
        inputs.pop("token_type_ids", None)
        return inputs.to(self.device)


class TokenStreamer:
    """What transformers hands the new tokens to (its "streamer"); tells of the texts so far."""

    def __init__(
        self, tokenizer: Any, chosen: Sequence[int], on_text: Callable[[int, str], None]
    ) -> None:
        self._tokenizer, self._chosen, self._on_text = tokenizer, chosen, on_text
        self._new: list[Any] = []
        self._prompted, self._told = False, time.monotonic()

    def put(self, tokens: Any) -> None:
        """Take the prompts [B, L] first, then the next token of each answer [B]."""
        if not self._prompted:
            self._prompted = True
            return
        self._new.append(tokens.tolist())
        # Reading the tokens out takes longer than to write one on a small model.
        if time.monotonic() - self._told < TOLD_SECONDS:
            return
        self._told = time.monotonic()
        answers = [list(answer) for answer in zip(*self._new, strict=True)]
        texts = self._tokenizer.batch_decode(answers, skip_special_tokens=True)
        for index, text in zip(self._chosen, texts, strict=True):
            self._on_text(index, text.strip())

    def end(self) -> None:
        """Take that there are no more tokens."""
