"""The input layer standardises features and takes them to the width of the network."""

from __future__ import annotations

import pytest
import torch

from exvad.modeling.exvad import build_exvad
from exvad.modeling.inputs import InputLayer


def skewed(rows: int) -> torch.Tensor:
    """Return features with a common direction, coordinates of different scale, and a dead one."""
    random = torch.Generator().manual_seed(0)
    scale_D = torch.tensor([0.01, 1.0, 30.0, 0.0])
    return 5 + torch.randn((rows, 4), generator=random) * scale_D


def test_input_layer_gives_every_coordinate_mean_0_and_variance_1() -> None:
    layer = InputLayer(4, 4, standardised=True)
    features_ND = skewed(500)
    layer.set_statistics(torch.split(features_ND, 100))
    out_ND = layer(features_ND)
    torch.testing.assert_close(out_ND.mean(0), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(out_ND[:, 2].std(), torch.tensor(1.0), atol=0.01, rtol=0)
    # A coordinate that hardly varies is noise: it must not become as large as the others.
    assert out_ND[:, 0].std() < 0.1
    assert bool((out_ND[:, 3] == 0).all())


def test_input_layer_leaves_missing_text_zero() -> None:
    layer = InputLayer(4, 4, standardised=True)
    layer.set_statistics([skewed(50)])
    text_BD = skewed(2)
    text_BD[1] = 0
    out_BD = layer(text_BD)
    assert bool(out_BD[0].any())
    assert not bool(out_BD[1].any())


def test_input_layer_of_features_that_are_all_the_same_stays_finite() -> None:
    layer = InputLayer(4, 4, standardised=True)
    layer.set_statistics([torch.ones(5, 4)])
    assert bool(layer(torch.ones(2, 4)).isfinite().all())


@pytest.mark.parametrize("features", ["raw", "standardised"])
def test_network_takes_features_of_other_widths_than_its_labels(features: str) -> None:
    network = build_exvad(
        8, 3, window=4, features=features, visual_width=6, text_width=10  # type: ignore[arg-type]
    )  # fmt: skip
    lengths_B = torch.tensor([5, 3])
    output = network(torch.randn(2, 5, 6), lengths_B, torch.randn(2, 10), torch.randn(3, 8))
    assert output.similarity_BTC.shape == (2, 5, 3)


def test_raw_features_of_one_width_add_nothing_to_the_network() -> None:
    names = build_exvad(8, 3, window=4).state_dict()
    assert not [name for name in names if "input" in name]


def test_padding_does_not_reach_the_scores_of_standardised_features() -> None:
    torch.manual_seed(0)
    network = build_exvad(8, 3, window=4, text="none", features="standardised").eval()
    visual_BTD = 5 + torch.randn(1, 6, 8)
    assert network.visual_input is not None
    network.visual_input.set_statistics([visual_BTD[0]])
    padded_BTD = torch.cat([visual_BTD, torch.zeros(1, 4, 8)], 1)
    lengths_B, label_CD = torch.tensor([6]), torch.randn(3, 8)
    alone = network(visual_BTD, lengths_B, None, label_CD).logits_BT
    padded = network(padded_BTD, lengths_B, None, label_CD).logits_BT[:, :6]
    torch.testing.assert_close(padded, alone)
