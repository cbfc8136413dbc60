"""The folders of sweeps, RUN/sweep1, RUN/sweep2, …: their plans, and which one is continued."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from exvad.data.storage.places import Place, resolve_place
from exvad.pipeline.studies.results import read_result
from exvad.tuning.context import PLAN, SUMMARY

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.tuning.context import SweepOptions

FORMAT = 2  # of plans; sweeps of earlier ones wrote no summary, finished or not


def sweep_to_resume(config: Config, options: SweepOptions) -> Place | None:
    """Return the folder of the sweep to resume; None to begin a new one.

    Args:
        config: the configuration of the sweep.
        options: the options of the sweep.

    Raises:
        ValueError: there is no sweep to resume, or it was started with another configuration or
            other options; the message names what differs.
    """
    if options.resume == "never":
        return None
    newest = _newest(config)
    folder = resolve_place(config.run) / f"sweep{newest}"
    if options.resume == "unfinished" and (
        not (folder / PLAN).exists()
        or (folder / SUMMARY).exists()
        or read_result(folder / PLAN).get("format", 1) < FORMAT
    ):
        return None
    if not newest:
        raise ValueError(f"there is no sweep below {config.run} to resume")
    if not (folder / PLAN).exists():
        raise ValueError(f"{folder} holds no sweep that can be resumed: start a new one")
    before, now = read_result(folder / PLAN), _plan(config, options)
    different = [name for name in now if before.get(name) != now[name]]
    if different:
        raise ValueError(
            f"{folder} was started with another {', '.join(different)}: give the same to resume "
            "it, or start a new sweep by the command without --resume and --resume-or-start"
        )
    return folder


def begin_sweep(config: Config, options: SweepOptions) -> Place:
    """Write the plan of a new sweep; return its folder, which no other sweep has.

    Args:
        config: the configuration of the sweep.
        options: the options of the sweep.
    """
    plan = json.dumps({"format": FORMAT, **_plan(config, options)}).encode()
    while True:
        folder = resolve_place(config.run) / f"sweep{_newest(config) + 1}"
        if (folder / PLAN).create_bytes(plan):
            return folder


def _newest(config: Config) -> int:
    """Return the number of the newest sweep of a run; 0 if there is none."""
    folders = resolve_place(config.run).list_folders()
    names = (re.fullmatch(r"sweep(\d+)", name) for name in folders)
    return max((int(name[1]) for name in names if name), default=0)


def _plan(config: Config, options: SweepOptions) -> dict[str, Any]:
    return {
        "configuration": config.model_dump(mode="json", by_alias=True),
        "trials": options.trials,
        "search": options.search,
        "space": options.space.read_text("utf-8"),
    }
