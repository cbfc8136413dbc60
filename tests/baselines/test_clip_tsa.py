"""CLIP-TSA: size, memberships and their gradient.

B videos · T snippets · D feature width · N draws
"""

from __future__ import annotations

import torch

from exvad.baselines.clip_tsa import SIGMA, ClipTSA, PerturbedTopK
from exvad.baselines.common.system import trainable_parameters
from tests.helpers.clips import paired_clips


def test_clip_tsa_has_the_published_size() -> None:
    assert trainable_parameters(ClipTSA(512)) == 1_678_722


def test_membership_is_the_sum_over_slots_of_the_mean_one_hot_tensor() -> None:
    torch.manual_seed(0)
    ratings_BT, noise_NBT = torch.rand(2, 6), torch.randn(50, 2, 6)
    membership_BT = PerturbedTopK.apply(ratings_BT, noise_NBT, 3)
    highest_NBK = (ratings_BT + SIGMA * noise_NBT).topk(3).indices.sort(-1).values
    one_hot_NBKT = torch.nn.functional.one_hot(highest_NBK, 6).float()
    torch.testing.assert_close(membership_BT, one_hot_NBKT.mean(0).sum(1))
    torch.testing.assert_close(membership_BT.sum(1), torch.full((2,), 3.0))


def test_gradient_of_membership_is_that_of_its_expectation() -> None:
    torch.manual_seed(0)
    ratings_BT = torch.tensor([[0.50, 0.52, 0.48, 0.55]], requires_grad=True)
    weights_T = torch.tensor([1.0, -2.0, 0.5, 3.0])
    draws = 400_000
    noise_NBT = torch.randn(draws, 1, 4)
    value = PerturbedTopK.apply(ratings_BT, noise_NBT, 2) @ weights_T
    value.sum().backward()
    step, numeric = 0.01, []
    with torch.no_grad():
        for index in range(4):
            shift_T = step * torch.eye(4)[index]
            up, down = (
                PerturbedTopK.apply(ratings_BT + sign * shift_T, noise_NBT, 2) @ weights_T
                for sign in (1, -1)
            )
            numeric.append((up - down).item() / (2 * step))
    assert ratings_BT.grad is not None
    torch.testing.assert_close(ratings_BT.grad[0], torch.tensor(numeric), atol=0.3, rtol=0.05)


def test_scores_repeat_in_the_test_unless_told() -> None:
    clips = paired_clips(videos=2, snippets=12, width=32)
    torch.manual_seed(0)
    fixed, drawn = ClipTSA(32).eval(), ClipTSA(32, test_seed=None).eval()
    assert torch.equal(fixed.membership(clips.visual_BTD), fixed.membership(clips.visual_BTD))
    assert not torch.equal(drawn.membership(clips.visual_BTD), drawn.membership(clips.visual_BTD))


def test_number_of_taken_snippets_may_be_limited() -> None:
    clips = paired_clips(videos=2, snippets=20, width=32)
    for limit, taken in ((None, 19.0), (5, 5.0)):
        system = ClipTSA(32, max_selected=limit).eval()
        membership_BT = system.membership(clips.visual_BTD)
        torch.testing.assert_close(membership_BT.sum(1), torch.full((2,), taken))
