"""VadCLIP: a binary branch and an alignment with learned prompts (Wu et al., AAAI 2024).

The adapter is the one that Ex-VAD took over (`exvad.modeling.madm.lgt_adapter`). The classifier
branch scores every snippet. The alignment branch compares snippets with class texts: learned
context tokens around the class name go through CLIP's frozen text encoder, and a visual prompt, the
sum of the snippets weighted by their scores, is added.

Rebuilt from the paper and from its public code (Apache-2.0, github.com/nwpu-zxr/VadCLIP).

B videos · T snippets · C classes · D feature width · L tokens · W width of the text encoder
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import nn

from exvad.baselines.clip_text import ClipText, Prompts
from exvad.baselines.common.system import Baseline, Clips, Output, Recipe, Step
from exvad.modeling.alignment import LearnablePrompt
from exvad.modeling.cosine import reciprocal_length
from exvad.modeling.feed_forward import FeedForward
from exvad.modeling.losses import alignment_loss, bce_loss
from exvad.modeling.madm.lgt_adapter import LGTAdapter, LocalTransformer, WindowBlock

Branch: TypeAlias = Literal["classifier", "alignment"]
TAU = 0.07
MAX_SNIPPETS = 256
UCF_RECIPE = Recipe(
    videos=128,
    pairs=True,
    length="mean",
    snippets=MAX_SNIPPETS,
    optimizer="adamw",
    learning_rate=2e-5,
    weight_decay=0.01,
    epochs=10,
    milestones=(0.4, 0.8),
)
XD_RECIPE = Recipe(
    videos=96,
    pairs=False,
    length="mean",
    snippets=MAX_SNIPPETS,
    optimizer="adamw",
    learning_rate=1e-5,
    weight_decay=0.01,
    epochs=10,
    milestones=(0.3, 0.6),
)


class TokenPrompt(nn.Module):
    """Class texts with learned context tokens, in CLIP's frozen text encoder.

    A text is: start token, `prefix` learned tokens, the name's tokens, `postfix` learned tokens,
    end token. Learned tokens are the rows of one table by position, for all classes.

    Args:
        text: the text encoder.
        prompts: the class names.
        prefix: learned tokens before the name.
        postfix: learned tokens after it.

    Raises:
        ValueError: a text is longer than the context of the encoder.
    """

    fixed_CLW: torch.Tensor
    learned_CL1: torch.Tensor
    ends_C: torch.Tensor

    def __init__(self, text: ClipText, prompts: Prompts, prefix: int, postfix: int) -> None:
        super().__init__()
        self.text = text
        ends_C = prompts.ends_C + prefix + postfix
        length = int(ends_C.max()) + 1
        if length > text.context_length:
            raise ValueError(
                f"a class name has {int(prompts.ends_C.max()) - 1} tokens, and with {prefix} + "
                f"{postfix} learned tokens around it the text has {length}, but the text encoder "
                f"takes {text.context_length}: learn fewer tokens, or shorten the name"
            )
        embedded_CLW = text.embed(prompts.tokens_CL)
        fixed_CLW = torch.zeros(len(ends_C), length, text.token_width)
        learned_CL1 = torch.ones(len(ends_C), length, 1, dtype=torch.bool)
        for row, end in enumerate(prompts.ends_C.tolist()):
            positions = [0, *range(prefix + 1, prefix + end), prefix + end + postfix]
            sources = [0, *range(1, end), end]
            fixed_CLW[row, positions] = embedded_CLW[row, sources].cpu()
            learned_CL1[row, positions] = False
        self.register_buffer("fixed_CLW", fixed_CLW, persistent=False)
        self.register_buffer("learned_CL1", learned_CL1, persistent=False)
        self.register_buffer("ends_C", ends_C, persistent=False)
        self.table_LW = nn.Parameter(torch.empty(text.context_length, text.token_width))
        nn.init.normal_(self.table_LW, std=0.01)

    def forward(self) -> torch.Tensor:
        """Return the features of the class texts, [C, D]."""
        table_LW = self.table_LW[: self.fixed_CLW.shape[1]]
        embedded_CLW = torch.where(self.learned_CL1, table_LW, self.fixed_CLW)
        return self.text.encode(embedded_CLW, self.ends_C)


class LabelPrompt(nn.Module):
    """Label embeddings with learned offsets, where there is no text encoder.

    Args:
        label_CD: label embeddings.
    """

    label_CD: torch.Tensor

    def __init__(self, label_CD: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("label_CD", label_CD.float())
        self.offset = LearnablePrompt(*label_CD.shape)

    def forward(self) -> torch.Tensor:
        """Return the features of the class texts, [C, D]."""
        text_CD: torch.Tensor = self.offset(self.label_CD)
        return text_CD


class VadCLIP(Baseline):
    """Scores snippets and aligns them with class texts.

    Args:
        width: D, even.
        prompt: the class texts, `TokenPrompt` or `LabelPrompt`.
        layers: of the local transformer; the paper's are 2 for UCF-Crime, 1 for XD-Violence.
        window: its snippets per window; 8 and 64.
        lambda_: weight of the loss of the class texts; 0.1 and 1e-4.
        branch: which branch gives the scores.
        reload_best: whether training goes on from the best weights so far after every look at the
            videos that select, as the public code does after every epoch on the test videos.
    """

    recipe = UCF_RECIPE
    feature_width: int
    chunk = MAX_SNIPPETS

    def __init__(
        self,
        width: int,
        prompt: TokenPrompt | LabelPrompt,
        layers: int = 2,
        window: int = 8,
        lambda_: float = 0.1,
        branch: Branch = "classifier",
        reload_best: bool = False,
    ) -> None:
        super().__init__()
        self.reload_best = reload_best
        self.feature_width = width
        self.lambda_, self.branch = lambda_, branch
        local = LocalTransformer([WindowBlock(width) for _ in range(layers)], window)
        self.adapter = LGTAdapter(local, width, MAX_SNIPPETS)
        self.ffn = FeedForward(width, 4 * width)
        self.classifier = nn.Linear(width, 1)
        self.prompt = prompt
        self.text_ffn = FeedForward(width, 4 * width)

    def forward(self, clips: Clips) -> Output:
        """Score snippets; see `Baseline.forward`."""
        return self._run(clips)[0]

    def loss(self, clips: Clips) -> Step:
        """Return the terms `bce`, `classes` and `texts`; see `Baseline.loss`."""
        output, logits_BT, map_BTC, text_CD = self._run(clips)
        lengths_B = clips.lengths_B
        unit_CD = F.normalize(text_CD, dim=-1)
        terms = {
            "bce": bce_loss(logits_BT, clips.abnormal_B, lengths_B),
            "classes": alignment_loss(map_BTC, clips.targets_BC, lengths_B, tau=1.0),
            "texts": self.lambda_ * (unit_CD[1:] @ unit_CD[0]).abs().mean(),
        }
        return Step(output, terms)

    def _run(self, clips: Clips) -> tuple[Output, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the output, logits [B, T] of both branches ([B, T, C]), and texts [C, D]."""
        x_BTD = self.adapter(clips.visual_BTD, clips.lengths_B)
        # Else the visual prompt would contain padding, as it does in the public code.
        x_BTD = x_BTD.masked_fill(~clips.valid_BT[..., None], 0)
        logits_BT = self.classifier(x_BTD + self.ffn(x_BTD)).squeeze(-1)
        text_CD = self.prompt()
        prompt_B1D = F.normalize(logits_BT[:, None] @ x_BTD, dim=-1)
        text_BCD = text_CD + prompt_B1D
        text_BCD = F.normalize(text_BCD + self.text_ffn(text_BCD), dim=-1)
        map_BTC = x_BTD @ text_BCD.mT * (reciprocal_length(x_BTD) / TAU)
        probabilities_BTC = map_BTC.softmax(-1)
        scores_BT = logits_BT.sigmoid()
        if self.branch == "alignment":
            scores_BT = 1 - probabilities_BTC[..., 0]
        return Output(scores_BT, x_BTD, probabilities_BTC), logits_BT, map_BTC, text_CD
