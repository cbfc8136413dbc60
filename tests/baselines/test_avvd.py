"""AVVD-style: size, graphs, the online branch and padding.

B videos · T snippets · D feature width
"""

from __future__ import annotations

from dataclasses import replace

import torch

from exvad.baselines.avvd import AVVDStyle, OnlineBranch, score_adjacency
from exvad.baselines.common.system import trainable_parameters
from tests.helpers.clips import paired_clips


def test_avvd_style_has_the_size_of_hl_nets_used_parts() -> None:
    assert trainable_parameters(AVVDStyle(512, 14)) == 417_071
    assert trainable_parameters(AVVDStyle(512, 7)) == 416_392


def test_online_branch_only_sees_the_past() -> None:
    torch.manual_seed(0)
    branch = OnlineBranch()
    x_BTD = torch.randn(1, 8, 128)
    changed_BTD = x_BTD.clone()
    changed_BTD[:, 5] += 1
    difference_T = (branch(x_BTD) - branch(changed_BTD)).abs()[0]
    assert (difference_T[:5] == 0).all()
    assert (difference_T[5:] > 0).all()


def test_score_adjacency_prefers_snippets_of_similar_scores() -> None:
    scores_BT = torch.tensor([[0.1, 0.9, 0.15, 0.5]])
    valid_BT = torch.tensor([[True, True, True, False]])
    weights_TT = score_adjacency(scores_BT, valid_BT)[0]
    assert weights_TT[0, 2] > weights_TT[0, 1]
    assert (weights_TT[:, 3] == 0).all()
    torch.testing.assert_close(weights_TT.sum(1), torch.ones(4))


def test_avvd_style_output_does_not_depend_on_padding() -> None:
    torch.manual_seed(0)
    system = AVVDStyle(8, 3).eval()
    clips = paired_clips(videos=4, snippets=6, width=8)
    padded_BTD = torch.cat([clips.visual_BTD, torch.full((4, 5, 8), 9.0)], 1)
    padded = replace(clips, visual_BTD=padded_BTD)
    torch.testing.assert_close(system(padded).scores_BT[:, :6], system(clips).scores_BT)
    torch.testing.assert_close(system.loss(padded).total, system.loss(clips).total)


def test_avvd_style_scores_are_one_minus_normal() -> None:
    torch.manual_seed(0)
    output = AVVDStyle(8, 3).eval()(paired_clips(videos=2, snippets=6, width=8))
    assert output.probabilities_BTC is not None
    torch.testing.assert_close(output.scores_BT, 1 - output.probabilities_BTC[..., 0])


def test_online_branch_learns_at_half_the_rate() -> None:
    rest, online = AVVDStyle(8, 3).parameter_groups(1e-4)
    assert rest["lr"] == 1e-4
    assert online["lr"] == 5e-5
    assert sum(parameter.numel() for parameter in online["params"]) == 10_497


def test_distillation_does_not_train_the_offline_branches() -> None:
    system = AVVDStyle(8, 3)
    terms = system.loss(paired_clips(videos=4, snippets=6, width=8)).terms
    terms["distill"].backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is None for parameter in system.classify.parameters())
    assert all(parameter.grad is not None for parameter in system.online.parameters())
