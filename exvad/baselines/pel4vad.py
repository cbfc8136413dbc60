"""PEL4VAD: temporal context and texts about the classes (Pu, Wu, Yang and Wang, TIP 2024).

Attention mixes snippets globally and in a window, with a learned prior of nearness. A causal
convolution scores them. The features that a video's scores point at must match the text of its
class, and those that they point away from the text of the normal class.

Rebuilt from the paper and from its public code (MIT, github.com/yujiangpu20/PEL4VAD).

B videos · T snippets · D feature width · C classes · E text width · d width of the attention
R rows of the contrastive loss
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import nn

from exvad.baselines.common.class_maps import compose_map
from exvad.baselines.common.graphs import gaps
from exvad.baselines.common.system import Baseline, Clips, Output, Recipe, Step
from exvad.modeling.alignment import alignment_map
from exvad.modeling.losses import mil_top_k_mean

Smoothing: TypeAlias = Literal["off", "sliding", "blocks"]
ATTENTION, HIDDEN, WINDOW = 128, 300, 9
FOCUS = 10.0


class TemporalContext(nn.Module):
    """Attention of all snippets and of a window, with a learned prior of nearness.

    Args:
        width: D.
        prior: initial w and b of the prior exp(−|w d² − b|).
        normalize: signed square root, then unit length over time, as for UCF-Crime.
    """

    def __init__(self, width: int, prior: tuple[float, float], normalize: bool) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, ATTENTION) for _ in range(3))
        self.out = nn.Linear(ATTENTION, width)
        self.slope = nn.Parameter(torch.tensor([prior[0]]))
        self.offset = nn.Parameter(torch.tensor([prior[1]]))
        self.share = nn.Parameter(torch.tensor(0.0))
        self.normalize = normalize

    def forward(self, x_BTD: torch.Tensor, valid_BT: torch.Tensor) -> torch.Tensor:
        """Mix the valid snippets of videos, [B, T, D]."""
        gaps_TT = gaps(x_BTD.shape[1], x_BTD.device)
        prior_TT = (-(self.slope * gaps_TT.square() - self.offset).abs()).exp()
        keys_BTd, value_BTd = self.key(x_BTD), self.value(x_BTD)
        ratings_BTT = self.query(x_BTD) @ keys_BTd.mT / math.sqrt(ATTENTION) + prior_TT
        lowest = torch.finfo(ratings_BTT.dtype).min
        ratings_BTT = ratings_BTT.masked_fill(~valid_BT[:, None, :], lowest)
        local_BTT = ratings_BTT.masked_fill(gaps_TT > WINDOW // 2, lowest)
        share = self.share.sigmoid()
        weights_BTT = share * ratings_BTT.softmax(-1) + (1 - share) * local_BTT.softmax(-1)
        mixed_BTd = weights_BTT @ value_BTd
        if self.normalize:
            # The gradient of a square root at 0 is infinite, but that of ReLU hides it.
            mixed_BTd = mixed_BTd.relu().sqrt() - (-mixed_BTd).relu().sqrt()
            mixed_BTd = F.normalize(mixed_BTd.masked_fill(~valid_BT[..., None], 0), dim=1)
        out_BTD: torch.Tensor = self.out(mixed_BTd)
        return out_BTD


class PEL4VAD(Baseline):
    """Scores snippets, and aligns what the scores point at with class texts.

    The defaults are those for UCF-Crime; for XD-Violence they are kernel 3, prior (0.06, 0.02),
    no normalization, and a temperature of 0.05.

    Args:
        width: D.
        text_CE: features of the texts about the classes, the normal class first.
        kernel: snippets of the causal convolution.
        prior: see `TemporalContext`.
        normalize: see `TemporalContext`.
        temperature: initial temperature of the contrastive loss.
        smoothing: "sliding" averages scores with the 6 snippets after them, "blocks" within blocks
            of 8; both as in the published tests for UCF-Crime and XD-Violence.
    """

    recipe = Recipe(
        videos=128,
        pairs=False,
        length="index",
        snippets=200,
        learning_rate=5e-4,
        epochs=50,
        cosine=1.2,
    )
    text_CE: torch.Tensor

    def __init__(
        self,
        width: int,
        text_CE: torch.Tensor,
        kernel: int = 9,
        prior: tuple[float, float] = (0.6, 0.2),
        normalize: bool = True,
        temperature: float = 0.09,
        smoothing: Smoothing = "off",
    ) -> None:
        super().__init__()
        self.smoothing = smoothing
        self.register_buffer("text_CE", F.normalize(text_CE.float(), dim=-1))
        self.feature_width = text_CE.shape[1]
        self.context = TemporalContext(width, prior, normalize)
        self.norm = nn.LayerNorm(width)
        self.middle = nn.Linear(width, self.feature_width)
        self.hidden = nn.Linear(self.feature_width, HIDDEN)
        self.score = nn.Conv1d(HIDDEN, 1, kernel)
        self.dropout = nn.Dropout(0.1)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / temperature)))
        for layer in self.modules():
            if isinstance(layer, nn.Linear | nn.Conv1d):
                nn.init.xavier_uniform_(layer.weight)

    def forward(self, clips: Clips) -> Output:
        """Score snippets; see `Baseline.forward`."""
        middle_BTE, logits_BT = self._run(clips)
        return self._output(middle_BTE, smooth(logits_BT.sigmoid(), self.smoothing))

    def loss(self, clips: Clips) -> Step:
        """Return the terms `bce` and `texts`; see `Baseline.loss`."""
        middle_BTE, logits_BT = self._run(clips)
        valid_BT, abnormal_B = clips.valid_BT, clips.abnormal_B
        # Normal videos count with their highest snippet, abnormal ones with the mean of K.
        highest_B = logits_BT.masked_fill(~valid_BT, -torch.inf).amax(1).sigmoid()
        mean_B = mil_top_k_mean(logits_BT.sigmoid(), clips.lengths_B)
        video_B = torch.where(abnormal_B, mean_B, highest_B).clamp(0, 1)
        terms = {
            "bce": F.binary_cross_entropy(video_B, abnormal_B.to(video_B)),
            "texts": self._contrast(middle_BTE, logits_BT.sigmoid(), clips),
        }
        return Step(self._output(middle_BTE, logits_BT.sigmoid()), terms)

    def _run(self, clips: Clips) -> tuple[torch.Tensor, torch.Tensor]:
        """Return features [B, T, E] of the middle layer and logits [B, T]."""
        valid_BT = clips.valid_BT
        x_BTD = clips.visual_BTD
        x_BTD = self.norm(x_BTD + self.context(x_BTD, valid_BT))
        middle_BTE = self.dropout(F.gelu(self.middle(x_BTD)))
        hidden_BTH = self.dropout(F.gelu(self.hidden(middle_BTE)))
        past_BHT = F.pad(hidden_BTH.mT, (self.score.kernel_size[0] - 1, 0))
        return middle_BTE, self.score(past_BHT).squeeze(1)

    def _output(self, middle_BTE: torch.Tensor, scores_BT: torch.Tensor) -> Output:
        cosine_BTA = alignment_map(middle_BTE, self.text_CE[1:])
        map_BTC = compose_map(scores_BT, self.log_scale.exp() * cosine_BTA)
        return Output(scores_BT, middle_BTE, map_BTC)

    def _contrast(
        self, middle_BTE: torch.Tensor, scores_BT: torch.Tensor, clips: Clips
    ) -> torch.Tensor:
        """Return the divergence of similarities from equal labels, over R parts of videos."""
        abnormal_B = clips.abnormal_B
        fore_BE = _pooled(middle_BTE, scores_BT, clips.valid_BT)
        back_BE = _pooled(middle_BTE, 1 - scores_BT, clips.valid_BT)
        normal_C = F.one_hot(torch.tensor(0), len(self.text_CE)).to(clips.targets_BC)
        background_AC = normal_C.expand(int(abnormal_B.sum()), -1)
        labels_RC = torch.cat([clips.targets_BC, background_AC])
        video_RE = F.normalize(torch.cat([fore_BE, back_BE[abnormal_B]]), dim=-1)
        # Labels share the mass of a video: its text is their mean direction, and two videos are as
        # equal as the cosine of their labels, which is 0 or 1 with one label each.
        shares_RC = F.normalize(labels_RC, p=1, dim=1)
        text_RE = F.normalize(shares_RC @ self.text_CE, dim=-1)
        similarity_RR = self.log_scale.exp() * video_RE @ text_RE.mT
        unit_RC = F.normalize(labels_RC, dim=1)
        targets_RR = (FOCUS * (unit_RC @ unit_RC.mT)).softmax(1)
        return F.kl_div(similarity_RR.log_softmax(1), targets_RR, reduction="batchmean")


def smooth(scores_BT: torch.Tensor, smoothing: Smoothing) -> torch.Tensor:
    """Smooth the scores of videos without padding; beyond the end they count as 0.

    Args:
        scores_BT: scores.
        smoothing: see `PEL4VAD`.
    """
    length = scores_BT.shape[1]
    if smoothing == "sliding":
        return F.avg_pool1d(F.pad(scores_BT, (0, 6)), 7, stride=1)
    if smoothing == "blocks":
        blocks_BT = F.avg_pool1d(F.pad(scores_BT, (0, -length % 8)), 8)
        return blocks_BT.repeat_interleave(8, dim=1)[:, :length]
    return scores_BT


def _pooled(x_BTE: torch.Tensor, scores_BT: torch.Tensor, valid_BT: torch.Tensor) -> torch.Tensor:
    """Return the mean of features weighted by exp(10 s) − 1, [B, E]."""
    weights_BT = (FOCUS * scores_BT).expm1().masked_fill(~valid_BT, 0)
    weights_BT = F.normalize(weights_BT, p=1, dim=1)
    return (weights_BT[:, None] @ x_BTE).squeeze(1)
