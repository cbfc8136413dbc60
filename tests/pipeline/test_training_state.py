"""The folder of the state of a training: what is left behind there, and what is wrong with it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from ray.exceptions import ActorDiedError, RayTaskError
from ray.train import ControllerError

from exvad.data.storage.places import resolve_place
from exvad.pipeline.training_state import delete_unlisted_states, state_problem
from exvad.training.worker import SNAPSHOT

DENIED = "When creating key 'run/train/' in bucket 'videos': AWS Error ACCESS_DENIED: Forbidden"


def actor_died(error: Exception) -> ActorDiedError:
    """Return what Ray raises about an actor whose constructor raised an error."""
    traceback = f'Traceback\n  File "manager.py", line 1\n{type(error).__name__}: {error}'
    return ActorDiedError(RayTaskError("Controller.__init__", traceback, error, "controller"))


def age(folder: Path) -> None:
    """Make everything below a folder an hour old."""
    hour_ago = time.time() - 3600
    for path in folder.rglob("*"):
        os.utime(path, (hour_ago, hour_ago))


def test_states_that_are_not_listed_are_deleted(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        (tmp_path / f"checkpoint_{number}").mkdir()
        (tmp_path / f"checkpoint_{number}" / "state.pt").write_bytes(b"state")
    (tmp_path / "other").mkdir()
    listed = {"checkpoint_results": [{"checkpoint_dir_name": "checkpoint_2"}]}
    (tmp_path / SNAPSHOT).write_text(json.dumps(listed))
    age(tmp_path)
    delete_unlisted_states(resolve_place(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == [
        "checkpoint_2", "other",
    ]  # fmt: skip
    (tmp_path / SNAPSHOT).unlink()
    age(tmp_path)
    delete_unlisted_states(resolve_place(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
    delete_unlisted_states(resolve_place(tmp_path / "gone"))


def test_a_state_that_another_machine_may_be_writing_is_left(tmp_path: Path) -> None:
    for name in ("checkpoint_1", "checkpoint_2", "checkpoint_3"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "state.pt").write_bytes(b"state")
    age(tmp_path)
    (tmp_path / "checkpoint_2" / "state.pt").write_bytes(b"more")
    (tmp_path / "checkpoint_3" / "new").touch()
    delete_unlisted_states(resolve_place(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint_2", "checkpoint_3"]


@pytest.mark.parametrize(
    "error",
    [
        actor_died(OSError(DENIED)),
        ControllerError(actor_died(OSError(DENIED))),
        ControllerError(OSError(DENIED)),
    ],
)
def test_storage_that_refuses_the_state_is_named_in_a_sentence(
    error: ActorDiedError | ControllerError,
) -> None:
    problem = state_problem("s3://videos/run/train", error)
    assert problem is not None
    assert f"s3://videos/run/train: the state of the training can't be stored ({DENIED})" in problem
    assert "\n" not in problem


def test_other_errors_of_actors_are_not_blamed_on_the_folder() -> None:
    assert state_problem("train", actor_died(TypeError("a defect"))) is None


def test_an_error_of_files_that_was_handled_is_not_to_blame() -> None:
    handled = (
        "Traceback\nFileNotFoundError: no snapshot yet\n\n"
        "During handling of the above exception, another exception occurred:\n\n"
        "Traceback\nTypeError: a defect\n"
    )
    error = RayTaskError("Controller.__init__", handled, TypeError("a defect"), "controller")
    assert state_problem("train", ActorDiedError(error)) is None
