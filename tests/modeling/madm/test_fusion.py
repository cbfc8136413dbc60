"""Fusion of visual and text features.

B videos · T snippets · D feature width · E twice the feature width
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from exvad.modeling.madm.fusion import AddFusion, ConcatFusion, GatedFusion, VisualOnly

WIDTH = 4


def features() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(3, 5, WIDTH), torch.randn(3, WIDTH)


def repeated(text_BD: torch.Tensor) -> torch.Tensor:
    return text_BD[:, None].repeat(1, 5, 1)


def test_add_fusion_adds_the_text_to_every_snippet() -> None:
    visual_BTD, text_BD = features()
    torch.testing.assert_close(AddFusion()(visual_BTD, text_BD), visual_BTD + repeated(text_BD))


def test_concat_fusion_projects_the_concatenation() -> None:
    visual_BTD, text_BD = features()
    fusion = ConcatFusion(WIDTH)
    pair_BTE = torch.cat([visual_BTD, repeated(text_BD)], -1)
    torch.testing.assert_close(fusion(visual_BTD, text_BD), fusion.linear(pair_BTE))


def test_gated_fusion_adds_the_gated_text() -> None:
    visual_BTD, text_BD = features()
    fusion = GatedFusion(WIDTH)
    pair_BTE = torch.cat([visual_BTD, repeated(text_BD)], -1)
    expected = visual_BTD + fusion.gate(pair_BTE).sigmoid() * repeated(text_BD)
    torch.testing.assert_close(fusion(visual_BTD, text_BD), expected)


@pytest.mark.parametrize("fusion", [AddFusion(), ConcatFusion(WIDTH), GatedFusion(WIDTH)])
def test_fusion_of_repeated_video_text_equals_fusion_of_the_video_text(fusion: nn.Module) -> None:
    visual_BTD, text_BD = features()
    torch.testing.assert_close(fusion(visual_BTD, repeated(text_BD)), fusion(visual_BTD, text_BD))


@pytest.mark.parametrize("fusion", [AddFusion(), ConcatFusion(WIDTH), GatedFusion(WIDTH)])
def test_fusion_rejects_missing_text(fusion: nn.Module) -> None:
    with pytest.raises(ValueError, match="language stage"):
        fusion(features()[0], None)


def test_visual_only_returns_the_visual_features_and_rejects_text() -> None:
    visual_BTD, text_BD = features()
    fusion = VisualOnly()
    assert fusion(visual_BTD, None) is visual_BTD
    assert not list(fusion.parameters())
    with pytest.raises(ValueError, match="built without text"):
        fusion(visual_BTD, text_BD)
