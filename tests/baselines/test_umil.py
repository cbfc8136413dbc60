"""UMIL-F: size, texts, views and the second stage.

B videos · T snippets · C classes · D feature width
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F

from exvad.baselines.common.system import Clips, set_progress, trainable_parameters
from exvad.baselines.umil import UMILF
from tests.helpers.clips import paired_clips


def small() -> UMILF:
    torch.manual_seed(0)
    return UMILF(8, torch.randn(3, 8))


def test_umil_f_has_the_size_of_a_perceptron_and_two_heads() -> None:
    assert trainable_parameters(UMILF(512, torch.randn(14, 512))) == 1_050_624


def test_umil_f_is_trained_by_the_published_recipe() -> None:
    recipe = UMILF.recipe
    assert (recipe.optimizer, recipe.learning_rate, recipe.betas) == ("adamw", 8e-6, (0.9, 0.98))
    # Five epochs of forty, then a cosine.
    assert (recipe.epochs, recipe.warm_up * recipe.epochs, recipe.cosine) == (40, 5, 1.0)


def logits(system: UMILF, clips: Clips) -> torch.Tensor:
    """Scaled cosines with both texts, [B, T, 2]."""
    adapted_BTD = system.classify(system(clips).features_BTH)
    cosines = [
        F.cosine_similarity(adapted_BTD, text_D[None, None], dim=-1) for text_D in system.text_2D
    ]
    return torch.stack(cosines, -1).detach() / 0.07


def test_umil_f_compares_snippets_with_normal_and_the_mean_of_the_anomalies() -> None:
    system = small().eval()
    clips = paired_clips(videos=2, snippets=4, width=8)
    expected_BT = logits(system, clips).softmax(-1)[..., 1]
    torch.testing.assert_close(system(clips).scores_BT, expected_BT, atol=1e-4, rtol=1e-4)


def test_top_snippets_count_by_confidence() -> None:
    system = small().eval()
    clips = paired_clips(videos=4, snippets=5, width=8)
    losses = []
    for logits_T2, label in zip(logits(system, clips), (0, 0, 1, 1), strict=True):
        top_2 = logits_T2[logits_T2.softmax(-1)[:, 1].argmax()]
        losses.append(top_2.softmax(-1).max() * F.cross_entropy(top_2, torch.tensor(label)))
    top = system.loss(clips).terms["top"].detach()
    torch.testing.assert_close(top, torch.stack(losses).mean(), atol=1e-4, rtol=1e-4)


def test_second_stage_makes_the_heads_agree_on_ambiguous_snippets() -> None:
    system = small()
    clips = paired_clips(videos=4, snippets=10, width=8)
    assert "agreement" not in system.loss(clips).terms
    set_progress(system, 0.8)
    moved = replace(clips, visual_BTD=-clips.visual_BTD)
    agreement = system.loss(moved).terms["agreement"]
    agreement.backward()  # type: ignore[no-untyped-call]
    assert system.cluster.weight.grad is not None
    assert system.classify.weight.grad is not None


def test_ambiguous_snippets_are_those_whose_scores_changed() -> None:
    system = small()
    clips = paired_clips(videos=2, snippets=10, width=8)
    steady_BT = torch.full((2, 10), 0.5)
    changed_BT = steady_BT.clone()
    changed_BT[:, 4:] += torch.linspace(0.1, 0.4, 6)
    assert bool(system.ambiguous(clips, steady_BT).all())
    set_progress(system, 0.8)
    ambiguous_BT = system.ambiguous(clips, changed_BT)
    assert bool(ambiguous_BT[:, 4:].all())
    assert not bool(ambiguous_BT[:, :4].any())
