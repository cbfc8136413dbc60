"""Open a video file, local or remote, and read its packets and frames; FFmpeg's errors get a name.

FFmpeg's own log stays off, as PyAV sets it: what goes wrong is said by `VideoError`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# Only these are let open what they are handed. Others play files or addresses that they name, and
# do so before anybody can ask which kind of file it is (hls, dash, concat, imf, sdp), draw text, or
# are made for single pictures and for sound.
VIDEO_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,asf,flv,live_flv,kux,ogg,"
    "gif,mxf,nut,ivf,obu,av1,h264,hevc,vvc,h261,h263,mjpeg,mpjpeg,vc1,vc1test,dirac,cavsvideo,avs2,"
    "avs3,dv,rm,wtv,nuv,nsv,pva,gxf,dhav,swf,ty,yuv4mpegpipe"
)
# Codecs that mark the pictures no other one needs. HEVC does too, but for its own layer only.
_MARKS_UNREFERENCED = {"h264", "mpeg1video", "mpeg2video", "mpeg4"}
_REMOTE_BUFFER = 1 << 20  # bytes per read of a remote file: each is a request of its own


class VideoError(ValueError):
    """A file can't be read as a video: names it and says why.

    Args:
        path: the file; user names, passwords and queries of a URI are left out of the message.
        reason: why, in words that follow the name and a colon.
    """

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = _without_secrets(path), reason
        super().__init__(f"{self.path}: {reason}")

    def __reduce__(self) -> tuple[type[VideoError], tuple[str, str]]:
        return VideoError, (self.path, self.reason)


class DecodingLimitError(VideoError):
    """A file takes more time or memory to decode than it may: the rest of it is not worth a try."""

    def __reduce__(self) -> tuple[type[VideoError], tuple[str, str]]:
        return DecodingLimitError, (self.path, self.reason)


@contextlib.contextmanager
def open_video(path: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file's first video stream that is no cover picture.

    Args:
        path: local path, or a URI (with `://`) that pyarrow or fsspec can open.

    Raises:
        VideoError: it is missing, no file, empty, no video, has sound only or an unknown codec;
            also where FFmpeg or the storage fails later, while the file is open.
    """
    import av

    with contextlib.ExitStack() as stack:
        source: Any
        if "://" in path:
            source = stack.enter_context(_open_remote(path))
        else:
            _check_local(path)
            # The prefix keeps FFmpeg from taking a name like "a:b.mp4" for a protocol.
            source = f"file:{path}"
        try:
            container = stack.enter_context(_opened(path, source))
            yield container, _picture_stream(path, container)
        except av.error.InvalidDataError as error:
            raise VideoError(
                path,
                "can't be read as a video: it is none, or an interrupted copy has cut off its "
                "index; copy it again or convert it",
            ) from error
        except (av.error.FFmpegError, OSError) as error:
            raise VideoError(path, f"can't be read ({error.strerror or error})") from error


def read_packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """Yield the packets that hold something, up to the end or to where the file is broken off."""
    import av

    # A packet without data would tell the decoder that the video ends here. Where a stream begins
    # later than FFmpeg looks ahead (sound that is switched on), PyAV counts it among those that it
    # was asked for, after the last packet, and doesn't find it.
    with contextlib.suppress(av.error.InvalidDataError, IndexError):
        for packet in container.demux(stream):
            if packet.size:
                yield packet


def read_frames(
    container: InputContainer,
    stream: VideoStream,
    key: int | None = None,
    wanted: Container[int] | None = None,
) -> Iterator[VideoFrame]:
    """Yield the frames that can be decoded, in the order they are shown.

    Args:
        container: the open file, at its start or where it was seeked to.
        stream: its video stream.
        key: leave out what comes before the keyframe with this pts; yield nothing if it is not
            there.
        wanted: the frames with these pts are enough, so that others may be left out; None for all.
    """
    skipping = key is not None
    codec = stream.codec_context
    leaving_out = wanted is not None and codec.codec.canonical_name in _MARKS_UNREFERENCED
    for packet in read_packets(container, stream):
        if skipping and packet.is_keyframe and packet.pts is not None:
            assert key is not None
            if packet.pts > key:
                return
            skipping = packet.pts != key
        if not skipping:
            if leaving_out:
                assert wanted is not None
                codec.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
            yield from decode_packet(stream, packet)
    yield from decode_packet(stream, None)


def decode_packet(stream: VideoStream, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
    """Return the frames ready after a packet (None: the end); after a damaged one, none."""
    import av

    try:
        return list(stream.codec_context.decode(packet))
    except av.error.FFmpegError:
        return []


def _opened(path: str, source: Any) -> InputContainer:
    import av

    try:
        container: InputContainer = av.open(
            source,
            metadata_errors="replace",
            buffer_size=_REMOTE_BUFFER,
            container_options={"protocol_whitelist": "file", "format_whitelist": VIDEO_FORMATS},
        )
    except av.error.ArgumentError as error:
        raise VideoError(
            path, "is another kind of file, not a video, or a damaged one; convert it, say, to MP4"
        ) from error
    return container


def _check_local(path: str) -> None:
    try:
        file = Path(path)
        if not file.exists():
            raise VideoError(path, "there is no such file")
        if file.is_dir():
            raise VideoError(path, "is a folder, not a video file")
        if not file.is_file():
            raise VideoError(path, "is no regular file")
        if not file.stat().st_size:
            raise VideoError(path, "the file is empty")
    except OSError as error:
        raise VideoError(path, f"can't be read ({error.strerror})") from error


@contextlib.contextmanager
def _open_remote(path: str) -> Iterator[Any]:
    from exvad.data.filesystems import resolve

    try:
        filesystem, place = resolve(path)
        file = filesystem.open_input_file(place)
    except FileNotFoundError as error:
        raise VideoError(path, "there is no such file") from error
    except (OSError, ValueError) as error:
        # The text of the error may repeat the URI with its secrets.
        cause = error.__cause__ or error
        reason = str(cause) if isinstance(cause, ImportError) else type(cause).__name__
        raise VideoError(path, f"can't be opened ({reason})") from error
    with file:
        if not file.size():
            raise VideoError(path, "the file is empty")
        yield file


def _picture_stream(path: str, container: InputContainer) -> VideoStream:
    streams = [
        stream
        for stream in container.streams.video
        if not stream.disposition & stream.disposition.attached_pic
    ]
    if not streams:
        raise VideoError(path, "has no video stream, only sound or a cover picture")
    if streams[0].codec_context is None:
        raise VideoError(path, "its codec is not known here: convert it, say, to H.264")
    return streams[0]


def _without_secrets(path: str) -> str:
    if "://" not in path:
        return path
    parts = urlsplit(path)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
