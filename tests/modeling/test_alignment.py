"""Alignment map and label adapters.

B videos · T snippets · C classes · D feature width
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.modeling.alignment import LabelAdapter, LabelCentre, LearnablePrompt, alignment_map
from exvad.modeling.losses import contrastive_loss


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**16), st.floats(0.01, 100))
def test_alignment_map_is_the_cosine_of_every_snippet_with_every_label(
    seed: int, scale: float
) -> None:
    torch.manual_seed(seed)
    fused_BTD = scale * torch.randn(2, 3, 6)
    label_CD = torch.nn.functional.normalize(torch.randn(4, 6), dim=-1)
    expected = torch.cosine_similarity(fused_BTD[:, :, None], label_CD[None, None], dim=-1)
    torch.testing.assert_close(alignment_map(fused_BTD, label_CD), expected)


def test_label_adapters_start_as_the_identity_and_are_trainable() -> None:
    label_CD = torch.randn(4, 6)
    for adapter in (LabelAdapter(6), LearnablePrompt(4, 6)):
        adapted_CD = adapter(label_CD)
        assert torch.equal(adapted_CD, label_CD)
        adapted_CD.square().sum().backward()
        for parameter in adapter.parameters():
            assert parameter.grad is not None
            assert parameter.grad.abs().sum() > 0


def test_label_adapter_scales_and_shifts() -> None:
    adapter = LabelAdapter(2)
    with torch.no_grad():
        adapter.scale_D.copy_(torch.tensor([1.0, 0.0]))
        adapter.shift_D.copy_(torch.tensor([0.0, 0.5]))
    adapted_CD = adapter(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    torch.testing.assert_close(adapted_CD, torch.tensor([[2.0, 2.5], [6.0, 4.5]]))


def test_learnable_prompt_adds_a_shared_offset_and_one_per_class() -> None:
    prompt = LearnablePrompt(2, 2)
    with torch.no_grad():
        prompt.shared_D.fill_(1)
        prompt.class_CD[1] = 5
    torch.testing.assert_close(prompt(torch.zeros(2, 2)), torch.tensor([[1.0, 1.0], [6.0, 6.0]]))


def test_label_centre_separates_embeddings_that_are_alike() -> None:
    torch.manual_seed(0)
    label_CD = F.normalize(3 + torch.randn(5, 8), dim=-1)
    assert bool((label_CD[1:] @ label_CD[0] > 0.7).all())
    centre = LabelCentre(8)
    centre.set_centre(2 * label_CD)
    out_CD = centre(label_CD)
    torch.testing.assert_close(out_CD.norm(dim=-1), torch.ones(5))
    assert contrastive_loss(out_CD) < contrastive_loss(label_CD) / 2
    # Embeddings that are all the same say nothing, and give no NaN.
    centre.set_centre(label_CD[:1])
    assert bool(centre(label_CD[:1]).isfinite().all())
