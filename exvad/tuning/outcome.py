"""The outcome of a sweep, and whether the winner is better than the start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exvad.inference.domain import Domain
    from exvad.tuning.confirm import ConfirmedSetting
    from exvad.tuning.records import TrialRecord


@dataclass(frozen=True)
class SweepOutcome:
    """The outcome of a sweep.

    Args:
        records: the trials.
        confirmed: the settings that were trained again, the best first.
        note: how the best compares with the start, or how far the sweep came.
        interrupted: whether the sweep was stopped before its end.
        domain: statistics of the features of the training videos; None for too few videos.
    """

    records: list[TrialRecord]
    confirmed: list[ConfirmedSetting]
    note: str
    interrupted: bool = False
    domain: Domain | None = None


def as_overrides(parameters: Mapping[str, Any]) -> list[str]:
    """Return drawn settings as `section.field=value` overrides."""
    return [f"{key}={value}" for key, value in parameters.items()]


def describe_best(best: Sequence[TrialRecord], stopped_after: str) -> str:
    """Describe the best trial of a sweep that was stopped.

    Args:
        best: the trials that ended without an error, the best first.
        stopped_after: how far the sweep came.
    """
    if not best:
        return f"Stopped after {stopped_after}; no trial succeeded."
    settings = " ".join(as_overrides(best[0].parameters))
    return (
        f"Stopped after {stopped_after}; the best so far reached {best[0].score:.4f} "
        f"with {settings}."
    )


def compare_with_start(winner: ConfirmedSetting, start: ConfirmedSetting) -> str:
    """State whether the winner is better than the start by more than the noise of the seeds.

    Args:
        winner: the best setting.
        start: the configuration that the sweep started from, trained with the same seeds.
    """
    gain = winner.mean - start.mean
    noise = ((winner.deviation or 0.0) ** 2 + (start.deviation or 0.0) ** 2) ** 0.5
    if gain <= 0:
        verdict = "The sweep found nothing better than the preset"
    elif noise == 0:
        verdict = f"Better than the preset by {gain:.4f}, with one seed each: it may be luck"
    elif gain < 2 * noise / len(winner.scores) ** 0.5:
        verdict = f"Better than the preset by {gain:.4f}, which is within the noise of the seeds"
    else:
        verdict = f"Better than the preset by {gain:.4f}, more than the noise of the seeds"
    return f"{verdict} ({start.estimate} on the same validation videos)."
