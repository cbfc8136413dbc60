"""LGT-Adapter: windows, graphs, and padding.

B videos · T snippets · D feature width · W snippets per window
"""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from exvad.modeling.madm.lgt_adapter import (
    DistanceAdjacency,
    GraphBranch,
    LGTAdapter,
    LocalTransformer,
    TemporalConvolution,
    WindowAttention,
    WindowBlock,
    similarity_adjacency,
)

WIDTH = 8


def mask_of(lengths: list[int], snippets: int) -> torch.Tensor:
    return torch.arange(snippets) < torch.tensor(lengths)[:, None]


def transformer(window: int, layers: int = 2, heads: int = 1) -> LocalTransformer:
    torch.manual_seed(0)
    blocks = [WindowBlock(WIDTH, heads) for _ in range(layers)]
    return LocalTransformer(blocks, window).double()


def reference_transformer(local: LocalTransformer, x_TD: torch.Tensor, heads: int) -> torch.Tensor:
    """Transform one video without padding, by full attention with a mask of the windows."""
    window_T = torch.arange(len(x_TD)) // local.window
    same_window_TT = window_T[:, None] == window_T[None, :]
    for block in local.blocks:
        assert isinstance(block, WindowBlock)
        projected = block.attention.project_in(block.attention_norm(x_TD))
        q, k, v = projected.view(len(x_TD), 3, heads, -1).permute(1, 2, 0, 3)
        scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~same_window_TT, -torch.inf)
        mixed = (scores.softmax(-1) @ v).transpose(0, 1).flatten(1)
        x_TD = x_TD + block.attention.project_out(mixed)
        hidden = block.mlp.expand(block.mlp_norm(x_TD))
        x_TD = x_TD + block.mlp.contract(hidden * torch.sigmoid(1.702 * hidden))
    return x_TD


@settings(deadline=None, max_examples=40)
@given(
    window=st.integers(1, 9),
    heads=st.sampled_from([1, 2]),
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=3),
)
def test_local_transformer_equals_masked_full_attention(
    window: int, heads: int, lengths: list[int]
) -> None:
    local = transformer(window, heads=heads)
    snippets = max(lengths)
    x_BTD = torch.randn(len(lengths), snippets, WIDTH, dtype=torch.float64)
    out_BTD = local(x_BTD, mask_of(lengths, snippets))
    for row, length in enumerate(lengths):
        expected = reference_transformer(local, x_BTD[row, :length], heads)
        torch.testing.assert_close(out_BTD[row, :length], expected)


def test_local_transformer_keeps_a_change_in_its_window() -> None:
    local = transformer(window=4)
    x_BTD = torch.randn(1, 11, WIDTH, dtype=torch.float64)
    changed_BTD = x_BTD.clone()
    changed_BTD[0, 5] = torch.randn(WIDTH)
    valid_BT = mask_of([11], 11)
    moved_T = (local(x_BTD, valid_BT) - local(changed_BTD, valid_BT)).abs().amax(-1)[0]
    assert (moved_T[4:8] > 1e-6).all()
    assert (moved_T[:4] == 0).all()
    assert (moved_T[8:] == 0).all()


def test_local_transformer_has_no_nan_for_a_window_of_padding() -> None:
    local = transformer(window=4)
    x_BTD = torch.randn(2, 12, WIDTH, dtype=torch.float64, requires_grad=True)
    out_BTD = local(x_BTD, mask_of([3, 12], 12))
    out_BTD.sum().backward()
    assert out_BTD.isfinite().all()
    assert x_BTD.grad is not None
    assert x_BTD.grad.isfinite().all()


def test_window_attention_rejects_heads_that_do_not_divide_the_width() -> None:
    with pytest.raises(ValueError, match="3 heads"):
        WindowAttention(8, heads=3)


def test_similarity_adjacency_is_a_softmax_over_the_valid_snippets() -> None:
    torch.manual_seed(0)
    lengths = [5, 2, 9]
    x_BTD = torch.randn(3, 9, WIDTH, dtype=torch.float64)
    x_BTD[:, 1] = 2 * x_BTD[:, 0] + 0.1 * x_BTD[:, 1]
    adjacency_BTT = similarity_adjacency(x_BTD, mask_of(lengths, 9))
    above = 0
    for row, length in enumerate(lengths):
        expected = torch.zeros(9, 9, dtype=torch.float64)
        for i in range(length):
            for j in range(length):
                a, b = x_BTD[row, i], x_BTD[row, j]
                cosine = float(a @ b / (a.norm() * b.norm()))
                expected[i, j] = math.exp(cosine if cosine > 0.7 else 0)
                above += i != j and cosine > 0.7
            expected[i] /= expected[i].sum()
        torch.testing.assert_close(adjacency_BTT[row], expected)
    assert above >= 6


def test_distance_adjacency_decays_with_the_distance_and_ignores_padding() -> None:
    adjacency_BTT = DistanceAdjacency(10)(mask_of([6, 3], 6))
    for row, length in enumerate([6, 3]):
        for i in range(6):
            for j in range(6):
                expected = math.exp(-abs(i - j) / math.e) if j < length else 0.0
                assert float(adjacency_BTT[row, i, j]) == pytest.approx(expected)


def test_distance_adjacency_is_not_stored_in_checkpoints() -> None:
    assert not DistanceAdjacency(4).state_dict()


def test_temporal_convolution_equals_conv1d() -> None:
    torch.manual_seed(0)
    convolution = TemporalConvolution(6, 4).double()
    x_BTD = torch.randn(3, 7, 6, dtype=torch.float64)
    expected = nn.functional.conv1d(x_BTD.mT, convolution.weight, convolution.bias, padding=2).mT
    torch.testing.assert_close(convolution(x_BTD), expected)


def test_graph_branch_is_two_graph_layers_with_residuals() -> None:
    torch.manual_seed(0)
    branch = GraphBranch(6, 3).double()
    x_BTD = torch.randn(2, 7, 6, dtype=torch.float64)
    adjacency_BTT = torch.rand(2, 7, 7, dtype=torch.float64)
    hidden = adjacency_BTT @ x_BTD @ branch.first.weight + branch.first.residual(x_BTD)
    hidden = hidden * torch.sigmoid(1.702 * hidden)
    out = adjacency_BTT @ hidden @ branch.second.weight + hidden
    torch.testing.assert_close(branch(x_BTD, adjacency_BTT), out * torch.sigmoid(1.702 * out))


def test_lgt_adapter_combines_positions_windows_and_both_graphs() -> None:
    adapter = LGTAdapter(transformer(4), WIDTH, max_snippets=16).double()
    lengths_B, valid_BT = torch.tensor([9, 4]), mask_of([9, 4], 9)
    visual_BTD = torch.randn(2, 9, WIDTH, dtype=torch.float64)
    local_BTD = adapter.local(visual_BTD + adapter.position_TD[:9], valid_BT)
    local_BTD = local_BTD * valid_BT[..., None]
    similar = adapter.similarity_branch(local_BTD, similarity_adjacency(local_BTD, valid_BT))
    near = adapter.distance_branch(local_BTD, adapter.distance_adjacency(valid_BT))
    expected = adapter.linear(torch.cat([similar, near], -1))
    torch.testing.assert_close(adapter(visual_BTD, lengths_B), expected)


def test_lgt_adapter_rejects_a_clip_longer_than_max_snippets() -> None:
    adapter = LGTAdapter(transformer(4).float(), WIDTH, max_snippets=16)
    with pytest.raises(ValueError, match=r"17 snippets.*at most 16"):
        adapter(torch.zeros(1, 17, WIDTH), torch.tensor([17]))


def test_lgt_adapter_with_skip_starts_from_the_features_themselves() -> None:
    visual_BTD = torch.randn(2, 9, WIDTH)
    lengths_B = torch.tensor([9, 4])
    adapter = LGTAdapter(transformer(4).float(), WIDTH, max_snippets=16, skip=True)
    torch.testing.assert_close(adapter(visual_BTD, lengths_B), visual_BTD)
    plain = LGTAdapter(transformer(4).float(), WIDTH, max_snippets=16)
    plain.load_state_dict(adapter.state_dict())
    with torch.no_grad():
        for each in (adapter, plain):
            each.linear.weight.fill_(0.1)
    difference = adapter(visual_BTD, lengths_B) - plain(visual_BTD, lengths_B)
    torch.testing.assert_close(difference, visual_BTD)


def test_videos_that_are_not_adapted_stay_as_they_are() -> None:
    torch.manual_seed(0)
    adapter = LGTAdapter(LocalTransformer([WindowBlock(WIDTH)], 4), WIDTH, 16, skip=True)
    nn.init.normal_(adapter.linear.weight)
    visual_BTD, lengths_B = torch.randn(4, 9, WIDTH), torch.tensor([9, 4, 7, 1])
    whole_BTD = adapter(visual_BTD, lengths_B)
    some_BTD = adapter(visual_BTD, lengths_B, torch.tensor([1, 2]))
    torch.testing.assert_close(some_BTD[[0, 3]], visual_BTD[[0, 3]], rtol=0, atol=0)
    for row in (1, 2):
        valid = slice(0, int(lengths_B[row]))
        torch.testing.assert_close(some_BTD[row, valid], whole_BTD[row, valid])
        assert not torch.allclose(some_BTD[row, valid], visual_BTD[row, valid])
