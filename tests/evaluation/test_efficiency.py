"""The cost of systems agrees with the sizes of their layers."""

from __future__ import annotations

import torch

from exvad.baselines.real_ad import RealAD
from exvad.baselines.tevad import TEVAD
from exvad.baselines.vadclip import LabelPrompt, VadCLIP
from exvad.evaluation.efficiency import measure_efficiency


def test_efficiency_counts_the_products_of_linear_layers() -> None:
    cost = measure_efficiency(RealAD(512), 512, (), 20)
    assert cost.parameters == 279_105
    assert cost.macs == 20 * (512 * 512 + 512 * 32 + 32)
    assert cost.seconds > 0


def test_efficiency_takes_text_and_cuts_what_a_system_takes_in_chunks() -> None:
    assert measure_efficiency(TEVAD(32, 16), 32, (0, 16), 9).macs > 0
    chunked = VadCLIP(16, LabelPrompt(torch.randn(3, 16)))
    assert chunked.chunk == 256
    both = measure_efficiency(chunked, 16, (), 300)
    assert both.macs > measure_efficiency(chunked, 16, (), 256).macs
