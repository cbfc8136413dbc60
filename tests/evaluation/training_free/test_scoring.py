"""From the answers of windows to the scores of snippets, and what is said about missing ones.

N windows
"""

from __future__ import annotations

import numpy as np
import pytest

from exvad.evaluation.training_free.answers import AnswerCount
from exvad.evaluation.training_free.scoring import collect, fill_unanswered
from tests.helpers.captioned import STREET, captioned_video


def test_fill_unanswered_draws_lines_by_the_distance_of_the_windows() -> None:
    filled_N = fill_unanswered(np.array([0, 2, 8, 10, 12]), [None, 0.0, None, 0.8, None])
    assert filled_N is not None
    np.testing.assert_allclose(filled_N, [0, 0, 0.6, 0.8, 0.8])
    assert fill_unanswered(np.array([0, 3]), [None, None]) is None


def test_collect_names_at_most_five_undecided_videos() -> None:
    videos = [captioned_video([STREET] * 2, f"v{number}") for number in range(8)]
    scores = [np.zeros(2), *[None] * 7]
    result = collect("S", videos, scores, {"scores": AnswerCount(9, 0, 7, "it says 'no'")}, None)
    assert len(result.undecided) == 7
    assert result.notes() == [
        "scores: 7 of 9 answers could not be used (0 refused, 7 unreadable), the first because: "
        "it says 'no'",
        "no usable answer about 7 of 8 videos, which have the score 0.5 everywhere: v1, v2, v3, "
        "v4, v5, …",
    ]


def test_collect_of_no_videos_is_empty_and_of_none_with_scores_an_error() -> None:
    assert collect("S", [], [], {}, None).predictions == []
    with pytest.raises(ValueError, match="S got no usable answer about any video"):
        collect("S", [captioned_video([STREET])], [None], {}, None)
