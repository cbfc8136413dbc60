"""CLIP's frozen text encoder over token embeddings, so that prompts can be learned.

C texts · L tokens · W width of the text encoder · D feature width
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch


class Prompts(NamedTuple):
    """Tokenized texts.

    Args:
        tokens_CL: token numbers, the start token first.
        ends_C: index of the end token of each text.
    """

    tokens_CL: torch.Tensor
    ends_C: torch.Tensor


class ClipText:
    """A frozen text encoder that takes token embeddings.

    It is no `nn.Module`, so that it is neither counted nor saved with the systems that use it.

    Args:
        network: a CLIP network with the attributes of open_clip's `CLIP`: `token_embedding`,
            `positional_embedding`, `transformer`, `attn_mask`, `ln_final`, `text_projection`.
    """

    def __init__(self, network: Any) -> None:
        self.network = network
        self.context_length = int(network.positional_embedding.shape[0])
        self.token_width = int(network.positional_embedding.shape[1])

    def embed(self, tokens_CL: torch.Tensor) -> torch.Tensor:
        """Return the embeddings of tokens, float32 [C, L, W]."""
        weight = self.network.token_embedding.weight
        embedded_CLW: torch.Tensor = weight[tokens_CL.to(weight.device)].detach().float()
        return embedded_CLW

    def encode(self, embedded_CLW: torch.Tensor, ends_C: torch.Tensor) -> torch.Tensor:
        """Return the features of texts, float32 [C, D].

        Args:
            embedded_CLW: embeddings of tokens, up to the last end token at least.
            ends_C: index of the end token of each text.
        """
        network = self.network
        if network.positional_embedding.device != embedded_CLW.device:
            network.to(embedded_CLW.device)
        # Attention is causal: tokens after the last end token have no effect.
        length = int(ends_C.max()) + 1
        positions_LW = network.positional_embedding[:length]
        dtype = positions_LW.dtype
        x_CLW = embedded_CLW[:, :length].to(dtype) + positions_LW
        x_CLW = network.transformer(x_CLW, attn_mask=network.attn_mask[:length, :length])
        rows_C = torch.arange(len(x_CLW), device=x_CLW.device)
        # LayerNorm and projection of the end tokens only, which is all that is read.
        end_CW = network.ln_final(x_CLW[rows_C, ends_C.to(x_CLW.device)])
        features_CD: torch.Tensor = (end_CW @ network.text_projection).float()
        return features_CD


def prompts_from_tokens(tokens_CL: torch.Tensor, end_token: int | None = None) -> Prompts:
    """Find the end of each text.

    Args:
        tokens_CL: the output of CLIP's tokenizer.
        end_token: number of the end token; None for the largest number of each text, which it is in
            the vocabulary of CLIP.
    """
    if end_token is None:
        return Prompts(tokens_CL, tokens_CL.argmax(-1))
    return Prompts(tokens_CL, (tokens_CL == end_token).int().argmax(-1))
