"""Ex-VAD by the protocol of the baselines equals the network of the detector."""

from __future__ import annotations

import torch

from exvad.baselines.ex_vad import ExVADSystem
from exvad.modeling.exvad import build_exvad, class_probabilities, coarse_scores
from exvad.modeling.losses import exvad_loss
from tests.helpers.clips import paired_clips


def test_ex_vad_system_scores_and_trains_as_the_network_does() -> None:
    torch.manual_seed(0)
    network = build_exvad(8, 3, window=4).eval()
    label_CD = torch.randn(3, 8)
    clips = paired_clips(videos=4, snippets=6, width=8, text_width=8)
    system = ExVADSystem(network, label_CD, tau=0.1, lambda_=0.5).eval()
    output, terms = system.loss(clips)
    raw = network(clips.visual_BTD, clips.lengths_B, clips.text, label_CD)
    assert output.probabilities_BTC is not None
    torch.testing.assert_close(output.scores_BT, coarse_scores(raw, 0.1))
    torch.testing.assert_close(output.probabilities_BTC, class_probabilities(raw, 0.1))
    expected = exvad_loss(raw, clips.targets_BC, clips.lengths_B, 0.1, 0.5)
    torch.testing.assert_close(sum(terms.values()), expected.total)


def test_ex_vad_system_scores_by_either_branch() -> None:
    torch.manual_seed(0)
    clips = paired_clips(videos=2, snippets=6, width=8)
    network = build_exvad(8, 3, window=4, text="none").eval()
    output = ExVADSystem(network, torch.randn(3, 8), branch="alignment").eval()(clips)
    torch.testing.assert_close(output.scores_BT, 1 - output.probabilities_BTC[..., 0])
