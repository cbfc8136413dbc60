"""Fragments arrive whole, nonsense ends the channel, and problems come back in words."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from exvad.serving.recording.channel import TOO_SLOW, FragmentSender, receive
from exvad.serving.recording.ring import Limits, RecordingRing, read_fragments
from exvad.video.footage.recorder import Fragment
from tests.helpers.recordings import record
from tests.helpers.videos import write_video
from tests.helpers.waiting import holds_within

LIMITS = Limits(1, 2**30, 0)


@pytest.fixture(scope="module")
def fragment(tmp_path_factory: pytest.TempPathFactory) -> Fragment:
    folder = tmp_path_factory.mktemp("clip")
    return record(write_video(folder / "clip.ts", 25, gop=25))[0][0]


def start(ring: RecordingRing) -> tuple[socket.socket, threading.Thread]:
    """Return the other end of a channel to a ring, and the thread that writes."""
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=receive, args=(ours, ring), daemon=True)
    thread.start()
    return theirs, thread


def test_a_problem_of_the_disk_is_reported_once_and_when_it_is_over(
    tmp_path: Path, fragment: Fragment
) -> None:
    place = tmp_path / "ring"
    place.write_text("no folder")
    theirs, _ = start(RecordingRing(place, LIMITS))
    reports = list[str]()
    sender = FragmentSender(theirs.detach(), reports.append)
    for _ in range(2):
        sender.put(fragment)
    sender.wait(10)
    assert reports == ["the recording can't be written: File exists"]
    place.unlink()
    sender.put(fragment)
    sender.wait(10)
    assert reports[1:] == ["the recording goes on"]
    assert [item.end for item in read_fragments(place)] == [fragment.end]


def test_a_slow_disk_never_holds_up_who_sends(fragment: Fragment) -> None:
    silent, theirs = socket.socketpair()  # nobody reads
    reports = list[str]()
    sender = FragmentSender(theirs.detach(), reports.append)
    large = Fragment(fragment.head, bytes(2**25), 0, 1, True)
    for _ in range(3):
        sender.put(large)
    assert reports == [TOO_SLOW]
    silent.close()
    assert holds_within(10, lambda: "the recording has ended" in reports[-1])


@pytest.mark.parametrize(
    "message",
    [
        b"nonsense\n",
        b"[1]\n",
        b'{"head": 1, "data": -1, "start": 0, "end": 1, "is_key": true}\n',
        b'{"head": 1, "data": 1e12, "start": 0, "end": 1, "is_key": true}\n',
        b'{"head": 1, "data": 1, "start": NaN, "end": 1, "is_key": true}\n',
        b'{"head": 1, "data": 1, "start": 2, "end": 1, "is_key": true}\n',
        b"x" * 10_000,
    ],
)
def test_nonsense_of_a_process_that_was_taken_over_ends_the_channel(
    tmp_path: Path, message: bytes
) -> None:
    theirs, thread = start(RecordingRing(tmp_path / "ring", LIMITS))
    with theirs:
        theirs.sendall(message)
        thread.join(10)
    assert not thread.is_alive()
    assert read_fragments(tmp_path / "ring") == []


def test_a_broken_fragment_is_a_problem(tmp_path: Path) -> None:
    theirs, _ = start(RecordingRing(tmp_path / "ring", LIMITS))
    reports = list[str]()
    sender = FragmentSender(theirs.detach(), reports.append)
    sender.put(Fragment(b"head", b"data", 0, 1, True))
    sender.wait(10)
    assert reports == ["the recording can't be written: a box has no valid size"]
