"""QuickGELU and the two-layer perceptron."""

from __future__ import annotations

import torch

from exvad.modeling.feed_forward import FeedForward, quick_gelu


def test_quick_gelu_is_x_times_a_sigmoid() -> None:
    x = torch.linspace(-6, 6, 101, dtype=torch.float64)
    torch.testing.assert_close(quick_gelu(x), x * torch.sigmoid(1.702 * x))


def test_feed_forward_is_two_layers_with_quick_gelu() -> None:
    torch.manual_seed(0)
    ffn = FeedForward(6, 12).double()
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    hidden = ffn.expand(x)
    expected = ffn.contract(hidden * torch.sigmoid(1.702 * hidden))
    torch.testing.assert_close(ffn(x), expected)
