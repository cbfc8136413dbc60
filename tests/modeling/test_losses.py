"""The losses: equations 7 to 11, video by video.

B videos · T snippets · C classes · D feature width
"""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.modeling.exvad import Output
from exvad.modeling.losses import (
    alignment_loss,
    bce_loss,
    contrastive_loss,
    exvad_loss,
    mil_top_k_mean,
)

ragged = st.lists(st.integers(1, 40), min_size=1, max_size=4)
seeds = st.integers(0, 2**16)


def top_mean(values: list[float], divisor: int) -> float:
    count = min(len(values) // divisor + 1, len(values))
    return sum(sorted(values, reverse=True)[:count]) / count


@settings(deadline=None, max_examples=60)
@given(ragged, seeds, st.sampled_from([1, 2, 5, 16, 100]))
def test_mil_top_k_mean_pools_every_video_and_class_separately(
    lengths: list[int], seed: int, divisor: int
) -> None:
    torch.manual_seed(seed)
    values_BTC = torch.randn(len(lengths), max(lengths), 3, dtype=torch.float64)
    means_BC = mil_top_k_mean(values_BTC, torch.tensor(lengths), divisor)
    assert means_BC.shape == (len(lengths), 3)
    for row, length in enumerate(lengths):
        for column in range(3):
            expected = top_mean(values_BTC[row, :length, column].tolist(), divisor)
            assert float(means_BC[row, column]) == pytest.approx(expected)
    means_B = mil_top_k_mean(values_BTC[..., 0], torch.tensor(lengths), divisor)
    torch.testing.assert_close(means_B, means_BC[:, 0])


@settings(deadline=None, max_examples=40)
@given(ragged, seeds)
def test_bce_loss_is_the_cross_entropy_of_the_mean_top_score(lengths: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    logits_BT = 3 * torch.randn(len(lengths), max(lengths), dtype=torch.float64)
    y_B = torch.randint(0, 2, (len(lengths),))
    expected = 0.0
    for row, length in enumerate(lengths):
        p = top_mean(logits_BT[row, :length].sigmoid().tolist(), 16)
        expected -= math.log(p if y_B[row] else 1 - p) / len(lengths)
    assert float(bce_loss(logits_BT, y_B, torch.tensor(lengths))) == pytest.approx(expected)


@settings(deadline=None, max_examples=40)
@given(ragged, seeds)
def test_alignment_loss_divides_the_probability_among_the_labels(
    lengths: list[int], seed: int
) -> None:
    torch.manual_seed(seed)
    similarity_BTC = 2 * torch.rand(len(lengths), max(lengths), 4, dtype=torch.float64) - 1
    targets_BC = torch.randint(0, 2, (len(lengths), 4)).float()
    targets_BC[:, 1] = 1
    expected = 0.0
    for row, length in enumerate(lengths):
        v = [top_mean(similarity_BTC[row, :length, c].tolist(), 16) / 0.07 for c in range(4)]
        total = sum(math.exp(x) for x in v)
        labels = [c for c in range(4) if targets_BC[row, c]]
        for c in labels:
            expected -= math.log(math.exp(v[c]) / total) / len(labels) / len(lengths)
    loss = alignment_loss(similarity_BTC, targets_BC, torch.tensor(lengths), tau=0.07)
    assert float(loss) == pytest.approx(expected)


def test_contrastive_loss_ignores_classes_opposite_to_normal() -> None:
    label_CD = torch.tensor([[2.0, 0.0], [3.0, 4.0], [-1.0, 0.0], [0.0, 1.0]])
    assert float(contrastive_loss(label_CD)) == pytest.approx(0.6)


def test_exvad_loss_is_the_weighted_sum_of_its_terms() -> None:
    torch.manual_seed(0)
    output = Output(torch.randn(3, 20), torch.rand(3, 20, 4), torch.randn(4, 6).abs())
    lengths_B = torch.tensor([20, 1, 17])
    targets_BC = torch.tensor([[1.0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]])
    terms = exvad_loss(output, targets_BC, lengths_B, tau=0.1, lambda_=0.3, divisor=4)
    y_B = torch.tensor([0.0, 1.0, 1.0])
    torch.testing.assert_close(terms.bce, bce_loss(output.logits_BT, y_B, lengths_B, 4))
    torch.testing.assert_close(
        terms.mce, alignment_loss(output.similarity_BTC, targets_BC, lengths_B, 0.1, 4)
    )
    torch.testing.assert_close(terms.cts, contrastive_loss(output.label_CD))
    torch.testing.assert_close(terms.total, terms.bce + terms.mce + 0.3 * terms.cts)


def test_exvad_loss_gradients_match_finite_differences() -> None:
    torch.manual_seed(0)
    lengths_B = torch.tensor([9, 1, 6])
    targets_BC = torch.tensor([[1.0, 0, 0], [0, 1, 1], [0, 0, 1]])

    def loss(
        logits_BT: torch.Tensor, similarity_BTC: torch.Tensor, label_CD: torch.Tensor
    ) -> torch.Tensor:
        output = Output(logits_BT, similarity_BTC, label_CD)
        return exvad_loss(output, targets_BC, lengths_B, tau=0.5, lambda_=0.7, divisor=4).total

    inputs = [
        torch.randn(3, 9, dtype=torch.float64),
        torch.randn(3, 9, 3, dtype=torch.float64),
        torch.randn(3, 5, dtype=torch.float64),
    ]
    assert torch.autograd.gradcheck(loss, [x.requires_grad_() for x in inputs])


@pytest.mark.parametrize("size", [30.0, 200.0])
def test_bce_loss_of_confident_scores_is_finite_with_a_gradient(size: float) -> None:
    logits_BT = torch.tensor([[size] * 16, [-size] * 16], requires_grad=True)
    loss = bce_loss(logits_BT, torch.tensor([0, 1]), torch.tensor([16, 16]))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(size)
    assert logits_BT.grad is not None
    assert logits_BT.grad[0].sum() == pytest.approx(0.5, rel=1e-4)
    assert logits_BT.grad[1].sum() == pytest.approx(-0.5, rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_exvad_loss_of_half_precision_scores_is_computed_in_float32(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    output = Output(
        torch.randn(2, 20).to(dtype), torch.rand(2, 20, 3).to(dtype), torch.randn(3, 6).to(dtype)
    )
    wide = Output(*(x.float() for x in output))
    targets_BC, lengths_B = torch.eye(3)[:2], torch.tensor([20, 7])
    narrow_terms = exvad_loss(output, targets_BC, lengths_B, 0.07, 1.0)
    wide_terms = exvad_loss(wide, targets_BC, lengths_B, 0.07, 1.0)
    assert all(term.dtype == torch.float32 for term in narrow_terms)
    assert narrow_terms == wide_terms
