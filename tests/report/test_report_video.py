"""A video of a report accepts only frames of its captions."""

from __future__ import annotations

import pytest

from exvad.report.report_video import ReportVideo
from tests.helpers.report_cases import make_analysis, make_jpeg


def test_report_video_refuses_a_frame_without_a_caption() -> None:
    with pytest.raises(ValueError, match=r"street\.mp4: frames \[17\] belong to no caption"):
        ReportVideo(make_analysis(), {17: make_jpeg()})
