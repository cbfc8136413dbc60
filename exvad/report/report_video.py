"""A video of a report: its analysis, frames and ground truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from exvad.results import Analysis

TrueEvent = tuple[float, float, str]
"""A true event as (start in seconds, end in seconds, class)."""


@dataclass(frozen=True)
class ReportVideo:
    """One video of a report.

    Args:
        analysis: the analysis.
        frames: JPEG bytes by 1-based caption number; only the frames to show.
        true_label: the true class; None if it is unknown.
        true_events: the true events.

    Raises:
        ValueError: a frame belongs to no caption of the analysis.
    """

    analysis: Analysis
    frames: Mapping[int, bytes] = field(default_factory=dict)
    true_label: str | None = None
    true_events: tuple[TrueEvent, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.analysis.captions)
        if unknown := sorted(number for number in self.frames if not 1 <= number <= count):
            raise ValueError(
                f"{self.analysis.video}: frames {unknown} belong to no caption; "
                f"captions are numbered 1 to {count}"
            )

    @property
    def normal(self) -> str:
        """The name of the normal class."""
        return self.analysis.classes[0]

    @property
    def true_classes(self) -> set[str]:
        """The true classes; empty if the ground truth is unknown."""
        classes = {label for _, _, label in self.true_events}
        return classes if self.true_label is None else {*classes, self.true_label}
