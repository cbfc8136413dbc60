"""Half precision for CLIP on processors that multiply bfloat16 in hardware (AMX, AVX-512 BF16).

N frames · H, W pixels · C color channels · D feature width
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

MIN_PARAMETERS = 20_000_000  # smaller models gain nothing
MIN_AGREEMENT = 0.999


def has_fast_bfloat16() -> bool:
    """Return whether the processor multiplies bfloat16 matrices in hardware."""
    import torch

    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def with_fastest_cpu_precision(network: Any, frames_NCHW: torch.Tensor) -> Any:
    """Return the network in bfloat16 if that is faster and its features agree, else unchanged.

    Args:
        network: an open_clip model in float32 on the CPU.
        frames_NCHW: preprocessed frames, float32, that the two precisions are compared on.

    Returns:
        The network, or its copy in bfloat16 if the cosine of every pair of features is at least
        `MIN_AGREEMENT`.
    """
    import torch
    from torch.nn.functional import cosine_similarity

    parameters = sum(parameter.numel() for parameter in network.parameters())
    if parameters < MIN_PARAMETERS or not has_fast_bfloat16():
        return network
    half = copy.deepcopy(network).to(torch.bfloat16)
    with torch.inference_mode():
        exact_ND = network.encode_image(frames_NCHW)
        half_ND = half.encode_image(frames_NCHW.to(torch.bfloat16)).float()
    agreement = float(cosine_similarity(exact_ND, half_ND).min())
    return half if agreement >= MIN_AGREEMENT else network
