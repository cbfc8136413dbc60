"""References to videos: the name that a person would recognize."""

from __future__ import annotations

import pytest

from exvad.data.annotations.parsing import video_name


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("/data/upload/3/1f2e3d4c-shop%20door.mp4", "shop door.mp4"),
        ("/data/upload/3/plain.mp4", "plain.mp4"),
        ("/data/local-files/?d=cam2/0001.mp4", "cam2/0001.mp4"),
        ("https://host/a/b%23.mp4?token=1#t=3", "b#.mp4"),
        ("s3://bucket/v=x__#1_label_A.mp4", "s3://bucket/v=x__#1_label_A.mp4"),
        ("http://[::1/a/b.mp4", "b.mp4"),
        ("cam1/0001.mp4", "cam1/0001.mp4"),
        ("cam1\\0001.mp4", "cam1/0001.mp4"),
        ("what? 100% #1.mp4", "what? 100% #1.mp4"),
        ("/srv/videos/a.mp4", "a.mp4"),
        ("1f2e3d4c-own.mp4", "1f2e3d4c-own.mp4"),
    ],
)
def test_video_name_undoes_what_tools_do_to_names(reference: str, name: str) -> None:
    assert video_name(reference) == name
