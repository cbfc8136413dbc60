"""TEVAD: sizes, fusion and text."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
import torch

from exvad.baselines.common.system import trainable_parameters
from exvad.baselines.tevad import TEVAD
from tests.helpers.clips import paired_clips


@pytest.mark.parametrize(
    ("text_width", "fusion", "published"),
    [
        (512, "concat", 3_545_217),
        (512, "add", 3_545_729),
        (768, "concat", 5_520_865),
        (768, "add", 5_652_705),
    ],
)
def test_tevad_has_the_published_size(
    text_width: int, fusion: Literal["concat", "add"], published: int
) -> None:
    assert trainable_parameters(TEVAD(512, text_width, fusion)) == published


@pytest.mark.parametrize("fusion", ["concat", "add"])
def test_tevad_uses_the_text_of_snippets_or_of_videos(fusion: Literal["concat", "add"]) -> None:
    torch.manual_seed(0)
    system = TEVAD(16, 8, fusion).eval()
    clips = paired_clips(videos=2, snippets=6, width=16, text_width=8)
    assert clips.text is not None
    one_text = replace(clips, text=clips.text[:, 0])
    repeated = replace(clips, text=clips.text[:, :1].expand(-1, 6, -1))
    torch.testing.assert_close(system(one_text).scores_BT, system(repeated).scores_BT)
    assert not torch.allclose(system(clips).scores_BT, system(repeated).scores_BT)
    assert system(clips).features_BTH.shape == (2, 6, system.feature_width)


def test_tevad_needs_text() -> None:
    with pytest.raises(ValueError, match="needs text features"):
        TEVAD(16, 8)(paired_clips(videos=2, snippets=6, width=16))


def test_tevad_keeps_scores_sparse_and_smooth_only_if_told() -> None:
    clips = paired_clips(videos=2, snippets=6, width=16, text_width=8)
    assert set(TEVAD(16, 8).loss(clips).terms) == {"bce", "magnitude"}
    extra = TEVAD(16, 8, extra_losses=True)
    assert set(extra.loss(clips).terms) == {"bce", "magnitude", "sparse", "smooth"}
