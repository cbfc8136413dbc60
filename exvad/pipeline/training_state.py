"""The folder RUN/train, in which Ray Train keeps the state of a training, before and after it."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ray.exceptions import RayActorError, RayError
from ray.train import ControllerError

from exvad.data.storage.errors import reason_of
from exvad.training.worker import SNAPSHOT

if TYPE_CHECKING:
    from exvad.data.storage.places import Place

_STATE = "checkpoint_"  # how the names of the folders of states begin
# The last line of a traceback: an actor that can't start passes its error on as text only. Lines
# above may be of an error that was handled.
_OS_ERROR = re.compile(r"(?:OS|Permission|FileNotFound|Connection|Timeout)Error: (.+)")
_MAX_REASON = 300  # characters
_IDLE_SECONDS = 15 * 60


def delete_unlisted_states(folder: Place) -> None:
    """Delete the states that a killed training left behind and nothing continues from.

    Those of the last minutes are left: a claim does not hold between machines on every network
    share, so that another one may be writing the newest state, which its snapshot lists only then.
    A bucket is left as it is, where there are no claims.

    Args:
        folder: RUN/train, on which no other process of this machine works.
    """
    if not folder.is_local:
        return
    snapshot = folder / SNAPSHOT
    listed = snapshot.read_text() if snapshot.exists() else ""
    for name in folder.list_folders():
        if name.startswith(_STATE) and f'"{name}"' not in listed and _is_old(folder / name):
            (folder / name).delete_folder()


def _is_old(state: Place) -> bool:
    """Return whether nothing in a local folder of a state was written in the last minutes."""
    folder = Path(state.path)
    try:
        newest = max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
    except FileNotFoundError:  # another process deletes or renames it
        return False
    return time.time() - newest > _IDLE_SECONDS


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
    lines = str(failure).split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "")
    if (found := _OS_ERROR.fullmatch(last)) is None:
        return ""
    reason = found[1]
    return reason if len(reason) <= _MAX_REASON else f"{reason[:_MAX_REASON]}…"
