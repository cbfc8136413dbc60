"""RealAD: size, ranking and pairing.

B videos · T segments · D feature width
"""

from __future__ import annotations

import torch

from exvad.baselines.common.system import Clips, trainable_parameters
from exvad.baselines.real_ad import RealAD
from tests.helpers.clips import paired_clips


def by_hand(system: RealAD, clips: Clips, matched: bool) -> float:
    """The hinge of the paper, pair by pair."""
    highest: list[float] = system(clips).scores_BT.amax(1).tolist()
    normal = [value for value, bad in zip(highest, clips.abnormal_B, strict=True) if not bad]
    abnormal = [value for value, bad in zip(highest, clips.abnormal_B, strict=True) if bad]
    if matched:
        pairs = zip(normal, abnormal, strict=True)
        return sum(max(0.0, 1 - a + n) for n, a in pairs) / len(normal)
    return sum(sum(max(0.0, 1 - a + n) for a in abnormal) for n in normal) / len(normal)


def test_real_ad_has_the_published_size() -> None:
    assert trainable_parameters(RealAD(512)) == 279_105
    assert trainable_parameters(RealAD(4096)) == 2_114_113


def test_real_ad_ranks_all_pairs_or_matched_ones() -> None:
    torch.manual_seed(0)
    clips = paired_clips(videos=6, snippets=32, width=8)
    for pairing in ("all", "matched"):
        system = RealAD(8, pairing).eval()
        rank = system.loss(clips).terms["rank"].item()
        assert abs(rank - by_hand(system, clips, pairing == "matched")) < 1e-5


def test_real_ad_penalizes_abnormal_scores_and_their_jumps_only() -> None:
    torch.manual_seed(0)
    clips = paired_clips(videos=4, snippets=5, width=8)
    system = RealAD(8).eval()
    output, terms = system.loss(clips)
    abnormal_AT = output.scores_BT[2:].detach()
    jumps = (abnormal_AT[:, 1:] - abnormal_AT[:, :-1]) ** 2
    torch.testing.assert_close(terms["sparse"].detach(), 8e-5 * abnormal_AT.sum())
    torch.testing.assert_close(terms["smooth"].detach(), 8e-5 * jumps.sum())


def test_real_ad_ignores_the_length_of_features_unless_told() -> None:
    torch.manual_seed(0)
    clips = paired_clips(videos=2, snippets=4, width=8)
    longer = paired_clips(videos=2, snippets=4, width=8, scale=3)
    for normalize in (True, False):
        system = RealAD(8, normalize=normalize).eval()
        same = torch.allclose(system(clips).scores_BT, system(longer).scores_BT)
        assert same is normalize
