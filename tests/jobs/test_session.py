"""What the jobs make of errors that reach them through Ray."""

from __future__ import annotations

from jobs.session import parser, user_error

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


def test_overrides_may_stand_before_and_after_options() -> None:
    command = parser("x")
    command.add_argument("--trials", type=int)
    options = command.parse_args(["a.b=1", "--trials", "3", "c=2", "--preset", "p", "d=4"])
    assert options.overrides == ["a.b=1", "c=2", "d=4"]
    assert (options.trials, options.preset) == (3, "p")
