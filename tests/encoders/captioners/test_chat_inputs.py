"""Frames in chat messages: token ids with one begin token, and the messages of the OpenAI API."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from exvad.encoders.captioners.chat_inputs import (
    DEFAULT_CAPTION_PROMPT,
    DEFAULT_CLIP_PROMPT,
    chat_inputs,
    chat_prompt,
    chat_prompt_tokens,
    image_message,
)
from exvad.encoders.captioners.transformers_captioner import load_processor
from tests.helpers.vision_models import CHAT_FAMILIES, gemma3, qwen2_5_vl

CLIP = np.full((2, 24, 32, 3), 200, np.uint8)


@pytest.mark.parametrize("writer", ["template", "tokenizer"])
def test_prompt_tokens_have_one_begin_token_whoever_writes_it(writer: str, tmp_path: Path) -> None:
    gemma3(tmp_path)
    processor = load_processor(str(tmp_path))
    begin = processor.tokenizer.bos_token_id
    assert processor.tokenizer("a")["input_ids"][0] == begin, "this tokenizer adds one"
    if writer == "tokenizer":
        processor.chat_template = processor.chat_template.replace("{{ bos_token }}", "")
    token_ids = chat_prompt_tokens(processor, "What?", 2)
    assert token_ids[0] == begin
    assert token_ids.count(begin) == 1
    twice = processor.tokenizer(processor.tokenizer.bos_token + "a")["input_ids"]
    assert twice.count(begin) == 2, "a text would get two"


@pytest.mark.parametrize("family", CHAT_FAMILIES)
def test_prompt_tokens_are_those_of_the_transformers_backend(family: str, tmp_path: Path) -> None:
    CHAT_FAMILIES[family](tmp_path)
    processor = load_processor(str(tmp_path))
    expanded = chat_inputs(processor, [CLIP], "What?")["input_ids"][0].tolist()
    token_ids = chat_prompt_tokens(processor, "What?", 2)
    assert len(token_ids) < len(expanded), "a placeholder is one token"
    assert (token_ids[:2], token_ids[-6:]) == (expanded[:2], expanded[-6:])


def test_prompts_without_thinking_are_asked_of_templates_that_know_it(tmp_path: Path) -> None:
    qwen2_5_vl(tmp_path)
    processor = load_processor(str(tmp_path))
    processor.chat_template += "{% if enable_thinking is false %}<think></think>{% endif %}"
    assert chat_prompt(processor, "", 1).endswith("<think></think>")


def test_image_message_contains_frames_and_prompt() -> None:
    message = image_message("What?", CLIP)
    *images, text = message["content"]
    assert message["role"] == "user"
    assert text == {"type": "text", "text": "What?"}
    assert len(images) == 2
    for image in images:
        prefix, data = image["image_url"]["url"].split(",")
        assert prefix == "data:image/jpeg;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as image_file:
            assert image_file.size == (32, 24)


def test_image_message_has_a_default_prompt() -> None:
    for frames, prompt in ((1, DEFAULT_CAPTION_PROMPT), (2, DEFAULT_CLIP_PROMPT)):
        assert image_message("", CLIP[:frames])["content"][-1]["text"] == prompt
