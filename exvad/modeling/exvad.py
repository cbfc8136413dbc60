"""The network of Figure 2: adapter, fusion, classifier (MADM) and alignment (LAAM) connected.

`build_exvad` chooses the parts and their sizes.

B videos · T snippets · D feature width · C classes · K videos that are adapted
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import nn

from exvad.modeling.alignment import LabelAdapter, LabelCentre, LearnablePrompt, alignment_map
from exvad.modeling.evidence import COLUMNS, EvidenceInput
from exvad.modeling.feed_forward import FeedForward
from exvad.modeling.inputs import InputLayer
from exvad.modeling.madm.classifier import AnomalyClassifier
from exvad.modeling.madm.fusion import (
    AddFusion,
    ConcatFusion,
    GatedFusion,
    VisualOnly,
    over_time,
)
from exvad.modeling.madm.lgt_adapter import LGTAdapter, LocalTransformer, WindowBlock

TextKind: TypeAlias = Literal["none", "captions", "explanation", "grounded"]  # source of F_T


class Output(NamedTuple):
    """The output of the network; rows of padding are undefined.

    Args:
        logits_BT: anomaly scores s before the sigmoid.
        similarity_BTC: alignment map M, -1 to 1.
        label_CD: adapted label embeddings F_L, of unit length.
    """

    logits_BT: torch.Tensor
    similarity_BTC: torch.Tensor
    label_CD: torch.Tensor


class ExVAD(nn.Module):
    """Scores snippets from image, text and label features.

    Args:
        adapter: F_I and lengths → F_V.
        fusion: F_V and F_T → F_F.
        classifier: F_F → logits of s.
        label_adapter: F_L → F_L, [C, D] both.
        visual_input: what comes before the adapter; None for nothing.
        text_input: what comes before the fusion, for F_T; None for nothing.
        evidence: what comes after the fusion, for the last column of the text features; None if
            they have no such column.
        weighted_classes: whether `class_probabilities` shall weigh them with the anomaly score;
            the output of the network is the same.
    """

    def __init__(
        self,
        adapter: LGTAdapter,
        fusion: nn.Module,
        classifier: AnomalyClassifier,
        label_adapter: nn.Module,
        visual_input: InputLayer | None = None,
        text_input: InputLayer | None = None,
        evidence: EvidenceInput | None = None,
        weighted_classes: bool = False,
    ) -> None:
        super().__init__()
        self.visual_input = visual_input
        self.text_input = text_input
        width = adapter.position_TD.shape[1]
        self.visual_width: int = width if visual_input is None else visual_input.width
        self.text_width: int = width if text_input is None else text_input.width
        self.text_width += 0 if evidence is None else COLUMNS
        self.adapter = adapter
        self.fusion = fusion
        self.classifier = classifier
        self.label_adapter = label_adapter
        self.evidence = evidence
        self.weighted_classes = weighted_classes

    def forward(
        self,
        visual_BTD: torch.Tensor,
        lengths_B: torch.Tensor,
        text: torch.Tensor | None,
        label_CD: torch.Tensor,
        adapted_K: torch.Tensor | None = None,
    ) -> Output:
        """Compute anomaly scores and the alignment map of every snippet.

        Args:
            visual_BTD: image features F_I, padded at the end; T up to `max_snippets`.
            lengths_B: number of valid snippets of each video, integer, 1 to T.
            text: F_T, [B, D] of videos or [B, T, D] of snippets, with the column of the evidence
                if the network takes it; None without text.
            label_CD: label embeddings F_L, [C, D], the normal class first.
            adapted_K: the videos that go through the adapter; see `LGTAdapter.forward`.

        Raises:
            ValueError: T is larger than `max_snippets`, features have another width than those of
                the training, or text is missing or not expected.
        """
        _check_width("image", visual_BTD, self.visual_width)
        if text is not None:
            _check_width("text", text, self.text_width)
        label_CD = F.normalize(self.label_adapter(F.normalize(label_CD, dim=-1)), dim=-1)
        if self.visual_input is not None:
            visual_BTD = self.visual_input(visual_BTD)
        evidence = None
        if self.evidence is not None and text is not None:
            text, evidence = text[..., :-COLUMNS], text[..., -COLUMNS:]
        if self.text_input is not None and text is not None:
            text = self.text_input(text)
        fused_BTD = self.fusion(self.adapter(visual_BTD, lengths_B, adapted_K), text)
        if self.evidence is not None and evidence is not None:
            fused_BTD = self.evidence(fused_BTD, over_time(evidence))
        return Output(self.classifier(fused_BTD), alignment_map(fused_BTD, label_CD), label_CD)


def build_exvad(
    width: int,
    num_classes: int,
    *,
    max_snippets: int = 256,
    window: int = 8,
    layers: int = 2,
    heads: int = 1,
    ffn_ratio: int = 2,
    skip: bool = False,
    fusion: Literal["add", "concat", "gated"] = "concat",
    text: TextKind = "explanation",
    label_prompt: Literal["name", "template", "learnable", "augmented"] = "augmented",
    label_adapter: bool = True,
    centred_labels: bool = False,
    features: Literal["raw", "standardised"] = "raw",
    visual_width: int | None = None,
    text_width: int | None = None,
    evidence: float = 0.0,
    weighted_classes: bool = False,
) -> ExVAD:
    """Build the network; the defaults are the paper's for UCF-Crime at D = 512.

    Args:
        width: D, width of the label embeddings and of the network; even.
        num_classes: C, with the normal class.
        max_snippets: largest T.
        window: W, snippets per window of the local transformer.
        layers: number of its layers.
        heads: number of its attention heads.
        ffn_ratio: hidden width of the classifier's FFN, in multiples of D.
        skip: whether image features are added to the output of the adapter.
        fusion: how F_V and F_T are fused.
        text: source of F_T; "none" builds a network without fusion.
        label_prompt: source of F_L; only "learnable" adds a part to the network.
        label_adapter: whether the label embeddings are trainable.
        centred_labels: whether the mean of the label embeddings is subtracted.
        features: whether image and text features are standardised; see `InputLayer`.
        visual_width: width of the image features; None for D.
        text_width: width of the text features, without the column of evidence; None for D.
        evidence: factor on that column, which only grounded text has.
        weighted_classes: whether class probabilities are weighted with the anomaly score.

    Raises:
        ValueError: the width is odd, or `heads` does not divide it.
    """
    if width % 2:
        raise ValueError(f"the feature width is {width}, but the graph branches need an even one")
    blocks = [WindowBlock(width, heads) for _ in range(layers)]
    label_steps: list[nn.Module] = [LabelCentre(width)] if centred_labels else []
    if label_prompt == "learnable":
        label_steps.append(LearnablePrompt(num_classes, width))
    if label_adapter:
        label_steps.append(LabelAdapter(width))
    return ExVAD(
        adapter=LGTAdapter(LocalTransformer(blocks, window), width, max_snippets, skip),
        fusion=VisualOnly() if text == "none" else _build_fusion(fusion, width),
        classifier=AnomalyClassifier(FeedForward(width, ffn_ratio * width), width),
        label_adapter=nn.Sequential(*label_steps),
        visual_input=_build_input(visual_width or width, width, features),
        text_input=None if text == "none" else _build_input(text_width or width, width, features),
        evidence=EvidenceInput(width, evidence) if text == "grounded" else None,
        weighted_classes=weighted_classes,
    )


def _check_width(kind: str, features: torch.Tensor, width: int) -> None:
    if features.shape[-1] != width:
        raise ValueError(
            f"the {kind} features are {features.shape[-1]} wide, and this network was built for "
            f"{width}: give it the features of the encoder that it was trained with"
        )


def _build_input(
    feature_width: int, width: int, features: Literal["raw", "standardised"]
) -> InputLayer | None:
    if features == "raw" and feature_width == width:
        return None
    return InputLayer(feature_width, width, features == "standardised")


def _build_fusion(fusion: Literal["add", "concat", "gated"], width: int) -> nn.Module:
    if fusion == "add":
        return AddFusion()
    return ConcatFusion(width) if fusion == "concat" else GatedFusion(width)


def class_probabilities(output: Output, tau: float, weighted: bool = False) -> torch.Tensor:
    """Return the class probabilities of every snippet, [B, T, C] float32, which sum to 1.

    Args:
        output: output of the network.
        tau: τ.
        weighted: False for softmax(M / τ). True to multiply those of the abnormal classes with the
            anomaly score s, and give the normal class the rest: M says of what class a snippet is,
            s says better whether it is abnormal.
    """
    probabilities_BTC = (output.similarity_BTC.float() / tau).softmax(-1)
    if not weighted:
        return probabilities_BTC
    abnormal_BTA = output.logits_BT.float().sigmoid()[..., None] * probabilities_BTC[..., 1:]
    return torch.cat([1 - abnormal_BTA.sum(-1, keepdim=True), abnormal_BTA], -1)


def coarse_scores(
    output: Output, tau: float, branch: Literal["classifier", "alignment"] = "classifier"
) -> torch.Tensor:
    """Return anomaly scores, [B, T] float32, 0 to 1.

    Args:
        output: output of the network.
        tau: τ.
        branch: "classifier" for s, "alignment" for 1 − p(normal).
    """
    if branch == "classifier":
        return output.logits_BT.float().sigmoid()
    return 1 - class_probabilities(output, tau)[..., 0]
