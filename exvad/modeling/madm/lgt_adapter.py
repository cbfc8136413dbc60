"""LGT-Adapter: image features F_I → visual features F_V (MADM; equation 4).

The design is that of VadCLIP (Wu et al., 2024).

A transformer mixes the snippets of one window. Then two graph networks mix the snippets of the
whole clip: one graph connects similar snippets, the other snippets that are close in time.

B videos · T snippets · D feature width · W snippets per window · N windows of all videos
S heads · d width of a head · H width of a graph layer · K videos that are adapted
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from exvad.modeling.cosine import reciprocal_length
from exvad.modeling.feed_forward import FeedForward, quick_gelu

SIMILARITY_THRESHOLD = 0.7


class WindowAttention(nn.Module):
    """Self-attention among the snippets of one window.

    Args:
        width: D.
        heads: S, number of heads; a divisor of the width.

    Raises:
        ValueError: `heads` does not divide the width.
    """

    def __init__(self, width: int, heads: int = 1) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads do not divide a width of {width}: choose a divisor")
        self.heads = heads
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.project_in.weight)
        nn.init.zeros_(self.project_in.bias)
        nn.init.zeros_(self.project_out.bias)

    def forward(self, x_NWD: torch.Tensor, keys_NW: torch.Tensor) -> torch.Tensor:
        """Mix the snippets of each window.

        Args:
            x_NWD: snippets by window.
            keys_NW: bool, the snippets to attend to; at least one per window.

        Returns:
            [N, W, D].
        """
        split = (3, self.heads, x_NWD.shape[-1] // self.heads)
        query_NSWd, key_NSWd, value_NSWd = (
            self.project_in(x_NWD).unflatten(-1, split).permute(2, 0, 3, 1, 4).unbind()
        )
        mixed_NSWd = F.scaled_dot_product_attention(
            query_NSWd, key_NSWd, value_NSWd, attn_mask=keys_NW[:, None, None, :]
        )
        mixed_NWD = mixed_NSWd.transpose(1, 2).flatten(2)
        projected_NWD: torch.Tensor = self.project_out(mixed_NWD)
        return projected_NWD


class WindowBlock(nn.Module):
    """Pre-norm transformer block: attention, then a 4× MLP, each with a residual.

    Args:
        width: D.
        heads: attention heads.
    """

    def __init__(self, width: int, heads: int = 1) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = WindowAttention(width, heads)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = FeedForward(width, 4 * width)

    def forward(self, x_NWD: torch.Tensor, keys_NW: torch.Tensor) -> torch.Tensor:
        """Transform [N, W, D]; see `WindowAttention.forward`."""
        x_NWD = x_NWD + self.attention(self.attention_norm(x_NWD), keys_NW)
        transformed_NWD: torch.Tensor = x_NWD + self.mlp(self.mlp_norm(x_NWD))
        return transformed_NWD


class LocalTransformer(nn.Module):
    """Transformer within non-overlapping windows.

    Args:
        blocks: the layers.
        window: W.
    """

    def __init__(self, blocks: Sequence[WindowBlock], window: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.window = window

    def forward(self, x_BTD: torch.Tensor, valid_BT: torch.Tensor) -> torch.Tensor:
        """Mix every snippet with the valid snippets of its window.

        Args:
            x_BTD: snippets.
            valid_BT: bool, False for padding.

        Returns:
            [B, T, D].
        """
        batch, length, width = x_BTD.shape
        window = min(self.window, length)
        padding = -length % window
        if padding:
            x_BTD = F.pad(x_BTD, (0, 0, 0, padding))
            valid_BT = F.pad(valid_BT, (0, padding))
        valid_NW = valid_BT.reshape(-1, window)
        # A window of padding only attends to itself: attention without any key is 0 or NaN,
        # depending on the backend.
        keys_NW = valid_NW | ~valid_NW.any(1, keepdim=True)
        x_NWD = x_BTD.reshape(-1, window, width)
        for block in self.blocks:
            x_NWD = block(x_NWD, keys_NW)
        return x_NWD.view(batch, length + padding, width)[:, :length]


def similarity_adjacency(x_BTD: torch.Tensor, valid_BT: torch.Tensor) -> torch.Tensor:
    """Return the adjacency of the graph that connects similar snippets.

    Each row is the softmax of the cosines over the valid snippets; cosines below 0.7 count as 0.
    Rows and columns of padding are 0.

    Args:
        x_BTD: snippets.
        valid_BT: bool, False for padding.

    Returns:
        [B, T, T], 0 to 1.
    """
    unit_BTD = x_BTD * reciprocal_length(x_BTD)
    cosine_BTT = torch.bmm(unit_BTD, unit_BTD.mT)
    similar_BTT = F.threshold(cosine_BTT, SIMILARITY_THRESHOLD, 0.0)
    lowest = torch.finfo(similar_BTT.dtype).min
    rows_BTT = similar_BTT.masked_fill(~valid_BT[:, None, :], lowest).softmax(-1)
    return rows_BTT.masked_fill(~valid_BT[:, :, None], 0.0)


class DistanceAdjacency(nn.Module):
    """The adjacency of the graph that connects snippets close in time: exp(−|i − j| / e).

    Args:
        max_snippets: largest T.
    """

    nearness_TT: torch.Tensor

    def __init__(self, max_snippets: int) -> None:
        super().__init__()
        times_T = torch.arange(max_snippets, dtype=torch.float32)
        gaps_TT = (times_T[:, None] - times_T[None, :]).abs()
        self.register_buffer("nearness_TT", torch.exp(-gaps_TT / math.e), persistent=False)

    def forward(self, valid_BT: torch.Tensor) -> torch.Tensor:
        """Return [B, T, T], 0 to 1, with columns of padding 0."""
        length = valid_BT.shape[1]
        return self.nearness_TT[:length, :length] * valid_BT[:, None, :]


class TemporalConvolution(nn.Conv1d):
    """Convolution over time that keeps the number of snippets.

    Args:
        width: D, of the input.
        out_width: H, of the output.
        kernel: odd number of snippets.
    """

    def __init__(self, width: int, out_width: int, kernel: int = 5) -> None:
        super().__init__(width, out_width, kernel, padding=kernel // 2)

    def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
        """Transform [B, T, D] to [B, T, H]."""
        # Snippets are a channels-last image of height 1, which conv2d takes without a copy.
        image_BD1T = x_BTD.unsqueeze(1).permute(0, 3, 1, 2)
        padding = (0, self.weight.shape[-1] // 2)
        image_BH1T = F.conv2d(image_BD1T, self.weight.unsqueeze(2), self.bias, padding=padding)
        return image_BH1T.permute(0, 2, 3, 1).squeeze(1)


class GraphConvolution(nn.Module):
    """Graph layer: QuickGELU(A · x · W + residual(x)).

    Args:
        width: of the input.
        out_width: H.
        residual: module [B, T, width] → [B, T, H].
    """

    def __init__(self, width: int, out_width: int, residual: nn.Module) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(width, out_width)))
        self.residual = residual

    def forward(self, x_BTD: torch.Tensor, adjacency_BTT: torch.Tensor) -> torch.Tensor:
        """Transform [B, T, width] to [B, T, H]."""
        # x · W before A, because H is half of D and the product with A then costs half.
        support_BTH = x_BTD @ self.weight
        return quick_gelu(torch.baddbmm(self.residual(x_BTD), adjacency_BTT, support_BTH))


class GraphBranch(nn.Module):
    """Two graph layers over one adjacency.

    Args:
        width: D.
        out_width: H.
    """

    def __init__(self, width: int, out_width: int) -> None:
        super().__init__()
        convolution = TemporalConvolution(width, out_width)
        self.first = GraphConvolution(width, out_width, convolution)
        self.second = GraphConvolution(out_width, out_width, nn.Identity())

    def forward(self, x_BTD: torch.Tensor, adjacency_BTT: torch.Tensor) -> torch.Tensor:
        """Transform [B, T, D] to [B, T, H]; padding must be 0."""
        hidden_BTH = self.first(x_BTD, adjacency_BTT)
        out_BTH: torch.Tensor = self.second(hidden_BTH, adjacency_BTT)
        return out_BTH


class LGTAdapter(nn.Module):
    """Local and global temporal adapter, F_V = LGT-Adapter(F_I) (equation 4).

    Args:
        local: transformer within windows.
        width: D, even.
        max_snippets: largest T.
        skip: whether F_I is added to the output, which is 0 before training. Without it a snippet
            gets through only mixed with its neighbours and with the mean of similar ones, so that
            short trainings find abnormal videos, not the snippets in them.
    """

    def __init__(
        self, local: LocalTransformer, width: int, max_snippets: int, skip: bool = False
    ) -> None:
        super().__init__()
        self.skip = skip
        self.position_TD = nn.Parameter(torch.empty(max_snippets, width))
        nn.init.normal_(self.position_TD, std=0.01)
        self.local = local
        self.similarity_branch = GraphBranch(width, width // 2)
        self.distance_branch = GraphBranch(width, width // 2)
        self.distance_adjacency = DistanceAdjacency(max_snippets)
        self.linear = nn.Linear(2 * (width // 2), width)
        if skip:
            nn.init.zeros_(self.linear.weight)
            nn.init.zeros_(self.linear.bias)

    def forward(
        self,
        visual_BTD: torch.Tensor,
        lengths_B: torch.Tensor,
        adapted_K: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Adapt image features to video.

        Args:
            visual_BTD: F_I, padded at the end.
            lengths_B: number of valid snippets of each video, 1 to T.
            adapted_K: indices of the videos that are adapted, integer, at least one; the others
                stay as they are, which needs `skip`. None for all.

        Returns:
            F_V, [B, T, D]; rows of padding are undefined.

        Raises:
            ValueError: T is larger than `max_snippets`.
        """
        length, max_snippets = visual_BTD.shape[1], self.position_TD.shape[0]
        if length > max_snippets:
            raise ValueError(
                f"a clip has {length} snippets, but this network takes at most {max_snippets}: "
                "cut the video into clips of that length, or raise model.max_snippets and retrain"
            )
        if adapted_K is not None:
            assert self.skip, "without the skip nothing is left of a video that is not adapted"
            adapted_KTD = self._adapt(visual_BTD[adapted_K], lengths_B[adapted_K])
            return visual_BTD.index_add(0, adapted_K, adapted_KTD.to(visual_BTD.dtype))
        adapted_BTD = self._adapt(visual_BTD, lengths_B)
        return adapted_BTD + visual_BTD if self.skip else adapted_BTD

    def _adapt(self, visual_BTD: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        length = visual_BTD.shape[1]
        valid_BT = torch.arange(length, device=lengths_B.device) < lengths_B[:, None]
        x_BTD = self.local(visual_BTD + self.position_TD[:length], valid_BT)
        # Else the convolution and the graphs would mix the padding into valid snippets.
        x_BTD = x_BTD.masked_fill(~valid_BT[..., None], 0.0)
        similar_BTH = self.similarity_branch(x_BTD, similarity_adjacency(x_BTD, valid_BT))
        near_BTH = self.distance_branch(x_BTD, self.distance_adjacency(valid_BT))
        adapted_BTD: torch.Tensor = self.linear(torch.cat([similar_BTH, near_BTH], -1))
        return adapted_BTD
