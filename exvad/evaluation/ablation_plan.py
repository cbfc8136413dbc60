"""An ablation plan: tables and curves, each cell the preset with some settings changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from exvad.config.yaml_text import read_yaml
from exvad.evaluation.experiment import SUMMARY_NAMES
from exvad.evaluation.paper_tables import QUOTED, Estimate, PaperTable, estimate, measured_source
from exvad.evaluation.scored import Metrics
from exvad.metrics import IOUS

Settings = dict[str, Any]
# What may differ between trainings on the same features.
CHANGEABLE = ("model.", "train.", "labels.k", "data.crops", "data.test_crop")
SHARES = ("frame_auc", "frame_ap", "class_accuracy", "video_auc")


class PlannedTable(BaseModel):
    """A table: one row per variant of the settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(description="heading of the table")
    metrics: list[str] = Field(
        min_length=1, description="its columns; map_… is computed by the chosen protocol"
    )
    rows: dict[str, Settings] = Field(min_length=1, description="row name → settings")
    quoted: dict[str, list[float]] = Field({}, description="row name → results of others")
    quoted_from: str = Field("", description="source of the quoted results, with the data set")

    @model_validator(mode="after")
    def _quotes_fit(self) -> PlannedTable:
        for name, values in self.quoted.items():
            if name not in self.rows or len(values) > len(self.metrics) or not self.quoted_from:
                raise ValueError(
                    f"quoted {name!r}: the name must be one of the rows, it may have at most "
                    f"{len(self.metrics)} values, and quoted_from must name the source"
                )
        return self


class PlannedCurve(BaseModel):
    """A curve: metrics over the values of one setting."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(description="heading of the curve")
    setting: str = Field(description="the setting on the x axis")
    values: list[float | int] = Field(min_length=1, description="the values of the setting")
    metrics: list[str] = Field(min_length=1, description="the metrics, one panel each")

    @property
    def rows(self) -> dict[str, Settings]:
        """The curve's points in the form of a table's rows."""
        return {f"{self.setting} = {value}": {self.setting: value} for value in self.values}


class Plan(BaseModel):
    """The tables and curves of an ablation study."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tables: list[PlannedTable] = Field([], description="tables")
    curves: list[PlannedCurve] = Field([], description="curves")

    @property
    def parts(self) -> list[PlannedTable | PlannedCurve]:
        """Tables and curves."""
        return [*self.tables, *self.curves]

    def cells(self) -> Iterator[Settings]:
        """Yield every distinct variant of the settings once."""
        seen = set()
        for part in self.parts:
            for settings in part.rows.values():
                if cell_name(settings) not in seen:
                    seen.add(cell_name(settings))
                    yield settings


def cell_name(settings: Settings) -> str:
    """Return the name of a cell's results: its settings in alphabetical order."""
    return ",".join(f"{key}={settings[key]}" for key in sorted(settings))


def read_plan(path: Path | None) -> Plan:
    """Read a plan.

    Args:
        path: a YAML file; None for the paper's own ablations.

    Raises:
        ValueError: the file is no YAML, or no plan; the message names the wrong field.
    """
    paper_plan = resources.files("exvad") / "assets" / "paper" / "ablations.yaml"
    content = yaml.safe_load(paper_plan.read_text("utf-8")) if path is None else read_yaml(path)
    try:
        return Plan.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise ValueError(f"{path}: {field}: {first['msg']}") from None


def check_plan(plan: Plan) -> None:
    """Refuse a plan that can't be measured, before anything is trained.

    Raises:
        ValueError: there is nothing in it, no evaluation gives a metric, or a setting is one that
            the features depend on.
    """
    if not plan.parts:
        raise ValueError("the plan has no tables and no curves")
    known = [*SUMMARY_NAMES, *(f"map_{iou}" for iou in IOUS), "map_average"]
    for part in plan.parts:
        for metric in part.metrics:
            if metric not in known:
                raise ValueError(
                    f"{part.title}: there is no metric {metric}: known are {', '.join(known)}"
                )
        for setting in {key for row in part.rows.values() for key in row}:
            if not setting.startswith(CHANGEABLE):
                raise ValueError(
                    f"{part.title}: {setting} can't be compared: the features depend on it, and "
                    f"are the same in every training; a plan changes {', '.join(CHANGEABLE)}"
                )


def make_tables(
    plan: Plan, results: Mapping[str, Sequence[Metrics]], protocol: str, selected_on: str
) -> list[PaperTable]:
    """Return the tables of a plan, and its curves as tables, with quoted rows above measured ones.

    Args:
        plan: what was compared.
        results: cell name → the summary metrics of each seed.
        protocol: protocol of the mAP columns.
        selected_on: the split the epoch was chosen on; any but validation is named in the table.

    Raises:
        ValueError: a metric does not exist.
    """
    tables = []
    for part in plan.parts:
        rows: list[list[object]] = []
        for name, settings in part.rows.items():
            if isinstance(part, PlannedTable) and name in part.quoted:
                values = [f"{value:.2f}" for value in part.quoted[name]]
                unknown = [None] * (len(part.metrics) - len(values))
                rows.append([name, *values, *unknown, f"{QUOTED}, {part.quoted_from}"])
            runs = results[cell_name(settings)]
            cells = [estimate_percent(runs, metric, protocol) for metric in part.metrics]
            rows.append([name, *cells, measured_source(protocol, len(runs), selected_on)])
        tables.append(PaperTable(f"{part.title} (%)", ["", *part.metrics, "source"], rows))
    return tables


def estimate_percent(runs: Sequence[Metrics], metric: str, protocol: str) -> Estimate | None:
    """Return a metric of a plan over runs, in percent; None if any run leaves it undefined.

    Args:
        runs: the summary metrics of each seed.
        metric: the metric as a plan names it: `map_0.5` stands for `map_strict_0.5` under `strict`.
        protocol: protocol of the mAP metrics.

    Raises:
        ValueError: a run has no such metric.
    """
    is_map = metric.startswith("map_")
    name = metric.replace("map_", f"map_{protocol}_", 1) if is_map else metric
    if any(name not in run for run in runs):
        raise ValueError(f"there is no metric {metric}: known are {', '.join(sorted(runs[0]))}")
    return estimate(runs, name, 100 if name.startswith(SHARES) else 1)
