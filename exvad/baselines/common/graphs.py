"""Weights between snippets by their distance in time.

T snippets
"""

from __future__ import annotations

import math

import torch


def gaps(snippets: int, device: torch.device) -> torch.Tensor:
    """Return |i − j| of all pairs of snippets, float32 [T, T]."""
    times_T = torch.arange(snippets, device=device, dtype=torch.float32)
    return (times_T[:, None] - times_T).abs()


def nearness(snippets: int, device: torch.device) -> torch.Tensor:
    """Return exp(−|i − j| / e) of all pairs of snippets, float32 [T, T]."""
    return torch.exp(-gaps(snippets, device) / math.e)
