"""The message for the user in errors that Ray passes on."""

from __future__ import annotations

from exvad.cli.errors import user_error

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
