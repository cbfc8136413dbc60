"""What a verb makes of errors that reach it through Ray."""

from __future__ import annotations

from exvad.cli.errors import user_error

TRACE = """
ray::MapWorker(MapBatches(LanguageActor)).__init__() (pid=1)
  File "llm.py", line 51, in __init__
    raise ModelUnavailableError(model, error) from error
exvad.encoders.devices.ModelUnavailableError: can't load model 'x' (OSError: gone).
"""


def test_the_sentence_for_the_user_is_found_in_a_trace() -> None:
    assert user_error(TRACE) == "can't load model 'x' (OSError: gone)."


def test_a_plain_value_error_counts_only_if_it_is_ours() -> None:
    ours = TRACE.replace("llm.py", "/src/exvad/fit.py").replace(
        "exvad.encoders.devices.ModelUnavailableError", "ValueError"
    )
    assert user_error(ours) == "can't load model 'x' (OSError: gone)."
    assert user_error(ours.replace("/src/exvad/fit.py", "/lib/numpy/core.py")) is None


def test_other_traces_are_nobodys_sentence() -> None:
    assert user_error("ray.exceptions.ActorDiedError: the actor died") is None
