"""Open video files, local or remote, and read their packets and frames.

A file that is no video becomes a `VideoError`. Storage that does not answer becomes a
`StorageError`, because the file may be fine. FFmpeg's own log stays off, as PyAV sets it. PyAV is
imported only where it is used, so that processes that decode in a sandbox never load FFmpeg.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Container, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from exvad.config.addresses import shown_address
from exvad.data.storage.errors import StorageError, is_network_failure, reason_of
from exvad.data.storage.frame_folders import images_and_videos, is_frame_folder, list_frames
from exvad.data.storage.places import is_uri, resolve_place
from exvad.data.storage.remote.reading import RangeReader
from exvad.video.footage.fields import FieldPairs
from exvad.video.footage.frame_folder import FrameFolder, FrameImage
from exvad.video.footage.still_streams import without_stills
from exvad.video.open_file import OpenFile

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# Only these demuxers may open a file. Others open the files and URLs that the file names, even
# before its format is known (hls, dash, concat, imf, sdp), render text, or read images and audio.
VIDEO_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,asf,flv,live_flv,kux,ogg,"
    "gif,apng,mxf,nut,ivf,obu,av1,h264,hevc,vvc,h261,h263,mjpeg,mpjpeg,vc1,vc1test,dirac,cavsvideo,"
    "avs2,avs3,dv,rm,wtv,nuv,nsv,pva,gxf,dhav,swf,ty,yuv4mpegpipe"
)
# FFmpeg takes a clock that was set back for one that wrapped, and adds 26.5 hours. What a jump
# means is decided in `exvad.video.footage.clock`.
CLOCK_OPTIONS = {"correct_ts_overflow": "0"}
# Codecs that mark frames which no other frame refers to. HEVC does too, but per layer only.
_NONREF_CODECS = {"h264", "mpeg1video", "mpeg2video", "mpeg4"}
DEFAULT_FPS = 25.0
_RAW_FORMATS = ("h264", "hevc", "m4v", "mpegvideo", "mjpeg")
_HEAD_BYTES = 1 << 20  # of a file, in which frames of a recorder are looked for
_REMOTE_BUFFER = 1 << 20  # bytes per read of a remote file: each read is one request


class VideoError(ValueError):
    """A file can't be read as a video.

    Args:
        path: the file; the message omits user names, passwords and queries of a URI.
        reason: the cause, as the part of the sentence after `path: `.
    """

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = shown_address(path), reason
        super().__init__(f"{self.path}: {reason}")

    def __reduce__(self) -> tuple[type[VideoError], tuple[str, str]]:
        return type(self), (self.path, self.reason)


class MissingVideoError(VideoError):
    """There is no such file, or the path names none: nothing was tried."""


class DecodingLimitError(VideoError):
    """Decoding a file exceeds its limit of time or memory; the rest of it is not worth a try."""


@contextlib.contextmanager
def open_video(
    path: str, folder_fps: float = DEFAULT_FPS, file: OpenFile | None = None
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and the video stream of it that a player shows, or a folder of frames.

    Args:
        path: local path or URI; see `exvad.data.storage.places`.
        folder_fps: frames per second of a folder of frames.
        file: its content, if another process has opened it; then `path` is only its name.

    Yields:
        The open container and its video stream.

    Raises:
        VideoError: the file is missing, empty, not a video, has only sound or an unknown codec;
            also if FFmpeg fails while the file is open.
        StorageError: storage does not answer or refuses.
    """
    import av

    with contextlib.ExitStack() as stack:
        source: Any
        if file is not None:
            source = stack.enter_context(_rewound(path, file))
        elif is_uri(path):
            source = stack.enter_context(open_remote(path))
        else:
            check_local(path)
            # Without the prefix, FFmpeg takes a name like "a:b.mp4" for a protocol.
            source = f"file:{path}"
        try:
            if images := _list_images(path, file):
                folder = FrameFolder(images, folder_fps)
                yield cast("InputContainer", folder), cast("VideoStream", folder.stream)
                return
            container = stack.enter_context(_open_container(path, source))
            yield container, choose_stream(path, container)
        except av.error.ArgumentError as error:
            raise VideoError(
                path,
                "is another kind of file, not a video, or damaged; convert it to MP4, for example",
            ) from error
        except av.error.InvalidDataError as error:
            raise VideoError(
                path,
                "can't be read as a video: it is none, or an interrupted copy has cut off its "
                "index; copy it again or convert it",
            ) from error
        except (av.error.FFmpegError, OSError) as error:
            if isinstance(error, OSError) and is_network_failure(error):
                raise StorageError(path, reason_of(error)) from error
            raise VideoError(path, f"can't be read ({reason_of(error)})") from error


def read_packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """Yield the packets that have data, up to the end or to where the file is truncated."""
    import av

    # A packet without data would signal the end to the decoder. If another stream begins later
    # than FFmpeg's probing reaches (sound that is switched on), PyAV fails to look it up after the
    # last packet and raises IndexError.
    with contextlib.suppress(av.error.InvalidDataError, IndexError):
        for packet in container.demux(stream):
            if packet.size:
                yield packet


def decode_frames(
    container: InputContainer,
    stream: VideoStream,
    keyframe: int | None = None,
    needed: Container[int] | None = None,
) -> Iterator[VideoFrame]:
    """Yield the frames that can be decoded, in the order in which they are shown.

    Args:
        container: the open file, at its beginning or at the position of a seek.
        stream: its video stream.
        keyframe: skip what comes before the keyframe with this pts; if it is not found, yield
            nothing.
        needed: pts of the frames that are needed; others may be skipped. None for all.
    """
    is_skipping = keyframe is not None
    codec = stream.codec_context
    can_skip = needed is not None and codec.codec.canonical_name in _NONREF_CODECS
    fields = FieldPairs(stream)
    for packet in read_packets(container, stream):
        if is_skipping and packet.is_keyframe and packet.pts is not None:
            assert keyframe is not None
            if packet.pts > keyframe:
                return
            is_skipping = packet.pts != keyframe
        if not is_skipping:
            if can_skip and not (fields.are_possible and fields.is_second(packet)):
                assert needed is not None
                codec.skip_frame = "DEFAULT" if packet.pts in needed else "NONREF"
            yield from decode_packet(stream, packet)
    yield from decode_packet(stream, None)


def decode_packet(stream: VideoStream, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
    """Return the frames that are ready after a packet; none after a damaged one.

    Args:
        stream: the video stream.
        packet: its next packet; None for the end of the stream.
    """
    import av

    try:
        return list(stream.codec_context.decode(packet))
    except av.error.FFmpegError:
        return []


def _list_images(path: str, file: OpenFile | None) -> list[FrameImage]:
    """Return the images of a folder of frames; none of any other video."""
    if file is not None:
        parts = enumerate(file.parts)
        return [FrameImage(name, partial(file.read_part, index)) for index, (name, _) in parts]
    if is_uri(path) or not Path(path).is_dir():
        return []
    return [FrameImage(image.name, image.read_bytes) for image in list_frames(Path(path))]


def _open_container(path: str, source: Any) -> InputContainer:
    import av

    try:
        container = _open_as(source)
    except (av.error.ArgumentError, av.error.InvalidDataError):
        start = _find_dav_frame(path, source)
        if start is None:
            raise
        return _open_as(source, "dhav", start)
    # The beginning of such a recording is cut off: only its frames are recognized.
    if container.format.name in ("dhav", *_RAW_FORMATS):
        start = _find_dav_frame(path, source)
        if start:
            container.close()
            return _open_as(source, "dhav", start)
    return container


def _open_as(source: Any, format_name: str | None = None, start: int = 0) -> InputContainer:
    """Open a file as a container.

    Args:
        source: its name or content.
        format_name: the format; None to recognize it.
        start: bytes before its beginning.
    """
    import av

    if not isinstance(source, str):
        source.seek(0)
    container: InputContainer = av.open(
        source,
        format=format_name,
        metadata_errors="replace",
        buffer_size=_REMOTE_BUFFER,
        container_options={
            **CLOCK_OPTIONS,
            "protocol_whitelist": "file",
            "format_whitelist": VIDEO_FORMATS,
            "skip_initial_bytes": str(start),
        },
    )
    return container


def _find_dav_frame(path: str, source: Any) -> int | None:
    """Return where the first whole frame of a .dav recording begins; None if there is none."""
    if isinstance(source, str):
        with Path(path).open("rb") as file:
            head = file.read(_HEAD_BYTES)
    else:
        # An open container reads on from where it stopped.
        position = source.tell()
        source.seek(0)
        head = source.read(_HEAD_BYTES)
        source.seek(position)
    start = head.find(b"DHAV")
    while start >= 0:
        # The length of a frame, and again its mark, at its end.
        length = int.from_bytes(head[start + 12 : start + 16], "little")
        if length > 32 and head[start + length - 8 : start + length - 4] == b"dhav":
            return start
        start = head.find(b"DHAV", start + 1)
    return None


def check_local(path: str) -> None:
    """Check that a local path leads to a file with content.

    Raises:
        MissingVideoError: there is no such file.
        VideoError: it is a folder, a device or empty, or can't be looked at.
        StorageError: the server of a network file system does not answer.
    """
    try:
        file = Path(path)
        if not path or not file.exists():
            raise MissingVideoError(path, "there is no such file")
        if is_frame_folder(file):
            return
        if all(images_and_videos(file)):
            raise VideoError(
                path,
                "is a folder with images and videos: name a video of it, or move the videos out of "
                "it to read the images as frames",
            )
        if file.is_dir():
            raise VideoError(
                path, "is a folder, not a video file; a folder of frames has images (.jpg, .png)"
            )
        if not file.is_file():
            raise VideoError(path, "is not a regular file")
        if not file.stat().st_size:
            raise VideoError(path, "the file is empty")
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: str, error: OSError) -> VideoError | StorageError:
    """Return the error of a video that can't be read, by its own or by the storage's fault.

    Args:
        path: the video.
        error: the error of reading it.
    """
    reason = reason_of(error)
    if is_network_failure(error):
        return StorageError(path, reason)
    return VideoError(path, f"can't be read ({reason})")


@contextlib.contextmanager
def _rewound(path: str, file: OpenFile) -> Iterator[OpenFile]:
    file.seek(0)
    try:
        yield file
    finally:
        # FFmpeg takes some errors of a file for its end: the video would only seem shorter.
        if file.error is not None:
            raise unreadable(path, file.error)


@contextlib.contextmanager
def open_remote(uri: str) -> Iterator[Any]:
    """Open a URI as a file that can be read and that seeks.

    Args:
        uri: see `exvad.data.storage.places`.

    Yields:
        The open file.

    Raises:
        VideoError: there is no such file, it is empty, or no file can have this URI.
        StorageError: storage does not answer or refuses.
    """
    if uri.startswith(("http://", "https://")):
        raise MissingVideoError(uri, "is a web address: download it, or send it to exvad serve")
    try:
        file = resolve_place(uri).open_sequential()
    except StorageError:
        raise
    except FileNotFoundError as error:
        raise MissingVideoError(uri, "there is no such file") from error
    except (OSError, ValueError) as error:
        # The text of the error may repeat the URI with its secrets.
        cause = error.__cause__ or error
        reason = str(cause) if isinstance(cause, ImportError) else type(cause).__name__
        raise VideoError(uri, f"can't be opened ({reason})") from error
    with file:
        if not file.seek(0, io.SEEK_END):
            raise VideoError(uri, "the file is empty")
        file.seek(0)
        try:
            yield file
        finally:
            # FFmpeg takes some errors of a file for its end: the video would only seem shorter.
            if isinstance(file, RangeReader) and file.error is not None:
                raise file.error


def choose_stream(path: str, container: InputContainer) -> VideoStream:
    """Return the video stream that a player shows: the default one, or else the first.

    Args:
        path: the file, for errors.
        container: the open file.

    Raises:
        VideoError: it has only sound, pictures or codecs that are not known.
    """
    streams = _filmed_streams(container)
    if not streams:
        raise VideoError(path, "has no video stream, only sound or a cover picture")
    streams = [stream for stream in streams if stream.codec_context is not None]
    if not streams:
        raise VideoError(path, "its codec is not supported; convert it to H.264, for example")
    return next((stream for stream in streams if _is_default(stream)), streams[0])


def describe_choice(container: InputContainer | FrameFolder, stream: VideoStream) -> list[str]:
    """Return a note of which video stream is used, if there are several, or which images are.

    Args:
        container: the open file.
        stream: the stream that is used.
    """
    if isinstance(container, FrameFolder):
        left_out = container.left_out
        return [f"{left_out} images of another format are left out"] if left_out else []
    count = len(_filmed_streams(container))
    if count < 2:
        return []
    which = "default" if _is_default(stream) else "first"
    return [f"has {count} video streams; the {which} one, stream {stream.index}, is used"]


def _filmed_streams(container: InputContainer) -> list[VideoStream]:
    """Return the video streams without those that hold a picture, such as a cover."""
    return without_stills(
        [
            stream
            for stream in container.streams.video
            if not stream.disposition
            & (stream.disposition.attached_pic | stream.disposition.timed_thumbnails)
        ]
    )


def _is_default(stream: VideoStream) -> bool:
    return bool(stream.disposition & stream.disposition.default)
