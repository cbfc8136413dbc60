"""Every knob of the server, typed; unknown keys are refused."""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    ValidationError,
    field_validator,
    model_validator,
)

from exvad.checkpoints.registry import SQLITE

VARIABLE = "EXVAD_SERVE"


class Replicas(BaseModel):
    """What one replica of a deployment takes, and how many there may be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cpus: float = Field(0.3, ge=0, description="CPU cores per replica, and threads that compute")
    gpus: float = Field(0, ge=0, description="GPUs per replica; a fraction shares one")
    min_replicas: int = Field(1, ge=1, description="replicas kept alive")
    max_replicas: int = Field(1, ge=1, description="replicas at most")
    at_once: int = Field(8, ge=1, description="requests per replica; more call for another one")

    @model_validator(mode="after")
    def _ordered(self) -> Replicas:
        if self.max_replicas < self.min_replicas:
            raise ValueError("max_replicas is smaller than min_replicas")
        return self


class ServerSettings(BaseModel):
    """How the server keeps videos and answers, and what it lets in."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    checkpoint: str = Field(
        "", description="folder, MLflow run id or models:/NAME@ALIAS; empty for the newest run's"
    )
    tracking_uri: str = Field(
        "", description="MLflow of runs and names; empty: MLFLOW_TRACKING_URI, or the newest run's"
    )
    spool: Path = Field(Path("runs/serve"), description="folder of uploads, answers and the queue")
    database: str = Field(
        "", description="where the queue is kept: sqlite:///FILE; empty: a file in the spool"
    )
    reload_seconds: float = Field(
        30,
        gt=0,
        le=1e6,
        description="how often it is asked whether an alias names another version now",
    )
    decoder: Replicas = Field(Replicas(), description="decoding, in processes of their own")
    clip: Replicas = Field(Replicas(), description="CLIP, images and texts")
    captioner: Replicas = Field(Replicas(), description="the captioner")
    explainer: Replicas = Field(Replicas(), description="the language model")
    analyst: Replicas = Field(
        Replicas(at_once=4), description="the trained network; `at_once` analyses each"
    )
    decode_bytes: int = Field(4 * 2**30, ge=2**28, description="memory a decoder may address")
    decode_seconds: float = Field(120, gt=0, description="longest decoding of 32 snippets")
    decode_file_seconds: float = Field(7200, gt=0, description="longest decoding of a whole file")
    max_bytes: int = Field(512 * 2**20, ge=1, description="largest video taken")
    max_seconds: float = Field(4 * 3600, gt=0, description="longest video taken")
    max_pixels: int = Field(7680 * 4320, ge=1, description="largest picture taken")
    max_waiting: int = Field(64, ge=1, description="analyses that may wait; more are refused (429)")
    max_followers: int = Field(
        128, ge=1, description="clients that wait for an answer or follow one; more are refused"
    )
    max_streams: int = Field(4, ge=0, description="live streams watched; more are refused (429)")
    stream_idle_seconds: float = Field(
        30, gt=0, description="a growing file that stops growing for so long has ended"
    )
    keep_hours: float = Field(24 * 7, gt=0, description="how long uploads and answers are kept")
    lease_seconds: float = Field(
        30,
        gt=0,
        le=1e6,
        description="a replica silent for so long is taken for dead, its work for undone",
    )
    allowed_root: Path | None = Field(
        None, description="videos below it may be named by path; none without it"
    )
    url_networks: list[IPvAnyNetwork] = Field(
        [], description="private networks whose URLs are fetched too, such as 10.1.0.0/16"
    )
    url_seconds: float = Field(300, gt=0, description="longest download of a URL")
    webhook_secret: Path | None = Field(
        None, description="file of the secret that signs webhooks; none are sent without it"
    )
    api_keys: Path | None = Field(
        None, description="file of `scope sha256` lines; without it only this machine may ask"
    )

    @field_validator("database")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if value and not value.removeprefix(SQLITE).strip():
            raise ValueError("sqlite:/// must name a file")
        if value and not value.startswith(SQLITE):
            raise ValueError("only sqlite:///FILE is there so far; PostgreSQL is not")
        return value

    @field_validator("allowed_root", mode="before")
    @classmethod
    def _some_root(cls, value: object) -> object:
        if value == "":
            raise ValueError("name a folder, or leave it out")
        return value

    @field_validator("url_networks", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        for each in value if isinstance(value, list) else ():
            ip_network(each)  # says what is wrong with one in words
        return value

    @property
    def database_path(self) -> Path:
        """The file of the queue."""
        named = self.database.removeprefix(SQLITE)
        return Path(named) if named else self.spool / "queue.sqlite"


def load_settings(named: str = "") -> ServerSettings:
    """Read the settings from a YAML file, or take the defaults.

    Args:
        named: the file; empty for the one that EXVAD_SERVE names, if any.

    Raises:
        ValueError: the file is missing, or a key is unknown or has a bad value.
    """
    import yaml

    place = named or os.environ.get(VARIABLE)
    if not place:
        return ServerSettings()
    try:
        values = yaml.safe_load(Path(place).read_text("utf-8"))
    except FileNotFoundError:
        by = "" if named else f" (named by {VARIABLE})"
        raise ValueError(f"{place}{by} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{place} can't be read ({error})") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{place}: not YAML ({error})") from None
    if not isinstance(values, dict | None):
        raise ValueError(f"{place}: write one `setting: value` a line")
    return parse_settings(values or {}, str(place))


def parse_settings(values: Mapping[str, object], where: str) -> ServerSettings:
    """Check settings that were read as plain values.

    Args:
        values: setting → value.
        where: they came from, for the error.

    Raises:
        ValueError: a key is unknown or has a bad value.
    """
    try:
        return ServerSettings.model_validate(values)
    except ValidationError as error:
        raise ValueError(f"{where}: {_complaint(error)}") from None


def _complaint(error: ValidationError) -> str:
    """Say what is wrong with settings, and what may be meant."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    if first["type"] != "extra_forbidden":
        return f"{where}: {first['msg'].removeprefix('Value error, ')}"
    known = Replicas if len(first["loc"]) > 1 else ServerSettings
    near = get_close_matches(str(first["loc"][-1]), known.model_fields, 1)
    return f"there is no setting {where!r}" + (f": did you mean {near[0]!r}?" if near else "")
