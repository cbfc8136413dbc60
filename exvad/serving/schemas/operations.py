"""Responses for operators: the health of the server and the models it serves."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Health(BaseModel):
    """The health of the server."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["ok"] = "ok"
    waiting: int = Field(description="analyses that are queued or running")


class ServedModel(BaseModel):
    """A worker that analyzes videos, and the model it has loaded."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(description="name of the checkpoint's weights, as in every result")
    checkpoint: str = Field(description="name of the folder that the model was loaded from")
    classes: list[str] = Field(description="classes of the training, the normal class first")
    threshold: float = Field(description="snippets with a higher score are abnormal")
    since: float = Field(description="when the worker loaded the model, in seconds since 1970")
    problem: str | None = Field(None, description="why the worker can't load a newer version")
    problem_since: float | None = Field(
        None, description="when loading the newer version failed, in seconds since 1970"
    )


class ModelList(BaseModel):
    """The workers that analyze videos."""

    model_config = ConfigDict(extra="forbid")

    items: list[ServedModel]
