"""Videos whose sound begins before their first frame."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.helpers.videos import draw_index

RATE = 48_000
BLOCK = 960  # samples
SIZE = (320, 240)


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
