"""Records of trials: how they are ranked, and the Pareto front among them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exvad.tuning.records import TrialRecord, best_first, pareto_front


def record(auc: float, mean_precision: float) -> TrialRecord:
    return TrialRecord({}, {"best_val_auc": auc, "best_val_map": mean_precision})


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_pareto_front_holds_exactly_the_trials_that_no_other_beats(
    values: list[tuple[float, float]],
) -> None:
    records = [record(*pair) for pair in values]
    front = [tuple(member.metrics.values()) for member in pareto_front(records)]
    assert best_first(records)[0].score == max(sum(pair) / 2 for pair in values)

    def beats(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
        return a != b and all(x >= y for x, y in zip(a, b, strict=True))

    for pair in values:
        assert (pair in front) != any(beats(other, pair) for other in values)


def test_best_first_leaves_out_trials_without_a_valid_result() -> None:
    perfect = {"best_val_auc": 1.0, "best_val_map": 1.0}
    failed = TrialRecord({}, perfect, error="out of memory")
    unfinished = TrialRecord({}, perfect, unfinished=True)
    good = record(0.5, 0.5)
    assert best_first([failed, unfinished, good, TrialRecord({}, {})]) == [good]
