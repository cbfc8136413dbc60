"""Vector lengths for cosines."""

from __future__ import annotations

import torch

from exvad.modeling.cosine import reciprocal_length


def test_reciprocal_length_times_a_vector_is_a_unit_vector() -> None:
    x = torch.tensor([[3.0, 4.0], [0.0, -2.0]])
    torch.testing.assert_close(x * reciprocal_length(x), torch.tensor([[0.6, 0.8], [0.0, -1.0]]))


def test_reciprocal_length_of_a_zero_vector_is_finite_with_a_finite_gradient() -> None:
    x = torch.zeros(2, 4, requires_grad=True)
    unit = x * reciprocal_length(x)
    (unit @ unit.mT).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert (unit == 0).all()
    assert x.grad.isfinite().all()
