"""What the jobs make of errors that reach them through Ray."""

from __future__ import annotations

from jobs.session import user_error

TRACE = """
ray::MapWorker(MapBatches(LanguageActor)).__init__() (pid=1)
  File "llm.py", line 51, in __init__
    raise ModelUnavailableError(model, error) from error
exvad.encoders.devices.ModelUnavailableError: can't load model 'x' (OSError: gone).
"""


def test_the_sentence_for_the_user_is_found_in_a_trace() -> None:
    assert user_error(TRACE) == "can't load model 'x' (OSError: gone)."


def test_other_traces_are_nobodys_sentence() -> None:
    assert user_error("ray.exceptions.ActorDiedError: the actor died") is None
