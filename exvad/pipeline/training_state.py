"""The folder RUN/train, in which Ray Train keeps the state of a training, before and after it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ray.exceptions import RayActorError, RayError
from ray.train import ControllerError

from exvad.data.storage.errors import reason_of
from exvad.training.worker import SNAPSHOT

if TYPE_CHECKING:
    from exvad.data.storage.places import Place

_STATE = "checkpoint_"  # how the names of the folders of states begin
# The last line of a traceback: an actor that can't start passes its error on as text only.
_OS_ERROR = re.compile(r"^(?:OS|Permission|FileNotFound|Connection|Timeout)Error: (.+)$", re.M)
_MAX_REASON = 300  # characters


def delete_unlisted_states(folder: Place) -> None:
    """Delete the states that a killed training left behind and nothing continues from.

    A bucket is left as it is: another machine may train there, and no claim shows it.

    Args:
        folder: RUN/train, on which no other process works.
    """
    if not folder.is_local:
        return
    snapshot = folder / SNAPSHOT
    listed = snapshot.read_text() if snapshot.exists() else ""
    for name in folder.list_folders():
        if name.startswith(_STATE) and f'"{name}"' not in listed:
            (folder / name).delete_folder()


def state_problem(folder: str, error: ControllerError | RayError) -> str | None:
    """Return what is wrong with the folder of the state; None if it is not to blame.

    Args:
        folder: RUN/train.
        error: what Ray Train raised.
    """
    failure = error.controller_failure if isinstance(error, ControllerError) else error
    reason = reason_of(failure) if isinstance(failure, OSError) else _reason_of_actor(failure)
    if reason:
        return (
            f"{folder}: the state of the training can't be stored "
            f"({reason}): make room or rights there, and the same command continues"
        )
    if "CheckpointManagerInitializationError" in f"{failure!r} {failure}":
        return (
            f"{folder}: the state of the training is damaged: delete this folder, and the same "
            "command trains from the first epoch"
        )
    return None


def _reason_of_actor(failure: Exception) -> str:
    """Return why an actor could not start, if files or storage are to blame; else nothing."""
    if not isinstance(failure, RayActorError):
        return ""
    found = _OS_ERROR.findall(str(failure))
    if not found:
        return ""
    reason: str = found[-1]
    return reason if len(reason) <= _MAX_REASON else f"{reason[:_MAX_REASON]}…"
