"""Lengths of vectors, for the cosines ⟨·,·⟩ of the similarity graph and of the alignment."""

from __future__ import annotations

import torch


def reciprocal_length(x: torch.Tensor) -> torch.Tensor:
    """Return 1 / |x| of vectors [..., D] as [..., 1], finite for a vector of zeros.

    Multiplying by it gives unit vectors; its gradient takes half the passes of a division's.
    """
    length: torch.Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return length.clamp_min(1e-12).reciprocal()
