"""The sound of a stream is recorded with its picture, in step with it and as long as it."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from exvad.video.footage.mp4_boxes import read_timescales
from tests.helpers.recordings import join, record, show
from tests.helpers.sound import hear, write_with_sound
from tests.helpers.videos import write_video

TONE = (3.0, 4.0)  # seconds; its first frame is number 75


def packets_of(source: Path) -> list[bytes]:
    with av.open(str(source)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


@pytest.mark.parametrize(
    ("suffix", "codec", "rate", "b_frames", "recorded"),
    [
        (".ts", "aac", 44_100, 0, "aac"),
        (".ts", "aac", 48_000, 2, "aac"),
        (".mkv", "aac", 16_000, 0, "aac"),
        (".mkv", "libopus", 48_000, 0, "opus"),
        (".ts", "libmp3lame", 44_100, 0, "mp3"),
        (".ts", "ac3", 48_000, 0, "aac"),
        (".flv", "pcm_mulaw", 8_000, 2, "aac"),
    ],
)
def test_fragments_have_the_sound_of_their_picture(
    tmp_path: Path, suffix: str, codec: str, rate: int, b_frames: int, recorded: str
) -> None:
    path = write_with_sound(
        tmp_path / f"clip{suffix}", 6.0, codec, rate, loud=TONE, b_frames=b_frames
    )
    fragments, problems = record(path, start_time=100.0)
    assert problems == []
    assert len(fragments) >= 3
    assert len({item.head for item in fragments}) == 1
    for part in (fragments, fragments[1:]):  # a clip may begin anywhere
        content = join(part)
        shown, heard = show(content), hear(content)
        assert heard is not None
        begin, end = shown[0][1], shown[-1][1] + 1 / 25
        assert heard.begin == pytest.approx(begin, abs=0.1)
        assert heard.end == pytest.approx(end, abs=0.1)
        assert heard.length == pytest.approx(end - begin, abs=0.1)
        assert heard.loud is not None
        times = dict(shown)
        assert heard.loud == pytest.approx((times[75], times[99] + 1 / 25), abs=0.03)
    (tmp_path / "joined.mp4").write_bytes(join(fragments))
    with av.open(str(tmp_path / "joined.mp4")) as container:
        assert container.streams.audio[0].codec_context.codec.canonical_name == recorded


def test_sound_that_mp4_has_a_place_for_is_not_encoded_again(tmp_path: Path) -> None:
    path = write_with_sound(tmp_path / "clip.ts", 3.0, loud=TONE)
    fragments, _ = record(path)
    joined = tmp_path / "joined.mp4"
    joined.write_bytes(join(fragments))
    recorded = packets_of(joined)
    headers = 7
    sent = [packet[headers:] for packet in packets_of(path)]
    assert len(recorded) == pytest.approx(len(sent), abs=3)
    first = sent.index(recorded[0])
    assert recorded == sent[first : first + len(recorded)]


def test_a_source_without_sound_has_a_track_of_pictures_only(tmp_path: Path) -> None:
    fragments, problems = record(write_video(tmp_path / "clip.ts", 60, gop=25))
    assert problems == []
    assert len(read_timescales(fragments[0].head)) == 1
    assert hear(join(fragments)) is None


@pytest.mark.parametrize(("suffix", "codec"), [(".ts", "aac"), (".mkv", "aac"), (".ts", "ac3")])
def test_sound_that_begins_late_is_in_step(tmp_path: Path, suffix: str, codec: str) -> None:
    path = write_with_sound(tmp_path / f"clip{suffix}", 8.0, codec, sound=[(3.0, 8.0)], loud=TONE)
    fragments, problems = record(path)
    assert problems == []
    shown, heard = show(join(fragments)), hear(join(fragments))
    assert [index for index, _ in shown] == list(range(200))
    times = dict(shown)
    assert heard is not None
    assert heard.end == pytest.approx(times[199] + 1 / 25, abs=0.1)
    assert heard.loud == pytest.approx((times[75], times[99] + 1 / 25), abs=0.05)


def test_sound_that_stops_and_goes_on_is_in_step(tmp_path: Path) -> None:
    path = write_with_sound(
        tmp_path / "clip.ts", 12.0, sound=[(0.0, 1.5), (8.0, 10.0)], loud=(8.5, 9.0)
    )
    fragments, problems = record(path)
    assert problems == []
    shown, heard = show(join(fragments)), hear(join(fragments))
    assert [index for index, _ in shown] == list(range(300))
    assert heard is not None
    times = dict(shown)
    assert heard.loud == pytest.approx((times[212], times[224] + 1 / 25), abs=0.05)
    assert heard.length == pytest.approx(3.5, abs=0.2)


def test_sound_longer_than_the_picture_ends_with_it(tmp_path: Path) -> None:
    path = write_with_sound(tmp_path / "clip.mkv", 3.0, sound=[(0.0, 6.0)])
    fragments, _ = record(path)
    heard = hear(join(fragments))
    assert heard is not None
    assert heard.end == pytest.approx(3.0, abs=0.1)


def test_the_sound_of_each_connection_begins_with_its_picture(tmp_path: Path) -> None:
    part = write_with_sound(tmp_path / "clip.ts", 3.0, loud=(1.0, 1.2)).read_bytes()
    looped = tmp_path / "looped.ts"
    looped.write_bytes(part * 2)  # the clock of the source is set back
    fragments, problems = record(looped)
    assert problems == []
    content = join(fragments)
    shown, heard = show(content), hear(content)
    assert heard is not None
    second = [time for index, time in shown if index == 29]
    assert len(second) == 2
    assert heard.loud is not None
    assert heard.loud[1] == pytest.approx(second[1] + 1 / 25, abs=0.05)
    assert heard.end == pytest.approx(shown[-1][1] + 1 / 25, abs=0.1)
