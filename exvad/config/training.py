"""Settings of the trainable network, of its training, and of many trainings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from exvad.config.section import Fraction, Positive, Section


class ModelConfig(Section):
    """The trainable network (MADM and LAAM)."""

    features: Literal["raw", "standardised"] = Field(
        "standardised",
        description="image and text features as they are stored, as in the paper, or with mean 0 "
        "and variance 1 over the training videos",
    )
    window: Positive = Field(8, description="snippets per window of the local transformer")
    layers: Positive = Field(2, description="layers of the local transformer")
    max_snippets: Positive = Field(256, description="maximum snippets per clip of the network")
    skip: bool = Field(
        True,
        description="add the image features to the output of the LGT-Adapter; false as in the "
        "paper",
    )
    fusion: Literal["add", "concat", "gated"] = Field("concat", description="of F_V and F_T")
    text: Literal["none", "captions", "explanation", "grounded"] = Field(
        "explanation",
        description="F_T: explanation for the paper's, one feature of the explanation per video; "
        "captions for the nearest caption of each snippet; grounded for the explanation at the "
        "captions that it cites and the others elsewhere; none",
    )
    evidence: float = Field(
        64.0,
        ge=0,
        description="for text=grounded: factor on the votes of the captions for a snippet; the "
        "network reads them beside the text",
    )
    label_prompt: Literal["name", "template", "learnable", "augmented"] = Field(
        "augmented", description="source of the label embeddings (Table 6)"
    )
    label_adapter: bool = Field(True, description="let training adapt the label embeddings")
    centred_labels: bool = Field(
        True,
        description="subtract from the label embeddings what all classes have in common; false as "
        "in the paper",
    )
    tau: float = Field(0.07, gt=0, description="τ, temperature of the alignment")
    weighted_classes: bool | None = Field(
        None,
        description="multiply the probabilities of the abnormal classes with the anomaly score; "
        "null for true with text=grounded and false, as in the paper, with the others",
    )


class TrainConfig(Section):
    """Training."""

    epochs: Positive = Field(30, description="passes over the training videos")
    batch_size: Positive | None = Field(
        None, description="videos per step; null for a tenth of the training videos, 8 to 128"
    )
    balanced: bool = Field(True, description="half of every batch normal, half abnormal")
    learning_rate: float | None = Field(
        None,
        gt=0,
        description="initial learning rate of AdamW; null for 0.064 divided by the width of the "
        "label embeddings",
    )
    weight_decay: float = Field(0.01, ge=0, description="of AdamW")
    milestones: list[int] = Field([20, 26], description="epochs after which the rate drops tenfold")
    lambda_: float = Field(1.0, ge=0, alias="lambda", description="λ, weight of L_cts")
    text_dropout: Fraction = Field(
        0.8, description="share of the videos of a step that are trained without their text"
    )
    adapter_dropout: Fraction = Field(
        0.9,
        description="share of the videos of a step that are trained without the LGT-Adapter; "
        "nothing without model.skip",
    )
    divisor: Positive = Field(
        16, description="K = ⌊T / divisor⌋ + 1 snippets per video count in the losses"
    )
    seed: int = Field(
        0, ge=0, lt=2**32, description="seed of the initial weights and of the batches"
    )
    workers: Positive = Field(1, description="Ray Train workers")
    cpus_per_worker: int = Field(
        0,
        ge=0,
        description="CPU cores per worker; 0 for the free cores of the only node that computes, "
        "shared equally, and for 1 where there are several",
    )
    max_failures: int = Field(
        3,
        ge=0,
        description="restarts of lost workers, and of a trial of a sweep whose process was lost; "
        "more for long trainings on spot nodes",
    )
    cache_gib: float = Field(
        2,
        ge=0,
        description="memory per worker for the features of its share of the videos, in GiB; what "
        "does not fit is read from a file in `scratch`",
    )
    scratch: str = Field(
        "",
        description="folder on a local disk of every node for that file; empty for the temporary "
        "folder of the system",
    )
    gpu: bool = Field(False, description="one GPU per worker")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of matrix products; losses are always float32"
    )
    compile: bool = Field(False, description="compile the network; pays off in long runs")
    select_on: Literal["val", "test"] = Field("val", description="split that selects the epoch")
    tolerance: float | None = Field(
        None,
        ge=0,
        description="the last epoch is selected whose mean of AUC and mAP is at most this much "
        "below the best; null for 1 / (2√N) of N videos with text=grounded, and for the best epoch "
        "(0 and the lowest loss) with the others",
    )

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True
    )


class TuneConfig(Section):
    """Resources of the trials of a sweep or a comparison."""

    cpus: float = Field(1, gt=0, description="CPU cores per trial")
    gpus: float = Field(0.25, ge=0, description="share of a GPU per trial, if train.gpu is set")


class CompareConfig(Section):
    """What a training of another system costs at most in a comparison."""

    steps: int = Field(0, ge=0, description="most gradient steps; 0 for the published number")
    videos: int = Field(0, ge=0, description="most videos per step; 0 for the published number")
    rate_factors: list[float] = Field(
        [1.0],
        min_length=1,
        description="factors on the published learning rate, of which the best on the split that "
        "selects is used; each of them is a training",
    )
    margins: list[Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(
        [1.0, 10.0, 100.0],
        description="margins of RTFM, of which the best on the split that selects is used; each "
        "beyond the first is a training with the best learning rate. Empty for the published 100, "
        "which suits features as long as those of I3D",
    )
    options: dict[str, dict[str, bool | int | float | str | list[float] | None]] = Field(
        {},
        description="named options of systems, such as {ur_dmu: {kl_axis: code}}; those of "
        "--systems override them",
    )
    validations: Positive = Field(
        10, description="times that a training looks at the split that selects its best step"
    )
    head_steps: Positive = Field(
        500, description="gradient steps of a class head on a frozen system (F2)"
    )
    native: bool = Field(
        False,
        description="also report the best frame AUC and AP of all looks at the test split, which "
        "is how most of the systems were published",
    )
