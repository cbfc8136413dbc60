"""The buffer between the reader of a live source and its consumer."""

from __future__ import annotations

import numpy as np

from exvad.video.frame_buffer import MAX_GAPS, FrameBuffer, LiveFrame, Notice

PIXELS = np.zeros((4, 4, 3), np.uint8)


def test_take_returns_frames_between_connection_and_end() -> None:
    buffer = FrameBuffer(8)
    frames = [LiveFrame(PIXELS, time) for time in (0.0, 1.0)]
    connected, ended = Notice("connected", "the source is open"), Notice("ended", "it ended")
    buffer.put_notice(connected)
    for frame in frames:
        buffer.put_frame(frame)
    buffer.put_notice(ended)
    assert buffer.take(0) == [connected, frames, ended]
    assert buffer.take(0) == []


def test_a_full_buffer_drops_the_oldest_frames_and_counts_them() -> None:
    buffer = FrameBuffer(2)
    frames = [LiveFrame(PIXELS, float(time)) for time in range(5)]
    for frame in frames:
        buffer.put_frame(frame)
    dropped = Notice("dropped", "3 frames were dropped to keep up with the stream", 3)
    assert buffer.take(0) == [frames[3:], dropped]
    buffer.put_frame(frames[0])
    assert buffer.take(0) == [[frames[0]]]


def test_the_gaps_of_dropped_frames_come_with_the_next_frame() -> None:
    buffer = FrameBuffer(1)
    for number in range(3):
        buffer.put_frame(LiveFrame(PIXELS, float(number), gaps=((number, number),)))
    assert buffer.take(0)[0] == [LiveFrame(PIXELS, 2.0, gaps=((0, 0), (1, 1), (2, 2)))]
    for number in range(100):
        buffer.put_frame(LiveFrame(PIXELS, float(number), gaps=((number, number),)))
    (frames, _) = buffer.take(0)
    assert not isinstance(frames, Notice)
    assert frames[0].gaps == tuple((number, number) for number in range(100 - MAX_GAPS, 100))
