"""PEL4VAD: size, context, contrast, smoothing and padding.

B videos · T snippets · C classes · E text width
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F

from exvad.baselines.common.system import trainable_parameters
from exvad.baselines.pel4vad import PEL4VAD, TemporalContext, smooth
from tests.helpers.clips import paired_clips


def small() -> PEL4VAD:
    torch.manual_seed(0)
    return PEL4VAD(8, torch.randn(3, 6), kernel=3).eval()


def test_pel4vad_has_the_published_size() -> None:
    text_CE = torch.randn(3, 512)
    assert trainable_parameters(PEL4VAD(512, text_CE)) == 683_325
    assert trainable_parameters(PEL4VAD(512, text_CE, kernel=3)) == 681_525
    assert trainable_parameters(PEL4VAD(1024, text_CE)) == 1_209_149


def test_temporal_context_mixes_all_snippets_and_a_window() -> None:
    torch.manual_seed(0)
    context = TemporalContext(6, (0.6, 0.2), normalize=False)
    x_TD = torch.randn(12, 6)
    with torch.no_grad():
        context.share.fill_(0.4)
    query, key, value = context.query(x_TD), context.key(x_TD), context.value(x_TD)
    share = torch.tensor(0.4).sigmoid()
    rows = []
    for i in range(12):
        gaps_T = (torch.arange(12) - i).abs()
        ratings_T = key @ query[i] / 128**0.5 + (-(0.6 * gaps_T**2 - 0.2).abs()).exp()
        near = gaps_T <= 4
        rows.append(
            share * ratings_T.softmax(0) @ value
            + (1 - share) * ratings_T[near].softmax(0) @ value[near]
        )
    mixed_BTD = context(x_TD[None], torch.ones(1, 12, dtype=torch.bool))
    torch.testing.assert_close(mixed_BTD[0], context.out(torch.stack(rows)))


def test_pel4vad_output_does_not_depend_on_padding() -> None:
    system = small()
    clips = paired_clips(videos=4, snippets=6, width=8)
    padded_BTD = torch.cat([clips.visual_BTD, torch.full((4, 5, 8), 9.0)], 1)
    padded = replace(clips, visual_BTD=padded_BTD)
    torch.testing.assert_close(system(padded).scores_BT[:, :6], system(clips).scores_BT)
    torch.testing.assert_close(system.loss(padded).total, system.loss(clips).total)


def test_normal_videos_count_with_their_highest_score() -> None:
    system = small()
    clips = paired_clips(videos=2, snippets=20, width=8)
    output, terms = system.loss(clips)
    video_B = torch.stack([output.scores_BT[0].max(), output.scores_BT[1].topk(2).values.mean()])
    expected = F.binary_cross_entropy(video_B, torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(terms["bce"], expected)


def test_contrast_pairs_parts_of_videos_with_texts() -> None:
    system = small()
    clips = paired_clips(videos=4, snippets=6, width=8)
    output, terms = system.loss(clips)
    label_B = clips.targets_BC.argmax(1).tolist()
    # Normal videos have a foreground only, abnormal ones a background too.
    pairs = [(output.scores_BT[row], row, label) for row, label in enumerate(label_B)]
    pairs += [(1 - output.scores_BT[row], row, 0) for row, label in enumerate(label_B) if label]
    parts, labels = [], []
    for scores_T, row, label in pairs:
        weights_T = (10 * scores_T).exp() - 1
        parts.append(weights_T / weights_T.sum() @ output.features_BTH[row])
        labels.append(label)
    label_R = torch.tensor(labels)
    cosine_RR = F.normalize(torch.stack(parts), dim=-1) @ system.text_CE[label_R].mT
    targets_RR = (10 * (label_R[:, None] == label_R).float()).softmax(1)
    divergence = (targets_RR * (targets_RR.log() - (cosine_RR / 0.09).log_softmax(1))).sum(1)
    assert len(labels) == 6
    torch.testing.assert_close(terms["texts"], divergence.mean())


def test_contrast_shares_the_mass_of_several_labels() -> None:
    system = small()
    clips = paired_clips(videos=4, snippets=6, width=8)
    # Two labels each, in classes whose numbers must not matter.
    clips = replace(clips, targets_BC=torch.tensor([[1.0, 0, 0], [1, 0, 0], [0, 1, 1], [0, 0, 1]]))
    output, terms = system.loss(clips)
    fore = [(output.scores_BT[row], row) for row in range(4)]
    parts = [*fore, *((1 - output.scores_BT[row], row) for row in (2, 3))]
    weights = [((10 * scores_T).exp() - 1, row) for scores_T, row in parts]
    video_RE = torch.stack([w_T / w_T.sum() @ output.features_BTH[row] for w_T, row in weights])
    both_E = F.normalize(system.text_CE[1] + system.text_CE[2], dim=0)
    normal_E, second_E = system.text_CE[0], system.text_CE[2]
    text_RE = torch.stack([normal_E, normal_E, both_E, second_E, normal_E, normal_E])
    cosine_RR = F.normalize(video_RE, dim=-1) @ text_RE.mT
    half = 0.5**0.5
    normal_R = [1.0, 1, 0, 0, 1, 1]
    alike_RR = torch.tensor([normal_R, normal_R, [0, 0, 1, half, 0, 0], [0, 0, half, 1, 0, 0],
                             normal_R, normal_R])  # fmt: skip
    targets_RR = (10 * alike_RR).softmax(1)
    divergence = (targets_RR * (targets_RR.log() - (cosine_RR / 0.09).log_softmax(1))).sum(1)
    torch.testing.assert_close(terms["texts"], divergence.mean())


def test_smoothing_averages_with_later_scores_or_in_blocks() -> None:
    scores_BT = torch.rand(1, 11)
    padded_T = F.pad(scores_BT[0], (0, 13))
    sliding_T = torch.stack([padded_T[start : start + 7].mean() for start in range(11)])
    blocks_T = torch.stack([padded_T[:8].mean(), padded_T[8:16].mean()]).repeat_interleave(8)[:11]
    torch.testing.assert_close(smooth(scores_BT, "sliding")[0], sliding_T)
    torch.testing.assert_close(smooth(scores_BT, "blocks")[0], blocks_T)
    assert smooth(scores_BT, "off") is scores_BT
