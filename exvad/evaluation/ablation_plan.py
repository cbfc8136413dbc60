"""A plan of ablations: tables and curves, each cell the preset with some settings changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from exvad.evaluation.paper_tables import QUOTED, Figures, Table, measured, summarise

Settings = dict[str, Any]
SHARES = ("frame_auc", "frame_ap", "class_accuracy", "video_auc")


class PlannedTable(BaseModel):
    """A table: one row per variant of the settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(description="its heading")
    figures: list[str] = Field(min_length=1, description="its columns; map_… is of the protocol")
    rows: dict[str, Settings] = Field(min_length=1, description="row name → settings")
    quoted: dict[str, list[float]] = Field({}, description="row name → the figures of others")
    quoted_from: str = Field("", description="whose they are, and of which data set")

    @model_validator(mode="after")
    def _quotes_fit(self) -> PlannedTable:
        for name, values in self.quoted.items():
            if name not in self.rows or len(values) > len(self.figures) or not self.quoted_from:
                raise ValueError(
                    f"quoted {name!r}: must be one of the rows, have at most {len(self.figures)} "
                    "figures, and quoted_from must say whose they are"
                )
        return self


class PlannedCurve(BaseModel):
    """A curve: one setting over several values."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(description="its heading")
    setting: str = Field(description="the setting on the x axis")
    values: list[float | int] = Field(min_length=1, description="its values")
    figures: list[str] = Field(min_length=1, description="what is drawn")

    @property
    def rows(self) -> dict[str, Settings]:
        """The curve's points as a table has its rows."""
        return {f"{self.setting} = {value}": {self.setting: value} for value in self.values}


class Plan(BaseModel):
    """What to compare."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tables: list[PlannedTable] = Field([], description="tables")
    curves: list[PlannedCurve] = Field([], description="curves")

    @property
    def parts(self) -> list[PlannedTable | PlannedCurve]:
        """Tables and curves."""
        return [*self.tables, *self.curves]

    def cells(self) -> Iterator[Settings]:
        """Yield every different variant of the settings once."""
        seen = set()
        for part in self.parts:
            for settings in part.rows.values():
                if cell_name(settings) not in seen:
                    seen.add(cell_name(settings))
                    yield settings


def cell_name(settings: Settings) -> str:
    """Return the name under which a cell's results are kept."""
    return ",".join(f"{key}={settings[key]}" for key in sorted(settings))


def read_plan(path: Path | None) -> Plan:
    """Read a plan; None for the paper's own ablations.

    Raises:
        ValueError: the file is no plan; names what is wrong.
    """
    import yaml

    text = (
        (resources.files("exvad") / "assets" / "paper" / "ablations.yaml").read_text()
        if path is None
        else path.read_text()
    )
    try:
        return Plan.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML ({error})") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{path}: {where}: {first['msg']}") from None


def make_tables(
    plan: Plan, results: Mapping[str, list[Figures]], protocol: str, selected_on: str
) -> list[Table]:
    """Make the plan's tables, its curves too, of measured rows below quoted ones.

    Args:
        plan: what was compared.
        results: cell name → the headline figures of each seed.
        protocol: of the mAP columns.
        selected_on: the split the epoch was chosen on; anything but validation is said.

    Raises:
        ValueError: a figure does not exist.
    """
    tables = []
    for part in plan.parts:
        rows: list[list[object]] = []
        for name, settings in part.rows.items():
            if isinstance(part, PlannedTable) and name in part.quoted:
                own = [f"{value:.2f}" for value in part.quoted[name]]
                unknown = [None] * (len(part.figures) - len(own))
                rows.append([name, *own, *unknown, f"{QUOTED}, {part.quoted_from}"])
            runs = results[cell_name(settings)]
            cells = [_cell(runs, figure, protocol) for figure in part.figures]
            rows.append([name, *cells, measured(protocol, len(runs), selected_on)])
        tables.append(Table(f"{part.title} (%)", ["", *part.figures, "source"], rows))
    return tables


def figure_key(figure: str, protocol: str) -> str:
    """Return the headline figure that a plan's figure means."""
    return figure.replace("map_", f"map_{protocol}_", 1) if figure.startswith("map_") else figure


def _cell(runs: list[Figures], figure: str, protocol: str) -> object:
    key = figure_key(figure, protocol)
    if any(key not in run for run in runs):
        raise ValueError(f"there is no figure {figure}: known are {', '.join(sorted(runs[0]))}")
    return summarise(runs, key, 100 if key.startswith(SHARES) else 1)
