"""Tokenizers of the real classes, trained here, with the ids of the published checkpoints.

Only a few hundred tokens are trained. The other ids are taken by tokens that no text contains.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import GPT2TokenizerFast, PreTrainedTokenizerFast

from tests.helpers.gpu.configurations import (
    FIRST_SPECIAL,
    LINE_BREAK,
    LINE_BREAK_TOKEN,
    LLAMA_RESERVED,
    Size,
    llama_token_ids,
    opt_token_ids,
)
from tests.helpers.vision_models import train_bpe

LLAMA_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)


def place_tokens(special: Mapping[str, int], fixed: Mapping[str, int], size: int) -> Tokenizer:
    """Return a byte-level tokenizer whose tokens have given ids.

    Args:
        special: special tokens and their ids.
        fixed: trained tokens that have to have an id, such as the line break.
        size: number of ids.
    """
    trained = json.loads(train_bpe([]).to_str())["model"]
    placed = {**special, **fixed}
    taken = set(placed.values())
    free = iter([number for number in range(size) if number not in taken])
    for token in sorted(trained["vocab"], key=trained["vocab"].__getitem__):
        if token not in placed:
            placed[token] = next(free)
    placed |= {f"<unused{number}>": number for number in free}
    merges = [tuple(merge) for merge in trained["merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=placed, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(token, normalized=False, special=True) for token in special]
    )
    return tokenizer


def llama_tokenizer(size: Size) -> Any:
    """Return the tokenizer of Llama 3.1, which adds a begin token and has no padding token."""
    ids = llama_token_ids(size)
    begin = "<|begin_of_text|>"
    tokenizer = place_tokens(ids, {}, FIRST_SPECIAL[size] + LLAMA_RESERVED)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", special_tokens=[(begin, ids[begin])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=begin,
        eos_token="<|eot_id|>",
        chat_template=LLAMA_TEMPLATE,
    )


def opt_tokenizer(size: Size) -> Any:
    """Return the tokenizer of BLIP-2 with OPT, a GPT-2 tokenizer that adds a begin token."""
    ids = opt_token_ids(size)
    line_break = {LINE_BREAK: LINE_BREAK_TOKEN[size]}
    tokenizer = place_tokens(ids, line_break, ids["<image>"] + 1)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="</s> $A", special_tokens=[("</s>", ids["</s>"])]
    )
    return GPT2TokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="</s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        additional_special_tokens=["<image>"],
    )
