"""The clock of a file: frames keep their own times, and where it jumps the time goes on."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.video.footage.clock import Timeline, mend_clock, read_clock
from exvad.video.survey import VideoInfo, probe
from tests.helpers.videos import decode_video, remux, write_video

NONE = float("nan")


def mend(shown: Sequence[float], coded: Sequence[float] | None = None) -> Timeline:
    """Return the timeline of frames; without `coded` they are in the order of their packets."""
    timeline = mend_clock(
        np.array(shown, float), np.array(coded or shown, float), reordered=coded is not None
    )
    assert timeline is not None
    return timeline


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ([0, 1, 2, 3, 3, 5, 6], [0, 1, 2, 3, 4, 5, 6]),
        ([0, 1, 2, NONE, 4, 5], [0, 1, 2, 3, 4, 5]),
        ([0, 1, 2, 2, 2, 2, 6], [0, 1, 2, 3, 4, 5, 6]),
        ([NONE, 1, 2, 3, NONE], [0, 1, 2, 3, 4]),
        ([0, 1, 2, 9, 4, 5], [0, 1, 2, 3, 4, 5]),
        ([0, 1, 2, 1e9, 4, 5], [0, 1, 2, 3, 4, 5]),
        ([10, 11, 12, 1, 14, 15], [0, 1, 2, 3, 4, 5]),
        ([10, 11, 12, 1, 2, 15, 16], [0, 1, 2, 3, 4, 5, 6]),
        ([0, 0.5, 2, 2, 3, 3.1], [0, 0.5, 2, 2.5, 3, 3.1]),
    ],
)
def test_a_wrong_time_is_replaced_and_all_others_stay(
    shown: list[float], expected: list[float]
) -> None:
    timeline = mend(shown)
    assert timeline.seconds.tolist() == pytest.approx(expected)
    assert timeline.gaps == ()
    (note,) = timeline.notes
    assert "placed between their neighbours" in note


@pytest.mark.parametrize(
    ("shown", "jumps"),
    [
        ([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3], [4, 8]),
        ([50, 51, 52, 53, 10, 11, 12, 13], [4]),
        ([0, 1, 2, 3, 1e6, 1e6 + 1, 1e6 + 2, 1e6 + 3], [4]),
        ([95440, 95441, 95442, 95443, 0, 1, 2], [4]),
        ([0, 1, 2, 3, 3, 0, 1, 2, 3], [5]),
        # Set forward, and back again later.
        ([0, 1, 2, 3, 5004, 5005, 5006, 5007, 8, 9, 10, 11], [4, 8]),
        ([0, 1, 2, 3, 5004, 5005, 5006, 5007, 9.5, 10.5, 11.5, 12.5], [4, 8]),
    ],
)
def test_where_the_clock_jumps_the_time_goes_on(shown: list[float], jumps: list[int]) -> None:
    timeline = mend(shown)
    assert timeline.seconds.tolist() == pytest.approx(np.arange(len(shown)))
    assert timeline.gaps == tuple((jump, jump) for jump in jumps)
    for jump in jumps:
        assert any(f"at second {jump}.0" in note for note in timeline.notes)
    assert timeline.fps == pytest.approx(1)


def test_a_time_without_frames_stays_and_is_named() -> None:
    seconds = [*np.arange(0, 3.2, 0.1), *np.arange(603.2, 606.35, 0.1)]
    timeline = read_clock(np.array(seconds))
    assert timeline.seconds.tolist() == pytest.approx(seconds)
    assert list(timeline.gaps[0]) == pytest.approx([3.2, 603.2])
    assert len(timeline.gaps) == 1
    assert timeline.notes == ("nothing was recorded from second 3.2 to 603.2",)
    assert timeline.fps == pytest.approx(10)
    doubled = mend([*seconds[:31], seconds[30], *seconds[32:]])
    assert doubled.seconds.tolist() == pytest.approx(seconds), "not in the middle of the gap"


def test_a_gap_stays_one_where_the_clock_begins_anew_later() -> None:
    timeline = mend([0, 1, 2, 3, 600, 601, 602, 603, 0, 1, 2, 3])
    assert [list(gap) for gap in timeline.gaps] == [[4, 600], [604, 604]]
    assert timeline.seconds[-1] == 607


@pytest.mark.parametrize("frames", [3, 25])
def test_frames_that_share_a_time_share_the_seconds_to_the_next(
    tmp_path: Path, frames: int
) -> None:
    """A clock that counts every third frame, or whole seconds, to the last frame."""
    whole = write_video(tmp_path / "whole.mp4", 80)
    path = remux(whole, tmp_path / "a.mkv", lambda index, _: 40 * (index - index % frames))
    _, times, _, _ = decode_video(path, 1)
    assert times == pytest.approx(np.arange(80) / 25)
    assert probe(path).duration == pytest.approx(3.2)


@pytest.mark.parametrize("b_frames", [0, 2])
def test_a_joined_program_stream_names_its_jump(tmp_path: Path, b_frames: int) -> None:
    """It has a time per packet of several frames, of which the rate tells more."""
    path = tmp_path / "a.mpg"
    path.write_bytes(write_video(path, 100, b_frames=b_frames).read_bytes() * 2)
    info = probe(path)
    assert info.num_frames == 200
    assert info.duration == pytest.approx(8)
    assert np.array(info.gaps) == pytest.approx(np.array([[4, 4]]))
    (note,) = info.notes
    assert "jumps at second 4.0" in note


def test_one_time_for_many_frames_spreads_them(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mkv", 34)
    path = remux(whole, tmp_path / "a.mkv", lambda index, _: 1320 * (index == 33))
    info = probe(path)
    assert (info.fps, info.duration) == pytest.approx((25, 1.36))


def test_many_jumps_are_counted_in_one_note() -> None:
    timeline = mend([0, 1, 2, 3] * 9)
    assert len(timeline.gaps) == 8
    assert len(timeline.notes) == 5
    assert "and so at 3 other places" in timeline.notes[-1]


REORDERED = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8]
DECODED = [-2, -1, 0, 1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("wrong", range(10))
@pytest.mark.parametrize("time", [NONE, 2, 1e7])
def test_a_reordered_frame_without_a_time_of_its_own_finds_its_place(
    wrong: int, time: float
) -> None:
    shown = [float(second) for second in REORDERED]
    shown[wrong] = time
    timeline = mend(shown, DECODED)
    if 0 < REORDERED[wrong] < 9:
        assert timeline.seconds.tolist() == pytest.approx(np.arange(10))
    assert len(timeline.seconds) == 10
    assert (np.diff(timeline.seconds) > 0).all()


def test_reordered_recordings_that_are_joined_follow_each_other() -> None:
    timeline = mend(REORDERED * 2, DECODED * 2)
    assert timeline.seconds.tolist() == pytest.approx(np.arange(20))
    assert timeline.gaps == ((10, 10),)


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(st.just(NONE), st.integers(-(10**12), 10**12), st.integers(0, 300_000)),
        min_size=1,
        max_size=30,
    ),
    st.booleans(),
)
def test_any_times_give_increasing_ones(ticks: list[float], reordered: bool) -> None:
    values = np.array(ticks) / 90_000
    timeline = mend_clock(values, values[::-1].copy(), reordered)
    if timeline is None:
        assert np.isnan(values).all()
        return
    assert len(timeline.seconds) == len(ticks)
    assert timeline.seconds[0] == 0
    assert (np.diff(timeline.seconds) > 0).all()
    assert 0 < timeline.fps < np.inf


VARIABLE = [*range(0, 10_000, 1000), *range(10_000, 11_600, 40)]  # 1, then 25 frames per second


def test_a_doubled_time_does_not_spoil_a_variable_rate(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mkv", 50, milliseconds=VARIABLE)
    path = remux(whole, tmp_path / "a.mkv", lambda index, time: VARIABLE[index - (index == 30)])
    assert decode_video(path, 1)[1] == pytest.approx([time / 1000 for time in VARIABLE])
    info = probe(path)
    assert info.duration == pytest.approx(11.6)
    assert info.notes != ()
    assert probe(whole).notes == ()
    assert probe(whole).duration == pytest.approx(11.6)


def test_a_missing_time_does_not_spoil_a_variable_rate(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mkv", 50, milliseconds=VARIABLE, options={"g": "5"})
    path = remux(whole, tmp_path / "a.ts", lambda _, time: time)
    content = bytearray(path.read_bytes())
    start = -1
    for _ in range(34):
        start = content.index(b"\0\0\1\xe0", start + 1)
    flags = start + 7  # of a PES header: whether it has times (ISO/IEC 13818-1, 2.4.3.6)
    assert content[flags] & 0x80
    content[flags] &= 0x3F
    path.write_bytes(content)
    indices, times, problems, _ = decode_video(path, 1)
    assert indices == list(range(50))
    assert problems == []
    assert times == pytest.approx([time / 1000 for time in VARIABLE], abs=2e-3)


def test_a_clock_that_is_set_forward_leaves_the_length_of_the_video(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mkv", 100)
    path = remux(whole, tmp_path / "a.mkv", lambda index, time: time + 10**9 * (index >= 50))
    info = probe(path)
    assert info.duration == pytest.approx(4)
    assert info.fps == pytest.approx(25)
    assert list(info.gaps[0]) == pytest.approx([2, 2])
    assert len(info.gaps) == 1
    indices, times, _, chunks = decode_video(path, 16, 2)
    assert indices == list(range(0, 100, 16))
    assert times == pytest.approx([index / 25 for index in indices])
    assert chunks[-1].seeks, "the file is not read from its beginning for every chunk"


def joined(folder: Path, *parts: tuple[int, int]) -> VideoInfo:
    """Probe a transport stream of recordings; each part is a start in milliseconds and a length."""
    content = b""
    for number, (start, length) in enumerate(parts):
        whole = write_video(folder / f"{number}.mkv", length, first=100 * number)
        name = folder / f"{number}.ts"

        def retime(_: int, time: int, start: int = start) -> int:
            return start + time

        content += remux(whole, name, retime, {"muxdelay": "0"}).read_bytes()
    path = folder / "joined.ts"
    path.write_bytes(content)
    indices, times, problems, _ = decode_video(path, 1)
    expected = [
        100 * number + index for number, part in enumerate(parts) for index in range(part[1])
    ]
    assert indices == expected
    assert problems == []
    assert times == pytest.approx(np.arange(len(times)) / 25, abs=2e-3)
    return probe(path)


def test_recordings_whose_clocks_begin_anew_follow_each_other(tmp_path: Path) -> None:
    info = joined(tmp_path, (0, 50), (0, 40), (0, 30))
    assert info.duration == pytest.approx(120 / 25, abs=2e-3)
    assert [start for start, _ in info.gaps] == pytest.approx([2, 3.6], abs=2e-3)


def test_a_clock_that_is_set_back_leaves_the_length_of_the_video(tmp_path: Path) -> None:
    info = joined(tmp_path, (20 * 3600 * 1000, 50), (3600 * 1000, 50))
    assert info.duration == pytest.approx(4, abs=2e-3)


def test_a_clock_that_wraps_leaves_the_length_of_the_video(tmp_path: Path) -> None:
    """The clock of a transport stream has 33 bits of a 90,000th of a second."""
    wrap = 2**33 // 90
    info = joined(tmp_path, (wrap - 2000, 50), (0, 50))
    assert info.duration == pytest.approx(4, abs=2e-3)
    assert info.fps == pytest.approx(25, abs=0.1)


@pytest.mark.parametrize("missing", [2, 5])
def test_frames_that_are_decoded_at_unknown_times_are_no_jump(missing: int) -> None:
    """Matroska does not say when the first frames are decoded, nor times below 0."""
    order = np.array([0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 12, 10, 11])
    coded, shown = np.arange(-1.0, 12), order.astype(float)
    coded[:missing] = NONE
    shown[: missing - 2] = NONE
    shown[8] = shown[7]  # a doubled time, or the others would be taken as they are
    timeline = mend(shown.tolist(), coded.tolist())
    assert timeline.gaps == ()
    if missing == 2:  # nobody can say where a frame without any time is shown
        assert timeline.seconds.tolist() == pytest.approx(np.arange(13))


@pytest.mark.parametrize("wrap", [2**33 / 90_000, 2**32 / 90_000, 2**32 / 1000])
@pytest.mark.parametrize("at", range(1, 9))
def test_a_counter_that_wraps_leaves_no_trace(wrap: float, at: int) -> None:
    """Also of frames that are decoded before it wraps and shown after."""
    order = np.array([0, 3, 1, 2, 6, 4, 5, 9, 7, 8])
    start = wrap - at / 25 - 0.01
    coded, shown = (start + np.arange(10) / 25) % wrap, (start + (order + 1) / 25) % wrap
    timeline = mend_clock(shown, coded, reordered=True)
    assert timeline is not None
    assert timeline.seconds.tolist() == pytest.approx(np.arange(10) / 25, abs=1e-5)
    assert (timeline.gaps, timeline.notes) == ((), ())
    plain = mend(coded.tolist())
    assert plain.seconds.tolist() == pytest.approx(np.arange(10) / 25, abs=1e-5)
    assert (plain.gaps, plain.notes) == ((), ())


def test_a_transport_stream_with_b_frames_may_wrap(tmp_path: Path) -> None:
    whole, path = write_video(tmp_path / "whole.mp4", 60, b_frames=2), tmp_path / "clip.ts"
    options = {"avoid_negative_ts": "disabled", "mpegts_copyts": "1"}
    with av.open(str(whole)) as source, av.open(str(path), "w", options=options) as copy:
        stream = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size and packet.pts is not None and packet.dts is not None:
                tick = (packet.time_base or 1) * 90_000
                packet.pts = 2**33 - 90_000 + round(packet.pts * tick)
                packet.dts = 2**33 - 90_000 + round(packet.dts * tick)
                packet.time_base, packet.stream = Fraction(1, 90_000), stream
                copy.mux(packet)
    indices, times, problems, _ = decode_video(path, 7, 3)
    assert indices == list(range(0, 60, 7))
    assert times == pytest.approx([index / 25 for index in indices], abs=2e-3)
    info = probe(path)
    assert info.duration == pytest.approx(2.4, abs=2e-3)
    assert (info.gaps, info.notes, problems) == ((), (), [])


def test_a_gap_of_a_motion_recording_stays_in_its_times(tmp_path: Path) -> None:
    times = [100 * index + 600_000 * (index >= 32) for index in range(64)]
    path = write_video(tmp_path / "clip.mkv", 64, milliseconds=times)
    info = probe(path)
    assert info.duration == pytest.approx(606.4)
    assert info.fps == pytest.approx(10)
    assert list(info.gaps[0]) == pytest.approx([3.2, 603.2])
    assert len(info.gaps) == 1
    assert decode_video(path, 16)[1] == pytest.approx([0, 1.6, 603.2, 604.8])


def test_the_times_of_an_avi_with_b_frames_are_those_of_its_packets(tmp_path: Path) -> None:
    options = {"x264-params": "bframes=3:b-adapt=0"}
    path = write_video(tmp_path / "clip.avi", 40, options=options)
    indices, times, _, _ = decode_video(path, 1)
    assert indices == list(range(40))
    assert times == pytest.approx(np.arange(40) / 25)
    assert probe(path).notes == ()


def test_the_times_of_an_avi_without_b_frames_are_those_of_its_packets(tmp_path: Path) -> None:
    """Also around a standstill, for which AVI has empty chunks."""
    whole = write_video(tmp_path / "whole.ts", 40)
    path = remux(whole, tmp_path / "clip.avi", lambda index, _: 40 * index + 2000 * (index >= 20))
    info = probe(path)
    assert (info.num_frames, info.lead) == (40, 0)
    assert list(info.gaps[0]) == pytest.approx([0.8, 2.8])
    expected = [index / 25 + 2 * (index >= 20) for index in range(40)]
    indices, times, problems, chunks = decode_video(path, 1, 9)
    assert indices == list(range(40))
    assert times == pytest.approx(expected)
    assert problems == []
    assert chunks[-1].seeks, "the file is not read from its beginning for every chunk"
