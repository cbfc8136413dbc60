"""Opening files: a video, or one sentence that says why not."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.stream
import fsspec
import pytest
from PIL import Image

from exvad.video.chunks import plan_chunks
from exvad.video.container import DecodingLimitError, VideoError
from exvad.video.decoding import read_frames
from exvad.video.survey import probe
from tests.helpers.dav import write_dav
from tests.helpers.videos import (
    decode_video,
    draw_index,
    read_index,
    truncated,
    write_audio,
    write_streams,
    write_video,
)


def no_index(folder: Path) -> Path:
    """Return an MP4 file without its index."""
    return truncated(write_video(folder / "clip.mp4", 60), 0.6)


def empty(folder: Path) -> Path:
    """Return an empty file."""
    (folder / "empty.mp4").touch()
    return folder / "empty.mp4"


def mixed_folder(folder: Path) -> Path:
    """Return a folder with an image and a video."""
    folder.mkdir()
    (folder / "1.jpg").write_bytes(b"x")
    (folder / "1.mp4").write_bytes(b"x")
    return folder


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
        (lambda folder: mixed_folder(folder / "mixed"), "is a folder with images and videos: name"),
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


@pytest.mark.parametrize(
    "name",
    [
        *("Heat: part 1.mp4", "50 %d #1?.mp4", "-v.mp4", "日本.mp4", "cam [1] {a,b} *.mp4"),
        *("a%20b%03d.mp4", "clip.mp4?x=1#t=3", "&amp;'\"`$HOME.mp4", "a\nb.mp4", "clip"),
    ],
)
def test_open_video_accepts_any_file_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write_video(tmp_path / "clip.mp4", 20).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert decode_video(name)[0] == decode_video(tmp_path / name)[0] == [0, 16]
    missing = tmp_path / f"no {name}"
    with pytest.raises(VideoError) as caught:
        probe(missing)
    assert caught.value.path == str(missing), "the error names the whole file"


def test_a_video_error_can_be_pickled() -> None:
    for kind in (VideoError, DecodingLimitError):
        error = pickle.loads(pickle.dumps(kind("a.mp4", "the file is empty")))
        assert type(error) is kind
        assert isinstance(error, ValueError)
        assert (error.path, error.reason) == ("a.mp4", "the file is empty")
        assert str(error) == "a.mp4: the file is empty"


@pytest.mark.parametrize("name", ["a#1.mp4", "a?b.mp4", "a%20b.mp4", "a [1].mp4", "ü&*.mp4"])
def test_an_error_names_the_whole_file_of_a_uri(name: str) -> None:
    uri = f"memory://videos/{name}"
    with pytest.raises(VideoError) as caught:
        probe(uri)
    assert str(caught.value) == f"{uri}: there is no such file"


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
    with pytest.raises(VideoError) as caught:
        probe("nonsense://user:pass#word@host/clip#1.mp4?signature=abc#x")
    assert caught.value.path == "nonsense://host/clip#1.mp4"


@pytest.mark.parametrize(("default", "expected"), [(0, 0), (1, 1), (2, 2), (-1, 0)])
def test_the_default_stream_is_read_and_the_others_are_named(
    tmp_path: Path, default: int, expected: int
) -> None:
    path = write_streams(tmp_path / "clip.mkv", default)
    assert decode_video(path, 6)[0] == [100 * expected + index for index in (0, 6, 12, 18)]
    assert read_index(read_frames(path, [0.4])[0]) == 100 * expected + 10
    (note,) = probe(path).notes
    assert "3 video streams" in note
    assert f"stream {expected}" in note


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("clip.mp4", av.stream.Disposition.attached_pic),
        ("clip.mp4", av.stream.Disposition.default),
        ("clip.mkv", av.stream.Disposition.default),
    ],
)
def test_a_cover_picture_is_no_stream(
    tmp_path: Path, name: str, kind: av.stream.Disposition
) -> None:
    """Song and film files have covers as a video stream, in MP4 often the first one."""
    path = tmp_path / name
    film = write_video(tmp_path / "film.mp4", 40)
    cover = io.BytesIO()
    Image.fromarray(draw_index(999, (64, 64))).save(cover, "JPEG")
    with av.open(str(film)) as source, av.open(str(path), "w") as container:
        picture: Any = container.add_stream("mjpeg", rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 64, "yuvj420p"
        picture.disposition = kind
        video = container.add_stream_from_template(source.streams.video[0])
        image = av.Packet(cover.getvalue())
        image.pts = image.dts = 0
        image.time_base, image.stream, image.is_keyframe = Fraction(1, 25), picture, True
        container.mux(image)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = video
                container.mux(packet)
    assert decode_video(path)[0] == [0, 16, 32]
    assert probe(path).notes == ()


def test_a_dav_recording_is_read_also_if_it_is_cut_at_both_ends(tmp_path: Path) -> None:
    path = write_dav(tmp_path / "whole.dav", 200)
    indices, times, problems, _ = decode_video(path, 1, 20)
    assert indices == list(range(200))
    assert times == pytest.approx([index / 25 for index in indices])
    assert problems == []
    content = path.read_bytes()
    cuts = [("cut.dav", 0.81), ("cut.mp4", 0.81), ("cut", 0.81), ("begin.dav", 1), ("begin", 1)]
    for name, end in cuts:
        cut = tmp_path / name
        cut.write_bytes(content[int(len(content) * 0.23) : int(len(content) * end)])
        indices, times, problems, _ = decode_video(cut, 1, 20)
        assert indices[0] % 12 == 0, "the first keyframe"
        assert indices == list(range(indices[0], indices[-1] + 1))
        assert times == pytest.approx([index / 25 for index in range(len(indices))])
        assert problems == []
        assert len(indices) > 100


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_a_program_stream_is_read_whatever_its_name_and_wherever_it_is_cut(
    tmp_path: Path, codec: str
) -> None:
    """Some recorders write program streams, with a head of their own, and call them MP4."""
    content = write_video(tmp_path / "a.mpg", 200, codec=codec, size=(64, 48)).read_bytes()
    path = tmp_path / "a.mp4"
    for head in (b"", b"IMKH\1\1\0\0" + bytes(32)):
        path.write_bytes(head + content)
        assert probe(path).duration == pytest.approx(8)
        assert decode_video(path, 16, 4)[0] == list(range(0, 200, 16))
    path.write_bytes(content[int(len(content) * 0.23) : int(len(content) * 0.81)])
    indices, times, _, _ = decode_video(path, 1)
    assert indices[0] % 12 == 0
    assert indices[:-1] == list(range(indices[0], indices[-2] + 1))
    # FFmpeg derives the times before the first one that is in the file.
    assert times == pytest.approx([index / 25 for index in range(len(indices))], abs=0.021)
