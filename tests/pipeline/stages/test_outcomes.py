"""Outcomes of inputs: as text, and collected while a data set runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exvad.pipeline.stages.outcomes import Outcome, run_to_end
from exvad.store.store import Store


class FinishedDataset:
    """A data set whose outcomes are known."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = outcomes

    def iter_batches(self, **_: Any) -> Iterator[dict[str, Any]]:
        """Yield one batch per outcome."""
        for outcome in self.outcomes:
            yield {"outcome": [outcome.to_json()]}


def test_outcome_survives_the_way_through_the_pipeline() -> None:
    failure = Outcome.failure("v1", ValueError("can't be read"))
    assert failure == Outcome("v1", "ValueError", "can't be read")
    assert Outcome.from_json(failure.to_json()) == failure


def test_run_to_end_logs_failures_prints_remarks_and_returns_retries(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "store")
    retry = Outcome.failure("v3", KeyError("again"))
    dataset = FinishedDataset(
        Outcome("v0"),
        Outcome("v1", message="one frame was replaced"),
        Outcome.failure("v2", ValueError("broken")),
        retry,
    )
    to_retry = run_to_end(dataset, "working", 4, store, "vision", retry_error="KeyError")
    assert to_retry == [retry]
    assert [(row["id"], row["message"]) for row in store.failures.rows("vision")] == [
        ("v2", "broken")
    ]
    output = capsys.readouterr().err
    assert "note: v1: one frame was replaced" in output
    assert "working: 4 of 4 in 0 s" in output


def test_run_to_end_logs_every_failure_when_nothing_is_retried(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    dataset = FinishedDataset(Outcome.failure("v3", KeyError("again")))
    assert run_to_end(dataset, "working", 1, store, "language") == []
    assert [row["error"] for row in store.failures.rows("language")] == ["KeyError"]
