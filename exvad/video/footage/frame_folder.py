"""A folder of frames as a container: one image after the other, each a keyframe.

It has the parts of PyAV's containers and streams that surveying and decoding use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import PurePath
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from exvad.data.storage.frame_folders import IMAGE_CODECS

if TYPE_CHECKING:
    from av.packet import Packet

_MAX_DENOMINATOR = 1_000_000  # of a rate, such as 30000/1001


class FrameImage(NamedTuple):
    """An image of a folder: its name, whose suffix is that of an image, and how to read it."""

    name: str
    read: Callable[[], bytes]


class FrameFolder:
    """The frames of a folder in the order of their numbers.

    Args:
        images: the images of the folder in that order, at least one.
        fps: frames per second.

    Attributes:
        stream: the only video stream, with a decoder for the most frequent kind of image; images of
            other kinds are left out.
        left_out: how many these are.
    """

    def __init__(self, images: Sequence[FrameImage], fps: float) -> None:
        from av.codec import CodecContext

        codecs = [IMAGE_CODECS[PurePath(image.name).suffix.lower()] for image in images]
        codec = max(dict.fromkeys(codecs), key=codecs.count)
        self._images = [image for image, kind in zip(images, codecs, strict=True) if kind == codec]
        self.left_out = len(images) - len(self._images)
        self._next = 0
        rate = Fraction(fps).limit_denominator(_MAX_DENOMINATOR)
        self.stream = SimpleNamespace(
            index=0,
            codec_context=CodecContext.create(codec, "r"),
            average_rate=rate,
            guessed_rate=rate,
            time_base=1 / rate,
            sample_aspect_ratio=None,
            container=self,
            thread_type="NONE",
            start_time=0,
        )
        self.streams = SimpleNamespace(audio=())
        self.format = SimpleNamespace(name="folder")

    def seek(self, offset: int, stream: Any) -> None:
        """Go to a frame.

        Args:
            offset: its index.
            stream: the only stream.
        """
        assert stream is self.stream
        self._next = offset

    def demux(self, stream: Any) -> Iterator[Packet[Any]]:
        """Yield the images from the current one on as packets; the pts is their index.

        Args:
            stream: the only stream.
        """
        assert stream is self.stream
        from av.packet import Packet

        for index in range(self._next, len(self._images)):
            # An empty packet would be the end of the stream; one byte is a damaged image.
            packet = Packet(self._images[index].read() or b"\0")
            packet.pts = packet.dts = index
            packet.time_base = self.stream.time_base
            packet.is_keyframe = True
            yield packet
