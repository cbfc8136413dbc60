"""The settings of a run: their types, defaults, ranges and descriptions."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import BeforeValidator, Field, field_validator, model_validator

from exvad.config.addresses import has_login
from exvad.config.section import Positive, Section
from exvad.config.training import CompareConfig, ModelConfig, TrainConfig, TuneConfig
from exvad.config.zero_shot import ZeroShotConfig

Dtype = Literal["auto", "float32", "float16", "bfloat16"]
Backend = Literal["transformers", "vllm", "openai"]
SandboxMode = Annotated[
    Literal["strict", "best", "off"],
    BeforeValidator(lambda value: "off" if value is False else value),  # which YAML makes of off
]


class WorldConfig(Section):
    """The rendered demo world."""

    train_videos: Positive = Field(220, description="training videos")
    test_videos: Positive = Field(60, description="test videos, half of them normal")
    seed: int = Field(0, ge=0, lt=100, description="seed of the world; another seed, other videos")


class DataConfig(Section):
    """The data set and how its videos are split into snippets."""

    kind: Literal["world", "manifest", "folder", "ucf_crime", "xd_violence"] = Field(
        "manifest", description="format of the data set"
    )
    root: str = Field("", description="folder or URI of the videos")
    about: str = Field(
        "",
        max_length=500,
        description="a sentence that says what a checkpoint trained on these videos is; notices "
        "about videos unlike them repeat it",
    )
    manifest: str = Field("", description="manifest file, for kind manifest")
    annotations: str = Field("", description="folder of the official annotation files")
    stride: Positive = Field(16, description="frames per snippet")
    stride_seconds: float = Field(
        0,
        ge=0,
        description="seconds per snippet, in place of stride, so that a snippet lasts equally long "
        "at every frame rate; 0 to count frames",
    )
    folder_fps: float = Field(
        25, gt=0, description="frames per second of videos that are folders of frames"
    )
    snippets_per_chunk: Positive = Field(256, description="maximum snippets decoded at once")
    crops: Literal[1, 5, 10] = Field(
        1, description="crops per frame; each crop of a training video is one example"
    )
    test_crop: int = Field(0, ge=0, lt=10, description="crop used for validation and testing")
    short_side: Positive = Field(
        256, description="pixels of the shorter side; larger frames are scaled down to it"
    )
    validation: float = Field(
        0.15, ge=0, lt=1, description="share of the training videos for validation"
    )
    split_seed: int = Field(0, description="seed that chooses the validation videos")
    world: WorldConfig = WorldConfig()

    @model_validator(mode="after")
    def _has_the_test_crop(self) -> DataConfig:
        if self.test_crop >= self.crops:
            raise ValueError(f"test_crop {self.test_crop} is no crop of {self.crops}")
        return self


class Resources(Section):
    """Resources per actor of a preprocessing stage, and the size of its actor pool."""

    cpus: float = Field(1, ge=0, description="CPU cores per actor")
    gpus: float = Field(0, ge=0, description="GPUs per actor; a fraction shares one GPU")
    min_actors: Positive = Field(1, description="minimum number of actors")
    max_actors: Positive | None = Field(
        1, description="maximum number of actors; null for as many as the cluster holds"
    )

    @model_validator(mode="after")
    def _minimum_is_not_above_maximum(self) -> Resources:
        if self.max_actors is not None and self.min_actors > self.max_actors:
            raise ValueError(f"min_actors is {self.min_actors}, above max_actors {self.max_actors}")
        return self


class ClipConfig(Section):
    """The frozen image and text encoders, E_I and E_T."""

    model: str = Field(
        "ViT-B-16-quickgelu", description="open_clip name, local-dir:FOLDER or package:NAME"
    )
    pretrained: str = Field("openai", description="open_clip name of the weights")
    dtype: Dtype = Field(
        "auto",
        description="of the weights; auto is float16 on a GPU, and on a CPU bfloat16 where the "
        "processor computes it fast and the features agree",
    )
    batch_size: Positive = Field(64, description="images or texts encoded at once")


class EndpointConfig(Section):
    """An OpenAI-compatible endpoint, for backend openai."""

    base_url: str = Field("http://localhost:8000/v1", description="URL of the API")
    api_key_env: str = Field("OPENAI_API_KEY", description="environment variable with the key")
    concurrency: Positive = Field(8, description="concurrent requests per actor")
    requests_per_minute: float = Field(0, ge=0, description="rate limit per actor; 0 for none")
    json_schema: bool = Field(
        False, description="request output in the explanation's JSON schema, as vllm serve supports"
    )
    timeout: float = Field(120, gt=0, description="seconds until a request times out")
    patience: float = Field(
        600, gt=0, description="seconds without any response until the job fails"
    )

    @field_validator("base_url")
    @classmethod
    def _has_no_password(cls, url: str) -> str:
        if has_login(url):
            raise ValueError("a URL with a name or password; put the key into api_key_env instead")
        return url


class EngineConfig(Section):
    """The vLLM engine, for backend vllm."""

    tensor_parallel: Positive = Field(1, description="GPUs that share one copy of the model")
    max_model_len: int = Field(
        4096, ge=0, description="maximum tokens of prompt and output; 0 for the model's own limit"
    )
    batch_size: Positive = Field(64, description="prompts sent to the engine at once")
    python: str = Field(
        "", description="Python of an environment with vLLM, on every node; empty for the job's own"
    )
    options: dict[str, Any] = Field(
        {}, description="other arguments of the vLLM engine, such as quantization: fp8"
    )


class CaptionerConfig(Section):
    """The captioning model Φ_C."""

    backend: Backend = Field("transformers", description="what runs the model")
    endpoint: EndpointConfig = EndpointConfig()
    engine: EngineConfig = EngineConfig()
    model: str = Field("Salesforce/blip2-opt-2.7b", description="hub name, folder or package:NAME")
    prompt: str = Field("", description="P_C; empty for plain captioning")
    frames: Positive = Field(1, description="frames per caption; above 1 for chat models only")
    per_video: Positive = Field(32, description="n, captioned frames per video")
    placement: Literal["even", "guided"] = Field(
        "even",
        description="even for equal distances; guided to move every other caption to where a first "
        "look at the frames finds something",
    )
    dtype: Dtype = Field("auto", description="of the weights; auto is half precision on a GPU")
    batch_size: Positive = Field(16, description="frames captioned at once")
    max_new_tokens: Positive = Field(40, description="maximum tokens per caption")


class CleaningConfig(Section):
    """Caption cleaning, equation 2."""

    window: int | None = Field(
        None, ge=1, description="candidate captions on either side of a frame; null for all"
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
    batch_size: Positive = Field(16, description="maximum prompts per batch")
    batch_tokens: Positive = Field(16384, description="maximum tokens per batch on a GPU")
    max_new_tokens: Positive = Field(256, description="maximum tokens per output")
    attempts: Positive = Field(2, description="maximum attempts to explain a video")
    segment_captions: int = Field(
        0,
        ge=0,
        description="at most so many captions per explanation; a video with more is explained in "
        "equally long segments; 0 for one explanation per video, as in the paper",
    )
    structured: bool = Field(
        True, description="vllm: constrain the output to the JSON schema of an explanation"
    )


class StagesConfig(Section):
    """Resources of the preprocessing stages."""

    decode_cpus: float = Field(1, gt=0, description="CPU cores per decoding task")
    sandbox: SandboxMode = Field(
        "best",
        description="confinement of decoding: strict to decode only if files, network and other "
        "processes are out of a video's reach; best for what the kernel allows; off to decode in "
        "the worker itself",
    )
    vision: Resources = Resources()
    vision_batch: Positive = Field(4, description="chunks whose frames are captioned together")
    language: Resources = Resources()
    text: Resources = Field(Resources(), description="CLIP's text encoder, beside a vLLM stage")
    language_batch: Positive = Field(32, description="videos explained at once")


class LabelsConfig(Section):
    """LAAM's label augmentation."""

    file: str = Field(
        "",
        description="label file: a path, package:ucf_crime or package:xd_violence; empty to "
        "generate the phrases with the LLM",
    )
    prompt: str = Field("phrases", description="packaged prompt or path of a text file")
    phrases: Positive = Field(16, description="m, phrases generated per class")
    k: int = Field(4, ge=0, description="phrases selected per class")


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

    run: str = Field(
        "runs/exvad", description="folder for checkpoint, figures and report: a path or a URI"
    )
    store: str = Field("", description="feature store, folder or URI; empty for RUN/store")
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="auto, cpu, cuda or cuda:N, for frozen models",
    )
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
    compare: CompareConfig = CompareConfig()
    zero_shot: ZeroShotConfig = ZeroShotConfig()
    mlflow: MLflowConfig = MLflowConfig()

    @field_validator("run")
    @classmethod
    def _run_is_a_place(cls, run: str) -> str:
        if run.startswith("file://"):
            return unquote(run.removeprefix("file://"))
        if "://" in run and ("?" in run or "@" in run):
            raise ValueError(
                "run is printed and stored in many places: give endpoint and keys by variables of "
                "the environment, such as AWS_ENDPOINT_URL and AWS_ACCESS_KEY_ID, not in the URI"
            )
        return run

    @property
    def is_run_local(self) -> bool:
        """Whether the run's folder is a path, not a URI."""
        return "://" not in self.run

    def in_run(self, *names: str) -> str:
        """Return the path or URI of a file or folder in the run's folder.

        Args:
            names: its names, from the outermost folder inwards; none for the run's folder itself.
        """
        return "/".join((self.run.rstrip("/") or "/", *names))

    @property
    def store_path(self) -> str:
        """The path or URI of the feature store."""
        return self.store or self.in_run("store")

    @property
    def labels_path(self) -> str:
        """The path or URI of the run's label file, written by `exvad labels`."""
        return self.in_run("labels.json")

    @property
    def trial_gpus(self) -> float:
        """The share of a GPU that each trial of a sweep reserves."""
        return self.tune.gpus if self.train.gpu else 0

    @property
    def mlflow_uri(self) -> str:
        """The tracking store: the configured one, MLFLOW_TRACKING_URI, or the run's SQLite.

        Empty if none is configured and the run is in a bucket, where SQLite can't be.
        """
        run_database = f"sqlite:///{self.in_run('mlflow.db')}" if self.is_run_local else ""
        return self.mlflow.uri or os.environ.get("MLFLOW_TRACKING_URI") or run_database
