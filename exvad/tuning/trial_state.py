"""The state of a trial in its folder, from which an interrupted trial continues.

Ray Tune saves its state of a sweep every ten seconds. After a crash it starts a trial again
that had ended in between, or from an older checkpoint. So a trial looks into its own folder.

Ray Tune starts a trial again whose process was lost, and just as well one that raised an error,
which it would raise again. So a trial writes its error down and then fails at once.
"""

from __future__ import annotations

import json
import pickle
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pyarrow import fs
from ray import tune

from exvad.training.fitting import FitState

STATE_FILE, RESULT_FILE = "state.pt", "result.json"
ERROR_FILE = "trial_error.txt"
# A state has three times the size of the network; writing it must stay cheap beside an epoch.
SECONDS_BETWEEN_STATES = 10.0


class FailedBeforeError(RuntimeError):
    """A trial failed when it was run before, and would again."""


@dataclass(frozen=True)
class TrialState:
    """How far a trial has come.

    Args:
        fit: the state of the training to continue from; None to start at the first epoch.
        result: the metrics that the trial reported after its last epoch; None if it has not ended.
    """

    fit: FitState | None = None
    result: dict[str, float] | None = None


def read_trial_state(folder: str, filesystem: fs.FileSystem | None = None) -> TrialState:
    """Read the newest complete checkpoint of a trial.

    Args:
        folder: the folder of the trial, which holds its checkpoints.
        filesystem: the file system of the folder; None for the local one.

    Raises:
        FailedBeforeError: the trial ended with an error.
    """
    filesystem = filesystem or fs.LocalFileSystem()
    selector = fs.FileSelector(folder, recursive=True, allow_not_found=True)
    files = [info.path for info in filesystem.get_file_info(selector) if info.is_file]
    if (error := f"{folder}/{ERROR_FILE}") in files:
        with filesystem.open_input_file(error) as file:
            raise FailedBeforeError(file.read().decode())
    for path in sorted(files, reverse=True):
        name = path.rpartition("/")[2]
        if "/checkpoint_" not in path or name not in (STATE_FILE, RESULT_FILE):
            continue
        with filesystem.open_input_file(path) as file:
            try:
                if name == RESULT_FILE:
                    return TrialState(result=json.loads(file.read()))
                return TrialState(FitState.load(file))
            except (json.JSONDecodeError, RuntimeError, EOFError, pickle.UnpicklingError):
                continue  # The process was killed while it wrote this checkpoint.
    return TrialState()


@contextmanager
def error_written_down(folder: str, filesystem: fs.FileSystem) -> Iterator[None]:
    """Write an error of the training into the folder of its trial, and raise it.

    Args:
        folder: the folder of the trial.
        filesystem: the file system of the folder.
    """
    try:
        yield
    except (ArithmeticError, MemoryError, RuntimeError, ValueError) as error:
        reason = traceback.format_exception_only(error)[-1].strip().splitlines()[-1]
        with filesystem.open_output_stream(f"{folder}/{ERROR_FILE}") as file:
            file.write(reason.encode())
        raise


@dataclass
class StateWriter:
    """Decides when a trial's state is written, and writes it.

    Args:
        epochs: number of epochs of the trial.
        last_written: the time of the last written state, in seconds of `time.monotonic`.
    """

    epochs: int
    last_written: float = field(default_factory=time.monotonic)

    @contextmanager
    def checkpoint(
        self, state: FitState, metrics: dict[str, float]
    ) -> Iterator[tune.Checkpoint | None]:
        """Yield the checkpoint to report with an epoch; None if this epoch needs none.

        Args:
            state: the state after the epoch.
            metrics: the metrics that are reported with it.
        """
        with tempfile.TemporaryDirectory() as folder:
            if metrics["epoch"] == self.epochs:
                Path(folder, RESULT_FILE).write_text(json.dumps(metrics))
            elif time.monotonic() - self.last_written >= SECONDS_BETWEEN_STATES:
                state.save(Path(folder, STATE_FILE))
                self.last_written = time.monotonic()
            else:
                yield None
                return
            yield tune.Checkpoint.from_directory(folder)
