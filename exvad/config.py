"""Every knob of exvad, typed and documented beside its field; presets and dotted overrides.

A configuration is read in three layers: the defaults below, a preset (a packaged name or a YAML
file), and `section.field=value` overrides. Unknown keys are refused.
"""

from __future__ import annotations

import difflib
import os
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
Dtype = Literal["auto", "float32", "float16", "bfloat16"]
Backend = Literal["transformers", "vllm", "openai"]


class ConfigError(ValueError):
    """A preset or an override can't be used: names the key and says what would be right."""


class Section(BaseModel):
    """A part of the configuration; refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class WorldConfig(Section):
    """The rendered demo world."""

    train_videos: Positive = Field(220, description="videos to train the detector on")
    test_videos: Positive = Field(60, description="videos to test it on, half of them normal")
    seed: int = Field(0, ge=0, lt=100, description="which draw of the world")


class DataConfig(Section):
    """Which videos there are and how they are cut."""

    kind: Literal["world", "manifest", "folder", "ucf_crime", "xd_violence"] = Field(
        "manifest", description="how the data set is described"
    )
    root: str = Field("", description="folder or URI of the videos")
    manifest: str = Field("", description="manifest file, for kind manifest")
    annotations: str = Field("", description="folder of the official annotation files")
    stride: Positive = Field(16, description="frames per snippet")
    snippets_per_chunk: Positive = Field(256, description="most snippets decoded at once")
    crops: Literal[1, 5, 10] = Field(
        1, description="crops of each frame; in training each is an example of its video"
    )
    test_crop: int = Field(0, ge=0, lt=10, description="the crop that is validated and tested on")
    short_side: Positive = Field(256, description="pixels; larger frames are scaled down to it")
    validation: Fraction = Field(0.15, description="share of the training videos to validate on")
    split_seed: int = Field(0, description="draws the validation videos")
    world: WorldConfig = WorldConfig()


class Resources(Section):
    """What one actor of a stage takes, and how many there may be."""

    cpus: float = Field(1, ge=0, description="CPU cores per actor")
    gpus: float = Field(0, ge=0, description="GPUs per actor; a fraction shares one")
    min_actors: Positive = Field(1, description="actors kept alive")
    max_actors: Positive = Field(1, description="actors at most")


class ClipConfig(Section):
    """The frozen image and text encoder, E_I and E_T."""

    model: str = Field("ViT-B-16", description="open_clip name, local-dir:FOLDER or package:NAME")
    pretrained: str = Field("openai", description="which weights of a named model")
    dtype: Dtype = Field("auto", description="of the weights; auto is half precision on a GPU")
    batch_size: Positive = Field(64, description="pictures or texts encoded at once")


class EndpointConfig(Section):
    """An OpenAI-compatible endpoint, for backend openai."""

    base_url: str = Field("http://localhost:8000/v1", description="where chat/completions is")
    api_key_env: str = Field("OPENAI_API_KEY", description="environment variable with the key")
    concurrency: Positive = Field(8, description="requests under way at once")
    requests_per_minute: float = Field(0, ge=0, description="rate limit of an actor; 0 for none")
    json_schema: bool = Field(
        False, description="ask for answers that fit the explanation's schema; vllm serve knows how"
    )
    timeout: float = Field(120, gt=0, description="seconds to wait for one answer")
    patience: float = Field(600, gt=0, description="seconds without any answer until giving up")


class EngineConfig(Section):
    """vLLM's engine, for backend vllm."""

    tensor_parallel: Positive = Field(1, description="GPUs that share one copy of the model")
    max_model_len: int = Field(
        0, ge=0, description="longest prompt with its answer, in tokens; 0 for the model's own"
    )
    batch_size: Positive = Field(64, description="prompts handed to the engine at once")
    python: str = Field(
        "", description="Python of an environment with vLLM, on every node; empty for the job's own"
    )
    options: dict[str, Any] = Field(
        {}, description="anything else vLLM's engine takes, such as quantization: fp8"
    )


class CaptionerConfig(Section):
    """The captioning model Φ_C."""

    backend: Backend = Field("transformers", description="what runs the model")
    endpoint: EndpointConfig = EndpointConfig()
    engine: EngineConfig = EngineConfig()
    model: str = Field("Salesforce/blip2-opt-2.7b", description="hub name, folder or package:NAME")
    prompt: str = Field("", description="P_C; empty for plain captioning")
    per_video: Positive = Field(32, description="n, captioned frames per video")
    dtype: Dtype = Field("auto", description="of the weights; auto is half precision on a GPU")
    batch_size: Positive = Field(16, description="pictures captioned at once")
    max_new_tokens: Positive = Field(40, description="longest caption")


class CleaningConfig(Section):
    """Caption cleaning, equation 2."""

    window: int | None = Field(
        None, ge=1, description="captioned frames to either side to choose from; null for all"
    )


class LLMConfig(Section):
    """The language model Φ_LLM."""

    backend: Backend = Field("transformers", description="what runs the model")
    endpoint: EndpointConfig = EndpointConfig()
    engine: EngineConfig = EngineConfig()
    model: str = Field(
        "meta-llama/Llama-3.1-8B-Instruct", description="hub name, folder or package:NAME"
    )
    prompt: str = Field("explanation", description="P_S: packaged prompt or path of a text file")
    dtype: Dtype = Field("auto", description="of the weights; auto is half precision on a GPU")
    batch_size: Positive = Field(16, description="prompts answered at once")
    max_new_tokens: Positive = Field(256, description="longest answer")
    attempts: Positive = Field(2, description="how often a video is asked about at most")
    structured: bool = Field(
        True, description="vllm: hold the answers to the JSON schema of an explanation"
    )


class StagesConfig(Section):
    """How the stages of preprocessing are spread over a cluster."""

    decode_cpus: float = Field(1, gt=0, description="CPU cores per decoding task")
    vision: Resources = Resources()
    language: Resources = Resources()
    text: Resources = Field(
        Resources(cpus=0.5), description="CLIP's text encoder, where vLLM is a stage of its own"
    )
    language_batch: Positive = Field(32, description="videos explained at once")


class LabelsConfig(Section):
    """LAAM's label augmentation."""

    file: str = Field(
        "",
        description="label file: a path, package:ucf_crime or package:xd_violence; empty to have "
        "the LLM write one",
    )
    prompt: str = Field("phrases", description="packaged prompt or path of a text file")
    phrases: Positive = Field(16, description="m, phrases written per class")
    k: int = Field(4, ge=0, description="phrases kept per class")


class ModelConfig(Section):
    """The trainable network (MADM and LAAM)."""

    window: Positive = Field(8, description="snippets per window of the local transformer")
    layers: Positive = Field(2, description="layers of the local transformer")
    max_snippets: Positive = Field(256, description="longest clip the network sees at once")
    fusion: Literal["add", "concat", "gated"] = Field("concat", description="F_V with F_T")
    text: Literal["none", "captions", "explanation"] = Field("explanation", description="F_T")
    label_prompt: Literal["name", "template", "learnable", "augmented"] = Field(
        "augmented", description="what makes a class's label embedding (Table 6)"
    )
    label_adapter: bool = Field(True, description="let training move the label embeddings")
    tau: float = Field(0.07, gt=0, description="τ, temperature of the alignment")


class TrainConfig(Section):
    """Training."""

    epochs: Positive = Field(10, description="passes over the training videos")
    batch_size: Positive = Field(128, description="videos per step")
    balanced: bool = Field(True, description="half of every batch normal, half abnormal")
    learning_rate: float = Field(2e-5, gt=0, description="of AdamW, at the start")
    weight_decay: float = Field(0.01, ge=0, description="of AdamW")
    milestones: list[int] = Field([4, 8], description="epochs after which the rate falls tenfold")
    lambda_: float = Field(1.0, ge=0, alias="lambda", description="λ, weight of L_cts")
    text_dropout: Fraction = Field(
        0, description="share of the videos of a step that are trained without their text"
    )
    divisor: Positive = Field(16, description="K = ⌊T / divisor⌋ + 1 snippets per video count")
    seed: int = Field(0, description="draws the first weights and the batches")
    workers: Positive = Field(1, description="Ray Train workers")
    gpu: bool = Field(False, description="one GPU per worker")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of the network's products; losses are always float32"
    )
    compile: bool = Field(False, description="compile the network; pays from a few hundred steps")
    select_on: Literal["val", "test"] = Field("val", description="split that chooses the epoch")

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class TuneConfig(Section):
    """Resources of a sweep's trials."""

    cpus: float = Field(1, gt=0, description="CPU cores per trial")
    gpus: float = Field(0.25, ge=0, description="share of a GPU per trial, where train.gpu is set")


class MLflowConfig(Section):
    """Experiment tracking."""

    uri: str = Field(
        "",
        description="tracking server; empty for MLFLOW_TRACKING_URI, or else SQLite in the run's "
        "folder",
    )
    model: str = Field("exvad", description="name in the model registry")
    experiment: str = Field("exvad", description="experiment the runs are listed under")


class Config(Section):
    """The whole configuration of a run."""

    run: str = Field("runs/exvad", description="folder for checkpoint, figures and report")
    store: str = Field("", description="feature store, folder or URI; empty for RUN/store")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N, for frozen models")
    data: DataConfig = DataConfig()
    clip: ClipConfig = ClipConfig()
    captioner: CaptionerConfig = CaptionerConfig()
    cleaning: CleaningConfig = CleaningConfig()
    llm: LLMConfig = LLMConfig()
    stages: StagesConfig = StagesConfig()
    labels: LabelsConfig = LabelsConfig()
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    tune: TuneConfig = TuneConfig()
    mlflow: MLflowConfig = MLflowConfig()

    @property
    def run_path(self) -> Path:
        """The run's folder."""
        return Path(self.run)

    @property
    def store_path(self) -> str:
        """The feature store's place."""
        return self.store or str(self.run_path / "store")

    @property
    def labels_path(self) -> Path:
        """The run's label file, which jobs/labels.py writes."""
        return self.run_path / "labels.json"

    @property
    def mlflow_uri(self) -> str:
        """The tracking store: the configured one, MLFLOW_TRACKING_URI, or the run's SQLite."""
        own = f"sqlite:///{self.run_path / 'mlflow.db'}"
        return self.mlflow.uri or os.environ.get("MLFLOW_TRACKING_URI") or own

    @property
    def mlflow_is_local(self) -> bool:
        """Whether the tracking store is a database file, whose artifacts lie beside it."""
        return self.mlflow_uri.startswith("sqlite:")


def preset_names() -> list[str]:
    """Return the names of the packaged presets."""
    folder = resources.files("exvad") / "assets" / "presets"
    return sorted(
        e.name.removesuffix(".yaml") for e in folder.iterdir() if e.name.endswith(".yaml")
    )


def load_config(preset: str = "demo", overrides: Iterable[str] = ()) -> Config:
    """Read a configuration.

    Args:
        preset: a packaged preset's name or the path of a YAML file.
        overrides: `section.field=value` items; values are read as YAML.

    Raises:
        ConfigError: there is no such preset, a key is unknown, or a value does not fit.
    """
    import yaml

    path = Path(preset).expanduser()
    if preset in preset_names():
        content = (resources.files("exvad") / "assets" / "presets" / f"{preset}.yaml").read_bytes()
    elif path.suffix in (".yaml", ".yml") and path.is_file():
        content = path.read_bytes()
    else:
        names = ", ".join(preset_names())
        raise ConfigError(f"no preset {preset!r}: give one of {names}, or a .yaml file")
    try:
        values = yaml.safe_load(content.decode()) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{preset}: not YAML ({error})") from None
    if not isinstance(values, dict):
        raise ConfigError(
            f"{preset}: a preset is a mapping of sections, not {type(values).__name__}"
        )
    for override in overrides:
        key, separator, raw = override.partition("=")
        if not separator:
            raise ConfigError(f"override {override!r}: write section.field=value")
        try:
            _assign(values, key.strip().split("."), yaml.safe_load(raw))
        except yaml.YAMLError:
            raise ConfigError(f"override {override!r}: the value is not YAML; quote it") from None
    return build_config(values, where=preset)


def build_config(values: Mapping[str, Any], where: str = "configuration") -> Config:
    """Validate nested values as a configuration.

    Raises:
        ConfigError: a key is unknown or a value does not fit; every problem has its line.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        problems = [_explain(problem["loc"], problem) for problem in error.errors()]
        raise ConfigError(f"{where}: " + "; ".join(problems)) from None


def dump_config(config: Config) -> str:
    """Write a configuration as YAML that `load_config` reads back."""
    import yaml

    return yaml.safe_dump(config.model_dump(by_alias=True), sort_keys=False, allow_unicode=True)


def _assign(values: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    for key in keys[:-1]:
        inner = values.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{'.'.join(keys)}: {key} is a value, not a section")
        values = inner
    values[keys[-1]] = value


def _explain(loc: Sequence[int | str], problem: Mapping[str, Any]) -> str:
    key = ".".join(map(str, loc))
    if problem["type"] != "extra_forbidden":
        return f"{key}: {problem['msg']}, got {problem['input']!r}"
    section: Any = Config
    for part in loc[:-1]:
        section = _section(section, str(part))
    known = [field.alias or name for name, field in section.model_fields.items()]
    close = difflib.get_close_matches(str(loc[-1]), known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
    return f"{key}: no such key ({hint})"


def _section(section: type[BaseModel], name: str) -> type[BaseModel]:
    annotation = section.model_fields[name].annotation
    options = (
        typing.get_args(annotation)
        if typing.get_origin(annotation) in (Union, types.UnionType)
        else (annotation,)
    )
    return next(o for o in options if isinstance(o, type) and issubclass(o, BaseModel))
