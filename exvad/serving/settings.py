"""The settings of the server, read from a YAML file; an unknown setting is an error."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    ValidationError,
    field_validator,
    model_validator,
)

from exvad.checkpoints.local_tracking import SQLITE
from exvad.config import SandboxMode
from exvad.config.suggestions import did_you_mean
from exvad.config.yaml_text import read_yaml

SETTINGS_VARIABLE = "EXVAD_SERVE"


class Replicas(BaseModel):
    """The resources and the number of a deployment's replicas."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cpus: float = Field(0.3, ge=0, description="CPU cores per replica, and its computing threads")
    gpus: float | None = Field(
        None,
        ge=0,
        description="GPUs per replica; a fraction shares one GPU; null to choose by the size of "
        "the model, and 0 without GPUs",
    )
    min_replicas: int = Field(1, ge=1, description="minimum number of replicas")
    max_replicas: int = Field(1, ge=1, description="maximum number of replicas")
    concurrency: int = Field(
        8, ge=1, description="concurrent requests per replica; more of them start another replica"
    )

    @model_validator(mode="after")
    def _require_order(self) -> Self:
        if self.max_replicas < self.min_replicas:
            raise ValueError("max_replicas is smaller than min_replicas")
        return self


class ServerSettings(BaseModel):
    """The settings of the server: what it serves, where it stores data, and its limits."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    checkpoint: str = Field(
        "",
        description="folder, its URI, MLflow run id or models:/NAME@ALIAS; zero-shot or a YAML "
        "file of settings to detect without training; empty for the newest run",
    )
    tracking_uri: str = Field(
        "", description="URI of MLflow; empty for MLFLOW_TRACKING_URI, or else the newest run"
    )
    models: dict[str, Any] = Field(
        {},
        description="settings of the frozen models that replace the checkpoint's, such as "
        "`llm.backend: openai`: device, and backend, model, dtype, batches, endpoint and engine of "
        "captioner and llm",
    )
    spool: Path = Field(Path("runs/serve"), description="folder of uploads, results and the queue")
    database: str = Field(
        "", description="the queue's database, sqlite:///FILE; empty for a file in the spool"
    )
    node: str = Field(
        "",
        description="address of the node of a cluster that runs the server, whose queue is on its "
        "disk; empty for the node where the server is started, or the only one that is large "
        "enough",
    )
    reload_seconds: float = Field(
        30,
        gt=0,
        le=1e6,
        description="interval of the checks whether an alias stands for a new version",
    )
    decoder: Replicas = Field(Replicas(), description="replicas of the video decoder")
    clip: Replicas = Field(Replicas(), description="replicas of CLIP, images and texts")
    captioner: Replicas = Field(Replicas(), description="replicas of the captioner")
    explainer: Replicas = Field(Replicas(), description="replicas of the language model")
    analyst: Replicas = Field(
        Replicas(concurrency=4),
        description="replicas of the trained network; each runs `concurrency` analyses at once",
    )
    sandbox: SandboxMode = Field(
        "best",
        description="confinement of decoding: strict to start only if files, network and other "
        "processes are out of a video's reach; best for what the kernel allows; off for limits of "
        "memory and time alone",
    )
    decode_bytes: int = Field(
        4 * 2**30, ge=2**28, description="maximum address space of a decoding process"
    )
    decode_seconds: float = Field(120, gt=0, description="maximum time to decode 32 snippets")
    decode_file_seconds: float = Field(7200, gt=0, description="maximum time to decode a file")
    max_bytes: int = Field(512 * 2**20, ge=1, description="maximum size of a video file")
    max_seconds: float = Field(4 * 3600, gt=0, description="maximum duration of a video")
    max_pixels: int = Field(7680 * 4320, ge=1, description="maximum pixels per frame")
    max_waiting: int = Field(
        64, ge=1, description="maximum analyses that wait; more are refused (429)"
    )
    max_followers: int = Field(
        128, ge=1, description="maximum clients that wait for results or follow events"
    )
    max_streams: int = Field(4, ge=0, description="maximum live streams; more are refused (429)")
    stream_idle_seconds: float = Field(
        30, gt=0, description="a file that has not grown for so long has ended"
    )
    keep_hours: float = Field(
        0,
        ge=0,
        le=24 * 366,
        description="the recording of a stream is kept for so long, unless its request says "
        "otherwise; 0 records nothing",
    )
    keep_bytes: int = Field(
        20 * 2**30,
        ge=1,
        description="maximum size of the recording of one stream; the oldest of it is deleted",
    )
    retention_hours: float = Field(
        24 * 7, gt=0, description="uploads and results are deleted after so long"
    )
    lease_seconds: float = Field(
        30,
        gt=0,
        le=1e6,
        description="work of a replica that has been silent for so long is started again",
    )
    allowed_root: Path | None = Field(
        None, description="folder of the videos that clients may name by path; none without it"
    )
    manifest: Path | None = Field(
        None,
        description="manifest (.csv or .parquet) of the events that persons confirm, correct and "
        "add on the page, written after each review; without it the page does not ask for them",
    )
    url_networks: list[IPvAnyNetwork] = Field(
        [], description="private networks whose URLs are fetched too, such as 10.1.0.0/16"
    )
    url_seconds: float = Field(300, gt=0, description="maximum time to download a URL")
    public_url: str = Field(
        "",
        description="address of the page as browsers see it behind a reverse proxy, such as "
        "https://example.com/exvad; empty if clients reach the server directly",
    )
    webhook_secret: Path | None = Field(
        None, description="file of the secret that signs webhooks; no webhooks without it"
    )
    api_keys: Path | None = Field(
        None, description="file of `scope sha256` lines; without it, only this machine has access"
    )

    @field_validator("database")
    @classmethod
    def _require_sqlite(cls, value: str) -> str:
        if value and not value.removeprefix(SQLITE).strip():
            raise ValueError("sqlite:/// must name a file")
        if value and not value.startswith(SQLITE):
            raise ValueError("only sqlite:///FILE is supported; PostgreSQL is not")
        return value

    @field_validator("public_url")
    @classmethod
    def _require_address(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        is_plain = not (parts.query or parts.fragment or "@" in parts.netloc)
        if parts.scheme not in ("http", "https") or not parts.hostname or not is_plain:
            raise ValueError(f"{value!r} is no address like https://example.com/exvad")
        return value.rstrip("/")

    @field_validator("allowed_root", mode="before")
    @classmethod
    def _require_folder(cls, value: object) -> object:
        if value == "":
            raise ValueError("name a folder, or leave the setting out")
        return value

    @field_validator("url_networks", mode="before")
    @classmethod
    def _require_networks(cls, value: object) -> object:
        for network in value if isinstance(value, list) else ():
            ip_network(network)  # its error says what is wrong; that of pydantic does not
        return value

    @property
    def recordings(self) -> Path:
        """The folder of the recordings of streams, one folder each."""
        return self.spool / "recordings"

    @property
    def database_path(self) -> Path:
        """The database file of the queue."""
        path = self.database.removeprefix(SQLITE)
        return Path(path) if path else self.spool / "queue.sqlite"


def load_settings(path: str = "", checkpoint: str | None = None) -> ServerSettings:
    """Read the settings from a YAML file.

    Args:
        path: the file; empty for the one that EXVAD_SERVE names. Without either, the defaults
            apply.
        checkpoint: the checkpoint to serve in place of that of the file; None or empty for that.

    Raises:
        ValueError: the file can't be read, or a setting is unknown or has a bad value.
    """
    settings = _read_settings(path, path or os.environ.get(SETTINGS_VARIABLE))
    return settings.model_copy(update={"checkpoint": checkpoint}) if checkpoint else settings


def _read_settings(path: str, source: str | None) -> ServerSettings:
    if not source:
        return ServerSettings()
    if not Path(source).exists():
        hint = "" if path else f" (named by {SETTINGS_VARIABLE})"
        raise ValueError(f"{source}{hint} does not exist")
    values = read_yaml(source)
    if not isinstance(values, dict | None):
        raise ValueError(f"{source}: write one `setting: value` per line")
    return parse_settings(values or {}, source)


def parse_settings(values: Mapping[str, object], source: str) -> ServerSettings:
    """Validate settings.

    Args:
        values: setting → value.
        source: where the values come from, for the error message.

    Raises:
        ValueError: a setting is unknown or has a bad value.
    """
    try:
        return ServerSettings.model_validate(values)
    except ValidationError as error:
        raise ValueError(f"{source}: {_describe(error)}") from None


def _describe(error: ValidationError) -> str:
    """Describe the first error of settings; suggest a name for an unknown setting."""
    first = error.errors()[0]
    setting = ".".join(map(str, first["loc"]))
    if first["type"] != "extra_forbidden":
        return f"{setting}: {first['msg'].removeprefix('Value error, ')}"
    known = Replicas if len(first["loc"]) > 1 else ServerSettings
    suggestion = did_you_mean(str(first["loc"][-1]), known.model_fields)
    hint = f": did you mean {suggestion!r}?" if suggestion else ""
    return f"there is no setting {setting!r}{hint}"
