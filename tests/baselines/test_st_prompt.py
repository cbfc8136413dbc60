"""STPrompt-crops: size, moving parts, padding, and features of several crops.

B videos · T snippets · P crops · Q parts · D feature width
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from exvad.baselines.common.system import trainable_parameters
from exvad.baselines.st_prompt import STPromptCrops, moving_parts, stack_crops
from tests.helpers.clips import paired_clips

WIDTH, CROPS, CLASSES = 8, 4, 3


def small(moving: int = 2) -> STPromptCrops:
    torch.manual_seed(0)
    return STPromptCrops(WIDTH, torch.randn(CLASSES, WIDTH), CROPS, moving).eval()


def test_st_prompt_has_an_adapter_a_classifier_and_offsets_of_the_labels() -> None:
    ffn = 2 * 512 * 2048 + 2048 + 512
    expected = 2 * 512 + 2 * ffn + 513 + 15 * 512
    assert trainable_parameters(STPromptCrops(512, torch.randn(14, 512))) == expected == 4_208_641


def test_moving_parts_equal_a_loop() -> None:
    parts_BTQD = torch.randn(2, 5, 3, WIDTH)
    moving_BTD = moving_parts(parts_BTQD, torch.tensor([5, 5]), 2)
    for now in range(5):
        before, after = max(0, now - 1), min(4, now + 1)
        x_QD = parts_BTQD[1]
        motion_Q = (2 * x_QD[now] - x_QD[before] - x_QD[after]).norm(dim=-1)
        order = motion_Q.argsort(descending=True)[:2]
        expected_D = motion_Q[order].softmax(0) @ x_QD[now, order]
        torch.testing.assert_close(moving_BTD[1, now], expected_D)


def test_a_part_that_moves_is_preferred_to_those_that_stand_still() -> None:
    still_QD = torch.randn(3, WIDTH)
    parts_BTQD = still_QD.expand(1, 6, 3, WIDTH).clone()
    parts_BTQD[0, 3, 1] += 50
    moving_BTD = moving_parts(parts_BTQD, torch.tensor([6]), 2)
    torch.testing.assert_close(moving_BTD[0, 3], parts_BTQD[0, 3, 1])


def test_padding_changes_no_score() -> None:
    system = small()
    clips = paired_clips(videos=2, snippets=6, width=CROPS * WIDTH)
    padded_BTD = torch.nn.functional.pad(clips.visual_BTD, (0, 0, 0, 5), value=7.0)
    padded = system(replace(clips, visual_BTD=padded_BTD))
    torch.testing.assert_close(padded.scores_BT[:, :6], system(clips).scores_BT)
    assert padded.probabilities_BTC is not None
    torch.testing.assert_close(
        padded.probabilities_BTC[:, :6], system(clips).probabilities_BTC, atol=1e-5, rtol=1e-4
    )


def test_parts_of_the_frame_matter() -> None:
    system, clips = small(), paired_clips(videos=2, snippets=6, width=CROPS * WIDTH)
    moved_BTD = clips.visual_BTD.clone()
    moved_BTD[:, 2:4, WIDTH : 2 * WIDTH] += 9
    moved = system(replace(clips, visual_BTD=moved_BTD))
    assert not torch.allclose(moved.scores_BT, system(clips).scores_BT)


def test_loss_trains_every_part() -> None:
    system = small().train()
    step = system.loss(paired_clips(videos=4, snippets=6, width=CROPS * WIDTH))
    assert set(step.terms) == {"bce", "classes", "texts"}
    step.total.backward()  # type: ignore[no-untyped-call]
    assert all(
        parameter.grad is not None and parameter.grad.any() for parameter in system.parameters()
    )


def test_features_of_another_number_of_crops_are_refused() -> None:
    with pytest.raises(ValueError, match=r"32 wide, but these are 8, .*stack_crops"):
        small()(paired_clips(videos=2, snippets=3, width=WIDTH))


def test_stack_crops_puts_the_features_of_a_snippet_side_by_side() -> None:
    crops = [np.full((3, 2), number, np.float16) for number in range(CROPS)]
    stacked_TD = stack_crops(crops)
    assert stacked_TD.dtype == np.float32
    np.testing.assert_array_equal(stacked_TD, np.tile([0, 0, 1, 1, 2, 2, 3, 3], (3, 1)))
    with pytest.raises(ValueError, match="same"):
        stack_crops([np.zeros((3, 2)), np.zeros((4, 2))])
    with pytest.raises(ValueError, match="same"):
        stack_crops([])
