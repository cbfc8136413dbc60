"""All systems by name: what each needs, its ways to a class map, and how it is built.

C classes · D feature width · E width of the text features
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch

from exvad.baselines.avvd import AVVDStyle
from exvad.baselines.clip_text import ClipText, Prompts
from exvad.baselines.clip_tsa import ClipTSA
from exvad.baselines.common.class_maps import ClassMap
from exvad.baselines.common.system import Baseline
from exvad.baselines.ex_vad import ExVADSystem
from exvad.baselines.pel4vad import PEL4VAD
from exvad.baselines.real_ad import RealAD
from exvad.baselines.rtfm import RTFM
from exvad.baselines.st_prompt import STPromptCrops
from exvad.baselines.tevad import TEVAD
from exvad.baselines.umil import UMILF
from exvad.baselines.ur_dmu import URDMU
from exvad.baselines.vadclip import LabelPrompt, TokenPrompt, VadCLIP
from exvad.baselines.vador import VADorF
from exvad.modeling.exvad import build_exvad

TextUse: TypeAlias = Literal["none", "captions", "configured"]


@dataclass(frozen=True)
class Inputs:
    """What a data set offers to the systems.

    Args:
        width: D, of one crop.
        label_CD: label embeddings, the normal class first.
        text_width: E; 0 without text.
        text: CLIP's text encoder, for learned prompts; None without.
        prompts: the class names as tokens; None without `text`.
        crops: crops of every frame that the features are of; see `stack_crops`. 1 for the features
            of whole frames, as all systems but STPrompt-crops take them.
    """

    width: int
    label_CD: torch.Tensor
    text_width: int = 0
    text: ClipText | None = None
    prompts: Prompts | None = None
    crops: int = 1

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.label_CD)


@dataclass(frozen=True)
class Entry:
    """A system of the comparison.

    Args:
        title: its name in tables, with what is not as published.
        build: makes the untrained system; raises `ValueError` if an input is missing or unfit.
        ways: its ways to a class map, the default first.
        faithful: whether it is the published system on other features, and not a variant.
        text: the text features that it takes: `none`, those of captions, or `configured` for those
            that `model.text` names.
        clip_text: whether it needs CLIP's text encoder.
    """

    title: str
    build: Callable[[Inputs], Baseline]
    ways: tuple[ClassMap, ...]
    faithful: bool = True
    text: TextUse = "none"
    clip_text: bool = False


def build_baseline(name: str, inputs: Inputs) -> Baseline:
    """Build an untrained system with its defaults.

    Args:
        name: a key of `SYSTEMS`.
        inputs: what the data set offers.

    Raises:
        ValueError: there is no such system, or it needs what the data set does not offer.
    """
    if name not in SYSTEMS:
        raise ValueError(f"there is no system {name!r}: known are {', '.join(SYSTEMS)}")
    return SYSTEMS[name].build(inputs)


def _vadclip(inputs: Inputs) -> Baseline:
    if inputs.text is None or inputs.prompts is None:
        raise ValueError(
            "VadCLIP learns tokens in CLIP's text encoder, which these features come without: "
            "give the encoder, or compare vadclip_labels"
        )
    prompt = TokenPrompt(inputs.text, inputs.prompts, prefix=10, postfix=10)
    return VadCLIP(inputs.width, prompt)


def _vadclip_labels(inputs: Inputs) -> Baseline:
    return VadCLIP(inputs.width, LabelPrompt(_labels_of_width(inputs)))


def _ex_vad(inputs: Inputs) -> Baseline:
    label_CD = _labels_of_width(inputs)
    text = "explanation" if inputs.text_width else "none"
    network = build_exvad(inputs.width, inputs.num_classes, text=text)  # type: ignore[arg-type]
    return ExVADSystem(network, label_CD)


def _tevad(inputs: Inputs) -> Baseline:
    if not inputs.text_width:
        raise ValueError(
            "TEVAD needs text features of captions, but the videos have none: run the language "
            "stage, or import text features"
        )
    return TEVAD(inputs.width, inputs.text_width)


def _umil(inputs: Inputs) -> Baseline:
    return UMILF(inputs.width, _labels_of_width(inputs))


def _st_prompt(inputs: Inputs) -> Baseline:
    return STPromptCrops(inputs.width, _labels_of_width(inputs), inputs.crops)


def _labels_of_width(inputs: Inputs) -> torch.Tensor:
    if inputs.label_CD.shape[1] != inputs.width:
        raise ValueError(
            f"this system compares image features of width {inputs.width} with label embeddings, "
            f"but those have the width {inputs.label_CD.shape[1]}: encode the labels with the "
            "model of the image features"
        )
    return inputs.label_CD


HEADS: tuple[ClassMap, ...] = ("F2", "F1", "F3")
SYSTEMS: dict[str, Entry] = {
    "ex_vad": Entry("Ex-VAD", _ex_vad, ("F0",), text="configured"),
    "vadclip": Entry("VadCLIP", _vadclip, ("F0",), clip_text=True),
    "vadclip_labels": Entry("VadCLIP (label embeddings)", _vadclip_labels, ("F0",), False),
    "real_ad": Entry("RealAD", lambda inputs: RealAD(inputs.width), HEADS),
    "rtfm": Entry("RTFM (one crop)", lambda inputs: RTFM(inputs.width), HEADS),
    "clip_tsa": Entry("CLIP-TSA", lambda inputs: ClipTSA(inputs.width), HEADS),
    "ur_dmu": Entry("DMU", lambda inputs: URDMU(inputs.width), HEADS),
    "tevad": Entry("TEVAD (CLIP text)", _tevad, HEADS, False, "captions"),
    "umil": Entry("UMIL-F (frozen features)", _umil, HEADS, False),
    "vador": Entry(
        "VADor-F (AP+LTC on features, no LLM)", lambda inputs: VADorF(inputs.width), HEADS, False
    ),
    "st_prompt": Entry("STPrompt-crops (rebuilt from the abstract)", _st_prompt, ("F0",), False),
    "avvd": Entry(
        "AVVD-style (visual only, rebuilt from HL-Net)",
        lambda inputs: AVVDStyle(inputs.width, inputs.num_classes),
        ("F0",),
        False,
    ),
    "pel4vad": Entry(
        "PEL4VAD (label embeddings)",
        lambda inputs: PEL4VAD(inputs.width, inputs.label_CD),
        ("F0",),
        False,
    ),
}
