"""Videos with sound: how to write and to hear them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.helpers.videos import draw_index

RATE = 48_000
BLOCK = 960  # samples
SIZE = (320, 240)
FPS = 25


def write_late_video(path: Path, lead: float, num_frames: int = 48, fps: int = 10) -> Path:
    """Write a video whose sound begins some seconds before its first frame; return its path.

    Args:
        path: the file; `.webm` has VP9 and Opus, others H.264 and AAC.
        lead: seconds of sound before the first frame.
        num_frames: frames, which show their index.
        fps: frames per second.
    """
    video_codec, audio_codec = ("vp9", "libopus") if path.suffix == ".webm" else ("h264", "aac")
    with av.open(str(path), "w") as container:
        video = container.add_stream(video_codec, rate=fps)
        assert isinstance(video, av.VideoStream)
        video.width, video.height = SIZE
        video.pix_fmt = "yuv420p"
        video.time_base = Fraction(1, 1000)
        video.codec_context.time_base = Fraction(1, 1000)
        audio = container.add_stream(audio_codec, rate=RATE)
        assert isinstance(audio, av.AudioStream)
        audio.layout = "mono"
        for start in range(0, round((lead + num_frames / fps) * RATE), BLOCK):
            silence = np.zeros((1, BLOCK), np.float32)
            block = av.AudioFrame.from_ndarray(silence, format="flt", layout="mono")
            block.sample_rate, block.pts, block.time_base = RATE, start, Fraction(1, RATE)
            container.mux(audio.encode(block))
        container.mux(audio.encode())
        for index in range(num_frames):
            frame = av.VideoFrame.from_ndarray(draw_index(index, SIZE))
            frame.pts, frame.time_base = round(1000 * (lead + index / fps)), Fraction(1, 1000)
            container.mux(video.encode(frame))
        container.mux(video.encode())
    return path


def write_with_sound(
    path: Path,
    seconds: float,
    audio_codec: str = "aac",
    rate: int = RATE,
    sound: Sequence[tuple[float, float]] | None = None,
    loud: tuple[float, float] = (0.0, 0.0),
    gop: int = 25,
    b_frames: int = 0,
) -> Path:
    """Write a video whose sound is silence and, for a while, a tone; return its path.

    Args:
        path: the file; its frames show their index, 25 per second.
        seconds: length of the picture.
        audio_codec: FFmpeg's name of the encoder.
        rate: samples per second.
        sound: stretches that have sound, in seconds; None for the whole length.
        loud: where the tone is, in seconds.
        gop: frames from one key frame to the next.
        b_frames: maximum B-frames in a row.
    """
    stretches = [(0.0, seconds)] if sound is None else sound
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.gop_size, video.codec_context.max_b_frames = gop, b_frames
        audio = container.add_stream(audio_codec, rate=rate)
        assert isinstance(audio, av.AudioStream)
        audio.layout = "mono"
        block, written = rate // FPS, 0
        for index in range(round(max(seconds, *(end for _, end in stretches)) * FPS)):
            time = index / FPS
            if time < seconds:
                picture = av.VideoFrame.from_ndarray(draw_index(index, (64, 48)))
                picture.pts, picture.time_base = index, Fraction(1, FPS)
                container.mux(video.encode(picture))
            if any(start <= time < end for start, end in stretches):
                tone = 0.5 * np.sin(np.arange(block) * 2 * np.pi * 500 / rate)
                samples = tone if loud[0] <= time < loud[1] else np.zeros(block)
                frame = av.AudioFrame.from_ndarray(
                    (32767 * samples).astype(np.int16)[None], format="s16", layout="mono"
                )
                frame.sample_rate, frame.pts = rate, index * block
                frame.time_base = Fraction(1, rate)
                container.mux(audio.encode(frame))
                written += 1
        container.mux(video.encode())
        if written:
            container.mux(audio.encode())
    return path


@dataclass(frozen=True)
class HeardSound:
    """What a file sounds like.

    Args:
        begin: seconds of the first sample.
        end: seconds after the last sample.
        loud: seconds of the first and after the last loud sample; None without one.
        length: seconds of sound, without pauses.
    """

    begin: float
    end: float
    loud: tuple[float, float] | None
    length: float


def hear(content: bytes) -> HeardSound | None:
    """Decode the sound of a file; None without any."""
    source: Any = av.open(io.BytesIO(content))
    with source as container:
        frames = list(container.decode(audio=0)) if container.streams.audio else []
    if not frames:
        return None
    loud, length = list[float](), 0.0
    for frame in frames:
        samples = np.abs(frame.to_ndarray().astype(np.float64)).reshape(-1)
        places = np.flatnonzero(samples > 0.1) / frame.sample_rate
        loud += (frame.time + places).tolist()
        length += frame.samples / frame.sample_rate
    last = frames[-1]
    return HeardSound(
        frames[0].time,
        last.time + last.samples / last.sample_rate,
        (min(loud), max(loud)) if loud else None,
        length,
    )
