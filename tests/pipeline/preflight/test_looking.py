"""What a process sees of the places of a job: its mark, another folder, or nothing in time."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.data.storage.marks import Marks, marked
from exvad.data.storage.places import resolve_place
from exvad.pipeline.preflight import looking
from exvad.pipeline.preflight.looking import look_for_marks
from tests.helpers.object_store import Faults, object_store


def test_mark_that_is_there_is_answered_and_one_that_is_not_is_reported(tmp_path: Path) -> None:
    with marked({"run": f"{tmp_path}/run"}) as marks:
        other = ("store", resolve_place(f"{tmp_path}/store"))
        sights = look_for_marks(Marks(marks.name, (*marks.places, other)), "answer", {})
    assert sights["run"].found
    assert not sights["store"].found
    assert sights["store"].problem == ""
    assert (tmp_path / "run/answer").read_text() == "answer"


def test_variables_that_the_process_lacks_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with object_store() as bucket, marked({"run": bucket.url("run")}) as marks:
        ((_, place),) = marks.places
        assert "AWS_ENDPOINT_URL" in place.variables
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        bucket.proxy.faults = [Faults("403", 1)]
        names = {"run": ["AWS_PROFILE_OF_JOB", "AWS_REGION"]}
        sight = look_for_marks(marks, "answer", names)["run"]
    assert "Reduce your request rate" in sight.problem
    assert sight.lacking == ["AWS_PROFILE_OF_JOB"]
    assert sight.advice.startswith("The processes of the cluster lack AWS_PROFILE_OF_JOB, which")


def test_storage_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "LOOK_SECONDS", 1.0)
    with object_store() as bucket, marked({"run": bucket.url("run")}) as marks:
        bucket.proxy.faults = [Faults("stall", 1)]
        assert look_for_marks(marks, "answer", {})["run"].problem == "no answer within 1 s"
        bucket.proxy.faults = []
