"""The network of a configuration, and networks that earlier code trained."""

from __future__ import annotations

import torch

from exvad.inference.network import EVIDENCE_WEIGHT, build_network, load_network
from tests.helpers.planted import CLASSES, WIDTH, config, directions

LABEL_CD = torch.from_numpy(directions())


def test_build_network_weighs_the_classes_of_grounded_text_unless_told_otherwise() -> None:
    def weighs(*overrides: str) -> bool:
        return build_network(config(*overrides), WIDTH, len(CLASSES)).weighted_classes

    assert weighs("model.text=grounded")
    assert not weighs("model.text=grounded", "model.weighted_classes=false")
    assert not weighs("model.text=explanation")
    assert weighs("model.text=explanation", "model.weighted_classes=true")


def test_load_network_takes_grounded_networks_of_before_there_were_votes() -> None:
    settings = config("model.text=grounded", "model.evidence=4")
    weights = build_network(settings, WIDTH, len(CLASSES)).state_dict()
    weights[EVIDENCE_WEIGHT].fill_(1)
    new = load_network(settings, LABEL_CD, weights)
    del weights[EVIDENCE_WEIGHT]
    old = load_network(settings, LABEL_CD, weights)
    assert new.weighted_classes
    assert not old.weighted_classes
    assert EVIDENCE_WEIGHT not in weights, "the given weights stay as they are"
    visual_BTD, text_BTD = torch.randn(1, 5, WIDTH), torch.randn(1, 5, WIDTH + 1)
    other_BTD = text_BTD.clone()
    other_BTD[..., -1] += 1
    arguments = (visual_BTD, torch.tensor([5]))
    for network, differs in ((old, False), (new, True)):
        with torch.inference_mode():
            one, two = (network.eval()(*arguments, t, LABEL_CD)[0] for t in (text_BTD, other_BTD))
        assert torch.equal(one, two) is not differs
