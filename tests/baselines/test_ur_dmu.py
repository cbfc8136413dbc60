"""UR-DMU: size, memories and losses.

B videos · T snippets · D feature width · H width · M memory slots
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from exvad.baselines.common.graphs import nearness
from exvad.baselines.common.system import trainable_parameters
from exvad.baselines.ur_dmu import URDMU, GlobalLocalAttention, Memory
from tests.helpers.clips import paired_clips


def test_ur_dmu_has_the_published_size() -> None:
    assert trainable_parameters(URDMU(512)) == 5_706_497
    assert trainable_parameters(URDMU(1024)) == 6_492_929


def test_memory_read_weights_slots_by_sigmoids() -> None:
    torch.manual_seed(0)
    memory = Memory()
    x_BTH = torch.randn(2, 3, 512)
    match_BT, read_BTH = memory(x_BTH)
    for row in range(2):
        for snippet in range(3):
            weights_M = (memory.slots_MH @ x_BTH[row, snippet] / 512**0.5).sigmoid()
            torch.testing.assert_close(match_BT[row, snippet], weights_M.topk(4).values.mean())
            torch.testing.assert_close(read_BTH[row, snippet], weights_M @ memory.slots_MH)


def test_near_snippets_have_weights_that_sum_to_one_unless_told() -> None:
    torch.manual_seed(0)
    rows, columns = GlobalLocalAttention("rows").eval(), GlobalLocalAttention("columns").eval()
    columns.load_state_dict(rows.state_dict())
    near_TT = nearness(5, torch.device("cpu"))
    x_BTH = torch.randn(1, 5, 512)
    difference_BTH = rows(x_BTH) - columns(x_BTH)
    heads = 4
    near_BTH = rows.project_in(x_BTH)[..., 3 * 512 :]
    sums_T = near_TT.sum(1)
    other_BTH = near_TT / sums_T[:, None] @ near_BTH - near_TT / sums_T @ near_BTH
    # Each head's part of the second half of the projection belongs to the near snippets.
    weight_HH = rows.project_out.weight.reshape(512, heads, 256)[:, :, 128:].flatten(1)
    torch.testing.assert_close(difference_BTH, other_BTH @ weight_HH.mT, atol=1e-5, rtol=1e-3)


def test_evaluation_reads_both_memories_without_sampling() -> None:
    torch.manual_seed(0)
    system = URDMU(8).eval()
    clips = paired_clips(videos=2, snippets=6, width=8)
    first, second = system(clips), system(clips)
    assert torch.equal(first.scores_BT, second.scores_BT)
    x_BTH = first.features_BTH[..., :512]
    reads = [
        system.encoder_mu(memory(x_BTH)[1])
        for memory in (system.normal_memory, system.abnormal_memory)
    ]
    torch.testing.assert_close(first.features_BTH[..., 512:], reads[0] + reads[1])


def test_divergence_sums_over_the_chosen_axis() -> None:
    torch.manual_seed(0)
    clips = paired_clips(videos=2, snippets=7, width=8)
    terms = {}
    for axis in ("standard", "code"):
        torch.manual_seed(1)
        terms[axis] = URDMU(8, kl_axis=axis).eval().loss(clips).terms["kl"]
    # Sums over 512 features and means over 7 snippets, against sums over 7 and means over 512.
    torch.testing.assert_close(terms["standard"] / 512, terms["code"] / 7)


def test_memory_loss_asks_each_memory_for_its_own_videos() -> None:
    torch.manual_seed(0)
    system = URDMU(8).eval()
    clips = paired_clips(videos=4, snippets=5, width=8)
    x_BTH = system(clips).features_BTH[..., :512]
    nn_NT, na_NT = (
        memory(x_BTH[:2])[0] for memory in (system.normal_memory, system.abnormal_memory)
    )
    an_AT, aa_AT = (
        memory(x_BTH[2:])[0] for memory in (system.normal_memory, system.abnormal_memory)
    )
    ones = torch.ones(2)
    expected = (
        F.binary_cross_entropy(aa_AT.max(1).values, ones)
        + F.binary_cross_entropy((1 - an_AT).max(1).values, ones)
        + F.binary_cross_entropy(nn_NT, torch.ones(2, 5))
        + F.binary_cross_entropy(na_NT, torch.zeros(2, 5))
    )
    torch.testing.assert_close(system.loss(clips).terms["memory"], 0.1 * expected)
