"""VADor-F: size, memories that look back only, and losses of three ratings.

B videos · T snippets · D feature width
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from exvad.baselines import vador
from exvad.baselines.common.system import trainable_parameters
from exvad.baselines.vador import VADorF, recall_extremes, recall_latest
from tests.helpers.clips import paired_clips


def small() -> VADorF:
    torch.manual_seed(0)
    system = VADorF(8, memory=2, history=3).eval()
    for layers in (system.long, system.short):
        for parameter in layers[-1].parameters():
            torch.nn.init.normal_(parameter)
    return system


def recalled(x_TD: torch.Tensor, now: int, picked: list[int]) -> torch.Tensor:
    """The mean of picked snippets, weighted by the softmax of their cosines with one."""
    values_MD = x_TD[picked]
    weights_M = F.cosine_similarity(x_TD[now][None], values_MD, dim=-1).softmax(0)
    return weights_M @ values_MD


@pytest.mark.parametrize(("width", "size"), [(512, 165_570), (768, 248_002)])
def test_vador_f_has_the_size_of_predictor_and_memories(width: int, size: int) -> None:
    assert trainable_parameters(VADorF(width)) == size


@pytest.mark.parametrize("block", [512, 4])
def test_recall_extremes_equals_a_loop_over_the_past(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vador, "BLOCK", block)
    x_BTD, scores_BT = torch.randn(2, 11, 5), torch.rand(2, 11)
    result_BTD = recall_extremes(x_BTD, scores_BT, 3)
    for video in range(2):
        for now in range(11):
            order = scores_BT[video, : now + 1].argsort()
            picked = [*order.flip(0)[:3].tolist(), *order[:3].tolist()]
            expected_D = recalled(x_BTD[video], now, picked)
            torch.testing.assert_close(result_BTD[video, now], expected_D)


@pytest.mark.parametrize("block", [512, 4])
def test_recall_latest_equals_a_loop_over_the_last_snippets(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vador, "BLOCK", block)
    x_BTD = torch.randn(2, 9, 5)
    result_BTD = recall_latest(x_BTD, 3)
    for now in range(9):
        expected_D = recalled(x_BTD[1], now, list(range(max(0, now - 2), now + 1)))
        torch.testing.assert_close(result_BTD[1, now], expected_D)


def test_scores_do_not_depend_on_the_future() -> None:
    system, clips = small(), paired_clips(videos=2, snippets=12, width=8)
    later = clips.visual_BTD.clone()
    later[:, 7:] = 5 * torch.randn_like(later[:, 7:])
    changed = replace(clips, visual_BTD=later)
    torch.testing.assert_close(system(changed).scores_BT[:, :7], system(clips).scores_BT[:, :7])
    assert not torch.allclose(system(changed).scores_BT[:, 7:], system(clips).scores_BT[:, 7:])


def test_score_is_the_mean_of_three_ratings() -> None:
    system, clips = small(), paired_clips(videos=2, snippets=6, width=8)
    x_BTD = clips.visual_BTD
    alone_BT = system.predict(x_BTD)[0].softmax(-1)[..., 1]
    long_BTD = x_BTD + system.long(recall_extremes(x_BTD, alone_BT.detach(), 2))
    short_BTD = x_BTD + system.short(recall_latest(x_BTD, 3))
    ratings = [alone_BT, *(system.predict(x)[0].softmax(-1)[..., 1] for x in (long_BTD, short_BTD))]
    torch.testing.assert_close(system(clips).scores_BT, torch.stack(ratings).mean(0))


def test_training_starts_with_three_equal_ratings() -> None:
    system, clips = VADorF(8), paired_clips(videos=2, snippets=6, width=8)
    alone_BT = system.predict(clips.visual_BTD)[0].softmax(-1)[..., 1]
    torch.testing.assert_close(system(clips).scores_BT, alone_BT)


def test_loss_trains_every_part() -> None:
    system = small().train()
    step = system.loss(paired_clips(videos=4, snippets=6, width=8))
    assert set(step.terms) == {"top", "margin", "smooth", "sparse"}
    step.total.backward()  # type: ignore[no-untyped-call]
    assert all(
        parameter.grad is not None and parameter.grad.any() for parameter in system.parameters()
    )


def test_memories_without_snippets_are_refused() -> None:
    with pytest.raises(ValueError, match="memories of 0 and 4 snippets"):
        VADorF(8, memory=0)
