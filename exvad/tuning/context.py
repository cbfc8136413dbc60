"""A sweep: its options as typed, and what they find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.storage.places import Place
    from exvad.tuning.inputs import SweepInputs
    from exvad.tuning.search import Method
    from exvad.tuning.space import Dimension

# The plan is written when a sweep begins, the summary when its winner is registered.
PLAN, SUMMARY = "sweep.json", "summary.json"

Resume = Literal["never", "newest", "unfinished"]


@dataclass(frozen=True)
class SweepOptions:
    """The options of a sweep.

    Args:
        space: YAML file of the search space.
        trials: number of trials.
        search: the sampler.
        confirm_seeds: seeds per setting when the three best settings are trained again.
        early_stop: whether ASHA stops trials that are not promising.
        resume: which sweep to resume: none, the newest, or the newest if it is unfinished.
        preset: the preset as typed, for the command that trains the winner.
        overrides: the overrides as typed, for the same command.
        command: all arguments as typed, for the command that resumes the sweep.
    """

    space: Path
    trials: int = 20
    search: Method = "tpe"
    confirm_seeds: int = 1
    early_stop: bool = True
    resume: Resume = "never"
    preset: str = "demo"
    overrides: Sequence[str] = ()
    command: Sequence[str] = ()


@dataclass(frozen=True)
class SweepContext:
    """A sweep that is ready to run.

    Args:
        config: the configuration that the trials override.
        options: the options of the sweep.
        folder: the folder of the sweep, RUN/sweep1, RUN/sweep2, ….
        space: the search space.
        inputs: manifest and labels of the run, and which videos have features.
    """

    config: Config
    options: SweepOptions
    folder: Place
    space: dict[str, Dimension]
    inputs: SweepInputs

    def space_text(self) -> str:
        """Return the file of the search space as it was when the sweep started."""
        return str((self.folder / PLAN).read_json()["space"])
