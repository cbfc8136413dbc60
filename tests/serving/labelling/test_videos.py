"""The videos of a session: folders, patterns and names; each is queued once."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from exvad.serving.labelling.videos import find_videos, queue_videos
from exvad.serving.queue.analyses import AnalysisQueue


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two videos, a text, a folder of frames, and a name that no CSV can store."""
    top = tmp_path / "videos"
    for name in ("cam1/a.mp4", "cam2/b.avi", "cam2/notes.txt", "cam2/two\nlines.mp4"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(b"x")
    (top / "frames").mkdir()
    for number in range(2):
        Image.new("RGB", (8, 8)).save(top / "frames" / f"{number}.png")
    (tmp_path / "link.mp4").symlink_to(top / "cam1" / "a.mp4")
    return top


def test_find_videos_takes_folders_patterns_and_names_once(folder: Path) -> None:
    a, b = folder / "cam1" / "a.mp4", folder / "cam2" / "b.avi"
    link, pattern = folder.parent / "link.mp4", folder / "**" / "*.mp4"
    found = find_videos([str(folder), str(a), str(link)])
    assert found.videos == [a, b]
    assert "frames is a folder of frames" in found.notes[0]
    assert "lines.mp4' is left out: rename it" in found.notes[1]
    assert find_videos([str(pattern)]).videos == [a]


def test_find_videos_refuses_names_that_lead_to_no_video(folder: Path) -> None:
    (folder / "empty").mkdir()
    for name, problem in (
        (str(folder / "x.mp4"), "there is no such video"),
        (str(folder / "*.mov"), "there is no such video"),
        (str(folder / "empty"), "has no videos at any depth"),
        ("s3://bucket/x.mp4", "is not on this machine"),
    ):
        with pytest.raises(ValueError, match=problem):
            find_videos([name])


def test_queue_videos_adds_each_video_once_below_a_common_folder(
    folder: Path, tmp_path: Path
) -> None:
    queue = AnalysisQueue(tmp_path / "queue.sqlite")
    a, b = folder / "cam1" / "a.mp4", folder / "cam2" / "b.avi"
    assert queue_videos([a], queue) == (1, 0, folder / "cam1")
    assert queue_videos([a, b], queue) == (1, 1, folder)
    assert [status.name for status in queue.list_page(None, 9, 0)[0]] == ["cam2/b.avi", "a.mp4"]
    with pytest.raises(ValueError, match="no folder in common but /"):
        queue_videos([Path("/elsewhere/c.mp4")], queue)
