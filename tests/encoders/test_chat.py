"""Prompts as token ids."""

from __future__ import annotations

from typing import Any

import pytest

from exvad.encoders.chat import (
    apply_chat_template,
    load_tokenizer,
    tokenize_prompts,
)
from exvad.encoders.model_files import ModelUnavailableError


class Tokenizer:
    """A tokenizer of letters that adds the special token 0 unless a template wrote it."""

    def __init__(self, chat_template: str | None) -> None:
        self.chat_template = chat_template

    def apply_chat_template(self, chats: list[list[dict[str, str]]], **_: Any) -> list[str]:
        return [f"\0{chat[0]['role']}: {chat[0]['content']}" for chat in chats]

    def __call__(self, texts: list[str], add_special_tokens: bool) -> dict[str, list[list[int]]]:
        start = [0] if add_special_tokens else []
        return {"input_ids": [[*start, *map(ord, text)] for text in texts]}


def test_apply_chat_template_wraps_prompts_as_user_messages() -> None:
    assert apply_chat_template(Tokenizer("template"), ["a"]) == (["\0user: a"], False)
    assert apply_chat_template(Tokenizer(None), ["a"]) == (["a"], True)


def test_tokenize_prompts_adds_special_tokens_once() -> None:
    assert tokenize_prompts(Tokenizer(None), ["a", "bc"]) == [[0, 97], [0, 98, 99]]
    assert tokenize_prompts(Tokenizer("template"), ["a"]) == [[0, *map(ord, "user: a")]]


def test_load_tokenizer_names_a_model_that_cannot_be_found() -> None:
    with pytest.raises(ModelUnavailableError, match="can't load model '/no/such/model'"):
        load_tokenizer("/no/such/model")
