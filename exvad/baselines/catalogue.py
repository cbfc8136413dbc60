"""All systems by name: what each needs, its ways to a class map, its options, how it is built.

C classes · D feature width · E width of the text features
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

import torch
from pydantic import Field

from exvad.baselines.avvd import AVVDStyle
from exvad.baselines.clip_text import ClipText, Prompts
from exvad.baselines.clip_tsa import ClipTSA
from exvad.baselines.common.class_maps import ClassMap, check_label_width
from exvad.baselines.common.options import (
    Count,
    DropShare,
    EvenCount,
    Options,
    OptionTypes,
    Positive,
    Share,
    Weight,
    describe_options,
    read_options,
)
from exvad.baselines.common.system import Baseline, Recipe
from exvad.baselines.ex_vad import ExVADSystem
from exvad.baselines.pel4vad import PEL4VAD
from exvad.baselines.real_ad import RealAD
from exvad.baselines.rtfm import RTFM
from exvad.baselines.st_prompt import STPromptCrops
from exvad.baselines.tevad import TEVAD
from exvad.baselines.umil import UMILF
from exvad.baselines.ur_dmu import URDMU
from exvad.baselines.vadclip import XD_RECIPE, LabelPrompt, TokenPrompt, VadCLIP
from exvad.baselines.vador import VADorF
from exvad.modeling.exvad import TextKind, build_exvad

TextUse: TypeAlias = Literal["none", "captions", "configured"]
XD = "xd_violence"


@dataclass(frozen=True)
class Inputs:
    """What a data set offers to the systems.

    Args:
        width: D, of one crop; the label embeddings may have another width, but not for systems
            that compare them with images.
        label_CD: label embeddings, the normal class first.
        text_width: E; 0 without text.
        text: CLIP's text encoder, for learned prompts; None without.
        prompts: the class names as tokens; None without `text`.
        crops: crops of every frame that the features are of; see `stack_crops`. 1 for the features
            of whole frames, as all systems but STPrompt-crops take them.
        kind: kind of the data set; systems are built as they were published for it. All other
            kinds get what was published for UCF-Crime.
    """

    width: int
    label_CD: torch.Tensor
    text_width: int = 0
    text: ClipText | None = None
    prompts: Prompts | None = None
    crops: int = 1
    kind: str = ""

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.label_CD)


@dataclass(frozen=True)
class Published:
    """What a publication has for one data set.

    Args:
        options: option → value.
        recipe: how it is trained; None for the recipe of all data sets.
    """

    options: Options
    recipe: Recipe | None = None


@dataclass(frozen=True)
class Sweep:
    """An option whose values a comparison tries.

    Args:
        option: the option, a number.
        published: its published value.
    """

    option: str
    published: float


@dataclass(frozen=True)
class Entry:
    """A system of the comparison.

    Args:
        title: its name in tables, with what is not as published.
        build: makes the untrained system from inputs and options; raises `ValueError` if an input
            is missing or unfit.
        ways: its ways to a class map, the default first.
        faithful: whether it is the published system on other features (one crop of another
            encoder), and not a variant.
        text: the text features that it takes: `none`, those of captions, or `configured` for those
            that `model.text` names.
        clip_text: whether it needs CLIP's text encoder.
        crops: whether it takes all crops of a frame side by side.
        options: its named options with their types.
        published: kind of data set → what was published for it, where that differs.
        sweep: the option that a comparison chooses on the split that selects; None for none.
    """

    title: str
    build: Callable[[Inputs, Options], Baseline]
    ways: tuple[ClassMap, ...]
    faithful: bool = True
    text: TextUse = "none"
    clip_text: bool = False
    crops: bool = False
    options: OptionTypes = field(default_factory=dict)
    published: Mapping[str, Published] = field(default_factory=dict)
    sweep: Sweep | None = None


def build_baseline(
    name: str, inputs: Inputs, options: Mapping[str, object] | None = None
) -> Baseline:
    """Build an untrained system.

    Args:
        name: a key of `SYSTEMS`.
        inputs: what the data set offers.
        options: option → value, in place of what was published for the kind of data set.

    Raises:
        ValueError: there is no such system or option, or the system needs what the data set does
            not offer.
    """
    given = check_options(name, options or {})
    entry = SYSTEMS[name]
    published = entry.published.get(inputs.kind, Published({}))
    system = entry.build(inputs, {**published.options, **given})
    if published.recipe is not None:
        system.recipe = published.recipe
    return system


def check_options(name: str, options: Mapping[str, object]) -> Options:
    """Return options of a system in their types; see `read_options`.

    Args:
        name: a key of `SYSTEMS`.
        options: option → value.

    Raises:
        ValueError: there is no such system or option, or the value does not fit it.
    """
    if name not in SYSTEMS:
        raise ValueError(f"there is no system {name!r}: known are {', '.join(SYSTEMS)}")
    return read_options(name, SYSTEMS[name].options, options)


def title_of(name: str, options: Mapping[str, object]) -> str:
    """Return the name of a system in tables, with its options."""
    title = SYSTEMS[name].title
    return f"{title} [{describe_options(options)}]" if options else title


def _vadclip(inputs: Inputs, options: Options) -> Baseline:
    if inputs.text is None or inputs.prompts is None:
        raise ValueError(
            "VadCLIP learns tokens in CLIP's text encoder, which these features come without: "
            "give the encoder, or compare vadclip_labels"
        )
    prompt = TokenPrompt(inputs.text, inputs.prompts, prefix=10, postfix=10)
    return VadCLIP(inputs.width, prompt, **options)


def _vadclip_labels(inputs: Inputs, options: Options) -> Baseline:
    return VadCLIP(inputs.width, LabelPrompt(_labels_of_width(inputs)), **options)


def _ex_vad(inputs: Inputs, options: Options) -> Baseline:
    network = build_exvad(
        inputs.label_CD.shape[1],
        inputs.num_classes,
        text=options.get("text", "explanation" if inputs.text_width else "none"),
        visual_width=inputs.width,
        text_width=inputs.text_width or None,
    )
    return ExVADSystem(network, inputs.label_CD)


def _tevad(inputs: Inputs, options: Options) -> Baseline:
    if not inputs.text_width:
        raise ValueError(
            "TEVAD needs text features of captions, but the videos have none: run the language "
            "stage, or import text features"
        )
    return TEVAD(inputs.width, inputs.text_width, **options)


def _umil(inputs: Inputs, options: Options) -> Baseline:
    return UMILF(inputs.width, _labels_of_width(inputs), **options)


def _st_prompt(inputs: Inputs, options: Options) -> Baseline:
    return STPromptCrops(inputs.width, _labels_of_width(inputs), inputs.crops, **options)


def _labels_of_width(inputs: Inputs) -> torch.Tensor:
    check_label_width(inputs.width, inputs.label_CD.shape[1], "this system")
    return inputs.label_CD


HEADS: tuple[ClassMap, ...] = ("F2", "F1", "F3")
_MARGIN: OptionTypes = {"margin": Positive, "smooth_across_videos": bool}
_VADCLIP: OptionTypes = {
    "layers": Count,
    "window": Count,
    "lambda_": Weight,
    "branch": Literal["classifier", "alignment"],
    "reload_best": bool,
}
_VADCLIP_XD = {XD: Published({"layers": 1, "window": 64, "lambda_": 1e-4}, XD_RECIPE)}
SYSTEMS: dict[str, Entry] = {
    "ex_vad": Entry("Ex-VAD", _ex_vad, ("F0",), text="configured", options={"text": TextKind}),
    "vadclip": Entry(
        "VadCLIP",
        _vadclip,
        ("F0",),
        clip_text=True,
        options=_VADCLIP,
        published=_VADCLIP_XD,
    ),
    "vadclip_labels": Entry(
        "VadCLIP (label embeddings)",
        _vadclip_labels,
        ("F0",),
        faithful=False,
        options=_VADCLIP,
        published=_VADCLIP_XD,
    ),
    "real_ad": Entry(
        "RealAD",
        lambda inputs, options: RealAD(inputs.width, **options),
        HEADS,
        options={"pairing": Literal["all", "matched"], "normalize": bool},
    ),
    "rtfm": Entry(
        "RTFM (one crop)",
        lambda inputs, options: RTFM(inputs.width, **options),
        HEADS,
        options={"branch": EvenCount | None, **_MARGIN},
        sweep=Sweep("margin", 100.0),
    ),
    "clip_tsa": Entry(
        "CLIP-TSA",
        lambda inputs, options: ClipTSA(inputs.width, **options),
        HEADS,
        options={
            "kappa": Share,
            **_MARGIN,
            "test_seed": Annotated[int, Field(ge=0)] | None,
            "max_selected": Count | None,
        },
        published={XD: Published({"kappa": 0.9})},
    ),
    "ur_dmu": Entry(
        "DMU",
        lambda inputs, options: URDMU(inputs.width, **options),
        HEADS,
        options={"kl_axis": Literal["standard", "code"], "near": Literal["rows", "columns"]},
    ),
    "tevad": Entry(
        "TEVAD (CLIP text)",
        _tevad,
        HEADS,
        faithful=False,
        text="captions",
        options={"fusion": Literal["concat", "add"], **_MARGIN, "extra_losses": bool},
        published={XD: Published({"fusion": "add"})},
    ),
    "umil": Entry(
        "UMIL-F (frozen features)",
        _umil,
        HEADS,
        faithful=False,
        options={"view_dropout": DropShare},
    ),
    "vador": Entry(
        "VADor-F (AP+LTC on features, no LLM)",
        lambda inputs, options: VADorF(inputs.width, **options),
        HEADS,
        faithful=False,
        options={"memory": Count, "history": Count},
    ),
    "st_prompt": Entry(
        "STPrompt-crops (rebuilt from the abstract)",
        _st_prompt,
        ("F0",),
        faithful=False,
        crops=True,
        options={"moving": Count, "lambda_": Weight},
        published={XD: Published({"lambda_": 1e-4}, XD_RECIPE)},
    ),
    "avvd": Entry(
        "AVVD-style (visual only, rebuilt from HL-Net)",
        lambda inputs, options: AVVDStyle(inputs.width, inputs.num_classes, **options),
        ("F0",),
        faithful=False,
    ),
    "pel4vad": Entry(
        "PEL4VAD (label embeddings)",
        lambda inputs, options: PEL4VAD(inputs.width, inputs.label_CD, **options),
        ("F0",),
        faithful=False,
        options={
            "kernel": Count,
            "prior": tuple[float, float],
            "normalize": bool,
            "temperature": Positive,
            "smoothing": Literal["off", "sliding", "blocks"],
        },
        published={
            XD: Published(
                {"kernel": 3, "prior": (0.06, 0.02), "normalize": False, "temperature": 0.05}
            )
        },
    ),
}
