"""Files that mislead: containers whose seeks go astray, playlists, secrets in addresses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exvad.video.chunks import plan_chunks, probe
from exvad.video.container import VideoError
from exvad.video.decoding import decode_chunk
from tests.helpers.videos import read_indices, write_video


def indices_by_chunk(path: Path, stride: int = 3, snippets_per_chunk: int = 4) -> list[int]:
    _, chunks = plan_chunks("clip", path, stride, snippets_per_chunk)
    results = [decode_chunk(chunk) for chunk in chunks]
    assert [result.problems for result in results] == [[]] * len(results)
    return [index for result in results for index in read_indices(result.frames)]


INTRA_REFRESH = {"x264-params": "intra-refresh=1:keyint=12:bframes=0"}
OPEN_GOP = {"x264-params": "open-gop=1:keyint=12:min-keyint=12:bframes=3:b-adapt=0"}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("intra-refresh.mp4", {"options": INTRA_REFRESH}),
        ("intra-refresh.ts", {"options": INTRA_REFRESH}),
        ("open-gop.mp4", {"options": OPEN_GOP}),
        ("open-gop.ts", {"options": OPEN_GOP}),
        ("program-stream.mpg", {"codec": "mpeg2video", "options": {"bf": "2"}}),
        ("no-order.avi", {"options": {"x264-params": "bframes=3:b-adapt=0"}}),
        ("clip.flv", {"options": {"x264-params": "bframes=3:b-adapt=0"}}),
    ],
)
def test_a_seek_that_misleads_never_gives_wrong_frames(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    path = write_video(tmp_path / name, 60, size=(64, 48), **options)
    assert indices_by_chunk(path) == list(range(0, 60, 3))


def test_recordings_put_one_after_the_other_are_counted(tmp_path: Path) -> None:
    first = write_video(tmp_path / "first.ts", 30)
    second = write_video(tmp_path / "second.ts", 30, size=(64, 48), first=30)
    path = tmp_path / "both.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    assert indices_by_chunk(path) == list(range(0, 60, 3))


def test_a_recording_cut_at_its_head_begins_with_its_first_keyframe(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.ts", 100, size=(64, 48))
    content = path.read_bytes()
    path.write_bytes(content[int(len(content) * 0.4) // 188 * 188 :])
    indices = indices_by_chunk(path, 1, 7)
    assert indices[0] % 12 == 0
    assert indices == list(range(indices[0], 100))
    assert probe(path).num_frames == len(indices)


def test_a_list_of_other_files_is_no_video(tmp_path: Path) -> None:
    other = write_video(tmp_path / "other.ts", 30)
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile other.ts\n")
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:2", "#EXTINF:2,", other.as_uri(), "#EXT-X-ENDLIST"]
    (tmp_path / "list.m3u8").write_text("\n".join(lines))
    for name in ("list.mp4", "list.m3u8"):
        with pytest.raises(VideoError, match="file, not a video"):
            probe(tmp_path / name)


def test_an_unknown_codec_is_named_as_the_reason(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mkv", 10)
    content = path.read_bytes()
    assert b"V_MPEG4/ISO/AVC" in content
    path.write_bytes(content.replace(b"V_MPEG4/ISO/AVC", b"V_UNKNOWN/CODEC"))
    with pytest.raises(VideoError, match="its codec is not known here"):
        probe(path)


def test_an_error_tells_no_secret_of_an_address() -> None:
    with pytest.raises(VideoError) as caught:
        probe("nonsense://user:password@host/clip.mp4?signature=abc")
    assert str(caught.value).startswith("nonsense://host/clip.mp4: ")
    assert caught.value.path == "nonsense://host/clip.mp4"
    for secret in ("user", "password", "abc"):
        assert secret not in str(caught.value)
