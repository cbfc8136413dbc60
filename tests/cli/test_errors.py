"""The message for the user in errors that Ray passes on."""

from __future__ import annotations

import pytest

from exvad.cli.errors import describe_error, user_error

TRACEBACK = """
ray::MapWorker(MapBatches(LanguageActor)).__init__() (pid=1)
  File "llm.py", line 51, in __init__
    raise ModelUnavailableError(model, error) from error
exvad.encoders.model_files.ModelUnavailableError: can't load model 'x' (OSError: gone).
"""


def test_user_error_is_the_message_of_an_error_of_exvad() -> None:
    assert user_error(TRACEBACK) == "can't load model 'x' (OSError: gone)."


def test_user_error_takes_a_value_error_only_if_exvad_raised_it() -> None:
    ours = TRACEBACK.replace("llm.py", "/src/exvad/fit.py").replace(
        "exvad.encoders.model_files.ModelUnavailableError", "ValueError"
    )
    assert user_error(ours) == "can't load model 'x' (OSError: gone)."
    assert user_error(ours.replace("/src/exvad/fit.py", "/lib/numpy/core.py")) is None


def test_user_error_is_none_for_other_errors() -> None:
    assert user_error("ray.exceptions.ActorDiedError: the actor died") is None


def test_user_error_says_what_to_do_when_ray_does_not_start() -> None:
    late = "Exception: The current node timed out during startup. This could happen because …"
    assert "did not start in time" in str(user_error(late))


def test_user_error_says_which_disk_is_full_but_takes_no_missing_file() -> None:
    full = "OSError: [Errno 28] No space left on device: '/data/run/state.pt'"
    remote = TRACEBACK.replace(TRACEBACK.strip().splitlines()[-1], full)
    message = user_error(remote)
    assert message is not None
    assert message.startswith("No space left on device: '/data/run/state.pt'; make room")
    assert user_error(remote.replace("28", "2")) is None


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
    ],
)
def test_describe_error_says_what_to_do_when_the_memory_is_full(error: Exception) -> None:
    assert "lower batch sizes" in str(describe_error(error))
    assert describe_error(RuntimeError("a defect")) is None
