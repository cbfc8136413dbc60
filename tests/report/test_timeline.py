"""Timelines are described in words and bounded in size."""

from __future__ import annotations

import json

from exvad.report.timeline import build_timeline
from tests.helpers.report_cases import FIGHT, make_analysis


def test_build_timeline_describes_the_timeline_in_words() -> None:
    described = build_timeline(make_analysis(FIGHT), [(11.0, 22.0, "Fighting")]).description
    assert described == (
        "Timeline of 0:32. The anomaly score lies between 8\u202f% and 93\u202f%, "
        "with the maximum at 0:12; the threshold is 50\u202f%. Found: Fighting from 0:12 to 0:21. "
        "True: Fighting from 0:11 to 0:22."
    )


def test_build_timeline_draws_the_peak_of_a_long_video_with_few_points() -> None:
    scores = [0.1] * 50_000
    scores[31_234] = 0.875
    analysis = make_analysis().model_copy(
        update={
            "duration": 32_000.0,
            "times": [i * 0.64 for i in range(50_000)],
            "scores": scores,
            "probabilities": [[0.0, 0.1, 0.2, 0.7]] * 50_000,
        }
    )
    points = json.loads(build_timeline(analysis).points)
    assert len(points) <= 600
    assert [round(31_234 * 0.64, 2), 0.875, 3] in points
