"""A small random CLIP text encoder with the attributes of open_clip's.

L tokens · W width of the text encoder
"""

from __future__ import annotations

import torch
from open_clip.transformer import TextTransformer

from exvad.baselines.clip_text import ClipText, Prompts, prompts_from_tokens

END = 63


def tiny_text(width: int, context_length: int = 40) -> ClipText:
    """Return a text encoder with features of this width, initialized from torch's seed."""
    network = TextTransformer(
        context_length=context_length, vocab_size=64, width=16, heads=2, layers=2, output_dim=width
    )
    return ClipText(network.requires_grad_(False).eval())


def random_prompts(count: int, context_length: int = 40) -> Prompts:
    """Return texts of one to three tokens."""
    tokens_CL = torch.zeros(count, context_length, dtype=torch.long)
    for row in range(count):
        size = 1 + row % 3
        tokens_CL[row, 0] = 62
        tokens_CL[row, 1 : size + 1] = torch.arange(1, size + 1) + 3 * row
        tokens_CL[row, size + 1] = END
    return prompts_from_tokens(tokens_CL)


class _PublishedSizes:
    positional_embedding = torch.zeros(77, 512)

    class token_embedding:  # noqa: N801
        weight = torch.zeros(64, 512)


def text_of_published_size() -> ClipText:
    """Return an encoder with 77 tokens of width 512, which counts but encodes nothing."""
    return ClipText(_PublishedSizes)
