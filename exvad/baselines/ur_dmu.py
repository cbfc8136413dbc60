"""UR-DMU: memories of normal and abnormal snippets (Zhou, Yu and Yang, AAAI 2023; "DMU").

A transformer mixes snippets globally and by nearness. Two memories are read: how strongly a snippet
matches a memory should tell whether it is abnormal, and what is read augments the snippet. What
normal videos read from the normal memory is treated as uncertain and sampled.

Rebuilt from the paper and from its public code (MIT, github.com/henrryzh1/UR-DMU).

B videos · T snippets · N, A normal and abnormal videos · D feature width · H width · M memory slots
S heads · d width of a head · K highest snippets
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from exvad.baselines.common.graphs import nearness
from exvad.baselines.common.selection import pick
from exvad.baselines.common.system import Baseline, Clips, Output, Recipe, Step
from exvad.modeling.losses import bce_loss
from exvad.modeling.madm.lgt_adapter import TemporalConvolution

WIDTH, HEADS, SLOTS = 512, 4, 60
MEMORY, TRIPLET, KL, DISTANCE, MARGIN = 0.1, 0.1, 1e-3, 1e-4, 100.0


class GlobalLocalAttention(nn.Module):
    """Attention of all snippets beside means of near ones.

    Args:
        near: "rows" makes the weights of near snippets sum to 1 for every snippet; "columns"
            divides by the sums of the other side, as the public code does.
    """

    def __init__(self, near: Literal["rows", "columns"]) -> None:
        super().__init__()
        self.near = near
        self.project_in = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.project_out = nn.Linear(2 * WIDTH, WIDTH)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x_BTH: torch.Tensor) -> torch.Tensor:
        """Mix the snippets of videos, [B, T, H]."""
        split = (4, HEADS, WIDTH // HEADS)
        query_BSTd, key_BSTd, value_BSTd, near_BSTd = (
            self.project_in(x_BTH).unflatten(-1, split).permute(2, 0, 3, 1, 4).unbind()
        )
        global_BSTd = F.scaled_dot_product_attention(query_BSTd, key_BSTd, value_BSTd)
        weights_TT = nearness(x_BTH.shape[1], x_BTH.device)
        weights_TT = weights_TT / weights_TT.sum(-1, keepdim=self.near == "rows")
        mixed_BSTd = torch.cat([global_BSTd, weights_TT @ near_BSTd], -1)
        mixed_BTH: torch.Tensor = self.project_out(mixed_BSTd.transpose(1, 2).flatten(2))
        out_BTH: torch.Tensor = self.dropout(mixed_BTH)
        return out_BTH


class Block(nn.Module):
    """Pre-norm transformer block.

    Args:
        near: see `GlobalLocalAttention`.
    """

    def __init__(self, near: Literal["rows", "columns"]) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(WIDTH)
        self.attention = GlobalLocalAttention(near)
        self.mlp_norm = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, WIDTH),
            nn.GELU(),
            nn.Dropout(0.5),
            nn.Linear(WIDTH, WIDTH),
            nn.Dropout(0.5),
        )

    def forward(self, x_BTH: torch.Tensor) -> torch.Tensor:
        """Transform [B, T, H]."""
        x_BTH = x_BTH + self.attention(self.attention_norm(x_BTH))
        transformed_BTH: torch.Tensor = x_BTH + self.mlp(self.mlp_norm(x_BTH))
        return transformed_BTH


class Memory(nn.Module):
    """Slots that snippets are compared with."""

    def __init__(self) -> None:
        super().__init__()
        bound = 1 / math.sqrt(WIDTH)
        self.slots_MH = nn.Parameter(torch.empty(SLOTS, WIDTH).uniform_(-bound, bound))

    def forward(self, x_BTH: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return how strongly snippets match, [B, T], 0 to 1, and what they read, [B, T, H]."""
        weights_BTM = (x_BTH @ self.slots_MH.mT / math.sqrt(WIDTH)).sigmoid()
        match_BT = weights_BTM.topk(SLOTS // 16 + 1, dim=-1).values.mean(-1)
        return match_BT, weights_BTM @ self.slots_MH


class URDMU(Baseline):
    """Scores snippets with what they read from two memories.

    Args:
        width: D.
        kl_axis: "standard" sums the divergence over features and averages over time; "code" sums
            over time and averages over features, as the public code does.
        near: see `GlobalLocalAttention`.
    """

    recipe = Recipe(
        videos=128,
        pairs=True,
        length="segments",
        snippets=200,
        learning_rate=1e-4,
        weight_decay=5e-5,
        steps=3_000,
    )
    feature_width = 2 * WIDTH

    def __init__(
        self,
        width: int,
        kl_axis: Literal["standard", "code"] = "standard",
        near: Literal["rows", "columns"] = "rows",
    ) -> None:
        super().__init__()
        self.kl_axis = kl_axis
        self.embedding = TemporalConvolution(width, WIDTH, 3)
        self.blocks = nn.Sequential(Block(near), Block(near))
        self.normal_memory, self.abnormal_memory = Memory(), Memory()
        self.encoder_mu = nn.Linear(WIDTH, WIDTH)
        self.encoder_var = nn.Linear(WIDTH, WIDTH)
        self.classifier = nn.Sequential(nn.Linear(2 * WIDTH, 128), nn.ReLU(), nn.Linear(128, 1))

    def forward(self, clips: Clips) -> Output:
        """Score snippets; see `Baseline.forward`."""
        x_BTH = self._embed(clips)
        read_BTH = self.normal_memory(x_BTH)[1] + self.abnormal_memory(x_BTH)[1]
        # The encoder is affine: of a sum of two reads it has its bias twice.
        read_BTH = self.encoder_mu(read_BTH) + self.encoder_mu.bias
        return self._classify(x_BTH, read_BTH)[0]

    def loss(self, clips: Clips) -> Step:
        """Return the terms `bce`, `memory`, `triplet`, `kl` and `distance`; see `Baseline.loss`."""
        x_BTH = self._embed(clips)
        abnormal_B = clips.abnormal_B
        normal_NTH, abnormal_ATH = x_BTH[~abnormal_B], x_BTH[abnormal_B]
        nn_match_NT, nn_read_NTH = self.normal_memory(normal_NTH)
        na_match_NT, na_read_NTH = self.abnormal_memory(normal_NTH)
        an_match_AT, an_read_ATH = self.normal_memory(abnormal_ATH)
        aa_match_AT, aa_read_ATH = self.abnormal_memory(abnormal_ATH)

        mu_NTH, log_var_NTH = self.encoder_mu(nn_read_NTH), self.encoder_var(nn_read_NTH)
        sampled_NTH = mu_NTH + torch.randn_like(mu_NTH) * (log_var_NTH / 2).exp()
        own_ATH = self.encoder_mu(aa_read_ATH)
        read_BTH = torch.empty_like(x_BTH)
        read_BTH[~abnormal_B] = sampled_NTH + self.encoder_mu(na_read_NTH)
        read_BTH[abnormal_B] = own_ATH + self.encoder_mu(an_read_ATH)
        output, logits_BT = self._classify(x_BTH, read_BTH)

        count = x_BTH.shape[1] // 16 + 1
        count = min(count, x_BTH.shape[1])
        anchors_NK = nn_match_NT.topk(count, dim=1).indices
        positives_AK = an_match_AT.topk(count, dim=1).indices
        negatives_AK = aa_match_AT.topk(count, dim=1).indices
        anchor_NH, positive_AH, negative_AH = (
            F.normalize(pick(x, picked).mean(1), dim=-1)
            for x, picked in (
                (normal_NTH, anchors_NK),
                (abnormal_ATH, positives_AK),
                (abnormal_ATH, negatives_AK),
            )
        )
        negative_length_A = pick(own_ATH, negatives_AK).mean(1).norm(dim=-1)
        anchor_length_N = pick(sampled_NTH, anchors_NK).mean(1).norm(dim=-1)
        memory = (
            _towards_one(aa_match_AT.topk(count, dim=1).values.mean(1))
            + _towards_one((1 - an_match_AT).topk(count, dim=1).values.mean(1))
            + _towards_one(nn_match_NT)
            + _towards_one(1 - na_match_NT)
        )
        terms = {
            "bce": bce_loss(logits_BT, abnormal_B, clips.lengths_B),
            "memory": MEMORY * memory,
            "triplet": TRIPLET * F.triplet_margin_loss(anchor_NH, positive_AH, negative_AH),
            "kl": KL * self._divergence(mu_NTH, log_var_NTH),
            "distance": DISTANCE * (MARGIN - negative_length_A + anchor_length_N).relu().mean(),
        }
        return Step(output, terms)

    def _embed(self, clips: Clips) -> torch.Tensor:
        embedded_BTH: torch.Tensor = self.blocks(self.embedding(clips.unpadded_BTD).relu())
        return embedded_BTH

    def _classify(self, x_BTH: torch.Tensor, read_BTH: torch.Tensor) -> tuple[Output, torch.Tensor]:
        features_BTH = torch.cat([x_BTH, read_BTH], -1)
        logits_BT = self.classifier(features_BTH).squeeze(-1)
        return Output(logits_BT.sigmoid(), features_BTH), logits_BT

    def _divergence(self, mu_NTH: torch.Tensor, log_var_NTH: torch.Tensor) -> torch.Tensor:
        """Return the Kullback–Leibler divergence from the standard normal distribution."""
        each_NTH = (mu_NTH.square() + log_var_NTH.exp() - 1 - log_var_NTH) / 2
        return each_NTH.sum(1 if self.kl_axis == "code" else 2).mean()


def _towards_one(matches: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy of matches, 0 to 1, that should be 1."""
    return F.binary_cross_entropy(matches, torch.ones_like(matches))
