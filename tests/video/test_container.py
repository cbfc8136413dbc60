"""Opening files: a video, or one sentence that says why not."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from exvad.video.chunks import plan_chunks
from exvad.video.container import DecodingLimitError, VideoError
from exvad.video.decoding import read_frames
from exvad.video.survey import probe
from tests.helpers.videos import decode_video, truncated, write_audio, write_video


def no_index(folder: Path) -> Path:
    """Return an MP4 file without its index."""
    return truncated(write_video(folder / "clip.mp4", 60), 0.6)


def empty(folder: Path) -> Path:
    """Return an empty file."""
    (folder / "empty.mp4").touch()
    return folder / "empty.mp4"


def text(folder: Path) -> Path:
    """Return a text file."""
    (folder / "text.mp4").write_text("Dear reader,\nthis is no video.\n" * 50)
    return folder / "text.mp4"


def only_header(folder: Path) -> Path:
    """Return an MP4 file that ends before its first frame."""
    path = write_video(folder / "clip.mp4", 20, faststart=True)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"mdat") + 4])
    return path


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda folder: folder / "missing.mp4", "there is no such file"),
        (lambda folder: folder, "is a folder, not a video file"),
        (empty, "the file is empty"),
        (text, "can't be read as a video"),
        (no_index, "can't be read as a video"),
        (only_header, "no frame"),
        (lambda folder: write_audio(folder / "audio.m4a"), "has no video stream"),
    ],
)
def test_open_video_says_why_a_file_is_not_a_video(
    tmp_path: Path, make: Callable[[Path], Path], reason: str
) -> None:
    path = make(tmp_path)
    readers: list[Callable[[Path], object]] = [
        probe,
        lambda path: plan_chunks("clip", path),
        lambda path: read_frames(path, [0.0], 24),
    ]
    for read in readers:
        with pytest.raises(VideoError, match=reason) as caught:
            read(path)
        assert caught.value.path == str(path)
        assert str(caught.value) == f"{path}: {caught.value.reason}"


@pytest.mark.parametrize("uri", ["memory://nowhere/clip.mp4", "nonsense://clip.mp4"])
def test_open_video_names_a_uri_that_cannot_be_read(uri: str) -> None:
    with pytest.raises(VideoError, match=uri):
        probe(uri)


def test_open_video_reads_a_uri_like_a_file(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 40, b_frames=2)
    uri = "memory://videos/clip.mp4"
    with fsspec.open(uri, "wb") as target:
        target.write(path.read_bytes())
    assert probe(uri).num_frames == 40
    assert decode_video(uri, 16, 1)[0] == [0, 16, 32]


@pytest.mark.parametrize("name", ["Heat: part 1.mp4", "50 %d #1?.mp4", "-v.mp4", "日本.mp4"])
def test_open_video_accepts_any_file_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write_video(tmp_path / "clip.mp4", 20).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert decode_video(name)[0] == decode_video(tmp_path / name)[0] == [0, 16]


def test_a_video_error_can_be_pickled() -> None:
    for kind in (VideoError, DecodingLimitError):
        error = pickle.loads(pickle.dumps(kind("a.mp4", "the file is empty")))
        assert type(error) is kind
        assert isinstance(error, ValueError)
        assert (error.path, error.reason) == ("a.mp4", "the file is empty")
        assert str(error) == "a.mp4: the file is empty"


def test_open_video_refuses_playlists(tmp_path: Path) -> None:
    other = write_video(tmp_path / "other.ts", 30)
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile other.ts\n")
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:2", "#EXTINF:2,", other.as_uri(), "#EXT-X-ENDLIST"]
    (tmp_path / "list.m3u8").write_text("\n".join(lines))
    for name in ("list.mp4", "list.m3u8"):
        with pytest.raises(VideoError, match="file, not a video"):
            probe(tmp_path / name)


def test_open_video_names_an_unknown_codec(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mkv", 10)
    content = path.read_bytes()
    assert b"V_MPEG4/ISO/AVC" in content
    path.write_bytes(content.replace(b"V_MPEG4/ISO/AVC", b"V_UNKNOWN/CODEC"))
    with pytest.raises(VideoError, match="its codec is not supported"):
        probe(path)


def test_a_video_error_contains_no_secret_of_a_uri() -> None:
    with pytest.raises(VideoError) as caught:
        probe("nonsense://user:password@host/clip.mp4?signature=abc")
    assert str(caught.value).startswith("nonsense://host/clip.mp4: ")
    assert caught.value.path == "nonsense://host/clip.mp4"
    for secret in ("user", "password", "abc"):
        assert secret not in str(caught.value)
