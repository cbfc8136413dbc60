"""RTFM: size, trunk, selection and the loss of magnitudes.

B videos · T snippets · D feature width
"""

from __future__ import annotations

import pytest
import torch

from exvad.baselines.common.system import trainable_parameters
from exvad.baselines.rtfm import RTFM, MultiScaleTrunk, NonLocal
from tests.helpers.clips import paired_clips

WIDTH = 16


def small(**options: bool) -> RTFM:
    torch.manual_seed(0)
    return RTFM(WIDTH, margin=20.0, **options).eval()


def test_rtfm_has_the_published_size() -> None:
    assert trainable_parameters(RTFM(512)) == 1_805_761
    assert trainable_parameters(RTFM(512, branch=512)) == 6_627_841


def test_rtfm_at_its_own_width_has_the_size_of_the_papers_table() -> None:
    assert round(trainable_parameters(RTFM(2048)) / 1e6, 2) == 24.72


def test_non_local_block_starts_as_the_identity() -> None:
    torch.manual_seed(0)
    x_BdT = torch.randn(3, 4, 7)
    torch.testing.assert_close(NonLocal(4)(x_BdT), x_BdT)


def test_non_local_block_weights_snippets_by_products_over_the_length() -> None:
    torch.manual_seed(0)
    block = NonLocal(4).eval()
    torch.nn.init.ones_(block.norm.weight)
    x_BdT = torch.randn(1, 4, 5)
    theta, phi, g = (layer(x_BdT)[0] for layer in (block.theta, block.phi, block.g))
    mixed_dT = torch.stack(
        [sum((theta[:, i] @ phi[:, j]) / 5 * g[:, j] for j in range(5)) for i in range(5)], -1
    )
    torch.testing.assert_close(block(x_BdT), x_BdT + block.norm(block.out(mixed_dT[None])))


def test_rtfm_loss_follows_the_longest_features() -> None:
    system = small()
    clips = paired_clips(videos=4, snippets=20, width=WIDTH)
    output, terms = system.loss(clips)
    lengths_BT = output.features_BTH.norm(dim=-1)
    scores, gaps, means = [], [], []
    for row in range(4):
        longest = lengths_BT[row].topk(2).indices
        scores.append(output.scores_BT[row, longest].mean())
        means.append(output.features_BTH[row, longest].mean(0).norm())
    for normal, abnormal in ((0, 2), (1, 3)):
        gaps.append(((20 - means[abnormal]).abs() + means[normal]) ** 2)
    labels_B = torch.tensor([0.0, 0.0, 1.0, 1.0])
    bce = torch.nn.functional.binary_cross_entropy(torch.stack(scores), labels_B)
    torch.testing.assert_close(terms["bce"], bce)
    torch.testing.assert_close(terms["magnitude"], 1e-4 * torch.stack(gaps).mean())
    torch.testing.assert_close(terms["sparse"], 8e-3 * output.scores_BT[2:].norm())


def test_rtfm_smooths_within_videos_unless_told() -> None:
    clips = paired_clips(videos=4, snippets=20, width=WIDTH)
    within, across = small(), small(smooth_across_videos=True)
    scores_AT = within(clips).scores_BT[2:]
    jump = 8e-4 * (scores_AT[1, 0] - scores_AT[0, -1]) ** 2
    difference = across.loss(clips).terms["smooth"] - within.loss(clips).terms["smooth"]
    torch.testing.assert_close(difference, jump)


def test_trunk_refuses_widths_that_do_not_divide() -> None:
    with pytest.raises(ValueError, match="multiple of 8"):
        MultiScaleTrunk(12)
