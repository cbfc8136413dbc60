"""The named ways to a class map.

B videos · T snippets · C classes · D feature width
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from exvad.baselines.common.class_maps import FrozenHead, JointHead, with_class_map
from exvad.baselines.real_ad import RealAD
from tests.helpers.clips import paired_clips

CLASSES = 4


def system() -> RealAD:
    torch.manual_seed(0)
    return RealAD(8, normalize=False)


@pytest.mark.parametrize("way", ["F1", "F2", "F3"])
def test_a_map_shares_the_score_among_the_anomaly_classes(way: str) -> None:
    wrapped = with_class_map(system(), way, CLASSES, torch.randn(CLASSES, 8)).eval()  # type: ignore[arg-type]
    output = wrapped(paired_clips(videos=2, snippets=5, width=8, classes=CLASSES))
    assert output.probabilities_BTC.shape == (2, 5, CLASSES)
    torch.testing.assert_close(output.probabilities_BTC[..., 0], 1 - output.scores_BT)
    torch.testing.assert_close(output.probabilities_BTC[..., 1:].sum(-1), output.scores_BT)


def test_f0_is_the_system_itself() -> None:
    own = system()
    assert with_class_map(own, "F0", CLASSES) is own


def test_f1_adds_the_loss_of_the_classes_and_trains_the_system() -> None:
    joint = JointHead(system(), CLASSES)
    clips = paired_clips(videos=4, snippets=20, width=8, classes=CLASSES)
    joint.eval()
    output, terms = joint.loss(clips)
    logits_BTC = joint.head(output.features_BTH)
    v_BC = logits_BTC.topk(2, dim=1).values.mean(1)
    torch.testing.assert_close(terms["classes"], F.cross_entropy(v_BC, clips.targets_BC))
    assert "rank" in terms
    terms["classes"].backward()  # type: ignore[no-untyped-call]
    assert joint.system.hidden.weight.grad is not None  # type: ignore[union-attr]
    assert sum(len(group["params"]) for group in joint.parameter_groups(1e-3)) == 8


def test_f2_trains_the_head_alone_on_the_highest_snippets_of_abnormal_videos() -> None:
    frozen = FrozenHead(system(), CLASSES).train()
    clips = paired_clips(videos=6, snippets=20, width=8, classes=CLASSES)
    output, terms = frozen.loss(clips)
    assert set(terms) == {"classes"}
    losses = []
    for row in (3, 4, 5):
        highest = output.scores_BT[row].topk(2).indices
        logits_A = frozen.head(output.features_BTH[row, highest].mean(0))
        losses.append(F.cross_entropy(logits_A, clips.targets_BC[row, 1:].argmax()))
    torch.testing.assert_close(terms["classes"], torch.stack(losses).mean())
    trained = [
        parameter for group in frozen.parameter_groups(1e-3) for parameter in group["params"]
    ]
    assert {id(parameter) for parameter in trained} == {id(p) for p in frozen.head.parameters()}
    assert not frozen.system.training


def test_f2_counts_the_valid_snippets_of_each_video() -> None:
    frozen = FrozenHead(system(), CLASSES)
    clips = paired_clips(videos=2, snippets=20, width=8, classes=CLASSES)
    padded_BTD = torch.cat([clips.visual_BTD, torch.full((2, 20, 8), 9.0)], 1)
    padded = replace(clips, visual_BTD=padded_BTD)
    torch.testing.assert_close(frozen.loss(padded).total, frozen.loss(clips).total)


def test_f3_compares_images_with_labels() -> None:
    label_CD = torch.eye(CLASSES, 8)
    wrapped = with_class_map(system(), "F3", CLASSES, label_CD).eval()
    clips = paired_clips(videos=2, snippets=3, width=8, classes=CLASSES)
    clips.visual_BTD[0, 0] = 5 * label_CD[2]
    assert wrapped(clips).probabilities_BTC[0, 0, 1:].argmax() == 1
    assert set(wrapped.loss(clips).terms) == set(system().loss(clips).terms)


def test_f3_needs_label_embeddings() -> None:
    with pytest.raises(ValueError, match="give label embeddings"):
        with_class_map(system(), "F3", CLASSES)
