"""Records of trials: what each one drew and reached, and how trials are ranked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from exvad.data.storage.marks import UnsharedPlaceError

OBJECTIVES = ("best_val_auc", "best_val_map")


@dataclass(frozen=True)
class TrialRecord:
    """The result of one trial.

    Args:
        parameters: the drawn settings, dotted key → value.
        metrics: metrics of the last epoch: best_val_auc, best_val_map, best_epoch, epoch, ….
        curve: the metrics of every epoch.
        error: why the trial failed; None if it did not fail.
        pruned: whether early stopping ended the trial.
        unfinished: whether the sweep was interrupted before the trial ended.
    """

    parameters: dict[str, Any]
    metrics: dict[str, float]
    curve: list[dict[str, float]] = field(default_factory=list)
    error: str | None = None
    pruned: bool = False
    unfinished: bool = False

    @property
    def score(self) -> float:
        """The rank of the trial: the mean of video-level AUC and mAP on validation, 0 to 1."""
        return sum(self.metrics.get(name, 0.0) for name in OBJECTIVES) / len(OBJECTIVES)


def best_first(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the trials that ended without an error, the best first."""
    usable = [
        record
        for record in records
        if record.error is None and record.metrics and not record.unfinished
    ]
    return sorted(usable, key=lambda record: -record.score)


def unshared_place(records: Sequence[TrialRecord]) -> UnsharedPlaceError | None:
    """Return the error of a node that did not see the run; None if all trials saw it."""
    name = f"{UnsharedPlaceError.__module__}.{UnsharedPlaceError.__name__}: "
    errors = (record.error or "" for record in records)
    message = next((error.removeprefix(name) for error in errors if error.startswith(name)), None)
    return None if message is None else UnsharedPlaceError(message)


def pareto_front(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the trials that no other trial beats in AUC without a lower mAP, the best first."""

    def objectives(record: TrialRecord) -> tuple[float, ...]:
        return tuple(record.metrics[name] for name in OBJECTIVES)

    usable = best_first(records)
    return [
        record
        for record in usable
        if not any(
            all(a >= b for a, b in zip(objectives(other), objectives(record), strict=True))
            and objectives(other) != objectives(record)
            for other in usable
        )
    ]
