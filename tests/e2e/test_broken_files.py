"""Hundreds of broken and hostile files over HTTP: each one gets a result or a reason, only that."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import httpx2 as httpx
import psutil
import pytest
import torch

from exvad.checkpoints.checkpoint import Checkpoint, save_checkpoint
from exvad.config import load_config
from exvad.detector.detector import Detector
from exvad.inference.calibration import Calibration
from exvad.inference.network import build_network
from exvad.laam.phrases import LabelPhrases
from exvad.video.sandbox import DecodingProcess
from tests.helpers.broken_files import BrokenFile, broken_files
from tests.helpers.fakes import FakeCaptioner, FakeEncoder, ScriptedLLM
from tests.helpers.server import Server
from tests.helpers.videos import write_video

MIB = 2**20
CHILD_BYTES = 1024 * MIB  # address space of the decoding process
GROWTH_BYTES = 400 * MIB  # of the server, its worker and the test
RESPONSE_SECONDS = 20
IN_OPEN = 0x20  # of inotify: a file was opened
WIDTH = 16
PLAYLISTS = (".m3u8", ".ffconcat", ".mpd", ".sdp", ".idx")  # which FFmpeg detects by name
NASTIEST = (
    "empty", "zeros", "random", "a.json", "a.zip", "a.srt", "sound.m4a", "segment-0.m3u8",
    "map-0.m3u8", "key-3.m3u8", "live-3.m3u8", "main-3.m3u8", "list-1.ffconcat", "list-4.ffconcat",
    "option-3.ffconcat", "plan-3.mpd", "picture-3.svg", "call.sdp", "subtitles.idx", "giant.png",
    "giant.mjpeg", "giant-later.mjpeg", "giant-png.avi", "wide-8000.avi", "wide-40000.avi",
    "wide-200000.avi", "late-8.flv", "sizes.ts", "sizes.mjpeg", "one.mkv", "days.mp4",
    "in-vain-1000.mp4", "nested-moov.mp4", "nested.mkv", "clusters.mkv", "empty-chunks.avi",
    "lie-mdat-large-9223372036854775807.mp4", "lie-stts+8=4294967295.mp4",
    "lie-stsd+40=30000-30000.mp4", "lie-strh+24=0.avi", "lie-Duration-0.mkv",
    "lie-Segment-size-72057594037927934.mkv", "flip-2-h264.mp4",
)  # fmt: skip


class AccessMonitor:
    """Detects whether a secret video is opened or a port of this machine is called.

    Args:
        folder: a folder for the secret video.

    Attributes:
        secret: the secret video.
        url: a URL that the server must not fetch.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secret = write_video(folder / "secret.ts", 40)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._inotify = self._libc.inotify_init1(os.O_NONBLOCK)
        watch = self._libc.inotify_add_watch(self._inotify, os.fsencode(folder), IN_OPEN)
        assert self._inotify >= 0, "inotify is not available"
        assert watch >= 0, "the folder can't be watched"
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(128)
        self._listener.setblocking(False)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def take_accesses(self) -> list[str]:
        """Return the accesses since the last call."""
        accesses = []
        with contextlib.suppress(BlockingIOError):
            if self.secret.name.encode() in os.read(self._inotify, 2**16):
                accesses.append("opened the secret")
        with contextlib.suppress(BlockingIOError):
            caller, _ = self._listener.accept()
            caller.close()
            accesses.append("called the port")
        return accesses

    def close(self) -> None:
        """Stop detecting."""
        os.close(self._inotify)
        self._listener.close()


class MemoryGauge:
    """Measures the memory of this process and of its children. Use it as a context manager.

    Attributes:
        before: resident bytes of this process at the start.
        peak: largest number of resident bytes of this process.
        child_peak: largest number of resident bytes of one child process.
    """

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.before = self._process.memory_info().rss
        self.peak = self.child_peak = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> MemoryGauge:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.02):
            self.peak = max(self.peak, self._process.memory_info().rss)
            for child in self._process.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    self.child_peak = max(self.child_peak, child.memory_info().rss)


class FileClient:
    """Sends files to a server, which answers once they are analyzed.

    Args:
        url: URL of the server.
    """

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=60, trust_env=False)

    def upload(self, name: str, content: bytes) -> httpx.Response:
        """Upload a file."""
        query: dict[str, str | int] = {"name": name, "wait": RESPONSE_SECONDS}
        return self.http.post("/v1/analyses", params=query, content=content)

    def submit_path(self, path: Path) -> httpx.Response:
        """Submit the path of a file below the allowed root."""
        query = {"wait": RESPONSE_SECONDS}
        return self.http.post("/v1/analyses", params=query, json={"path": path.name})


def make_detector(folder: Path, decoder: DecodingProcess) -> Detector:
    """Make a small detector whose frozen models are fakes."""
    config = load_config("demo", ["model.text=none"])
    labels = LabelPhrases(phrases={"Normal": ["a"], "Arson": ["b"]}, origin="test")
    torch.manual_seed(0)
    label_CD = torch.randn(2, WIDTH)
    network = build_network(config, WIDTH, 2)
    calibration = Calibration(branch="classifier", threshold=0.5)
    save_checkpoint(folder, Checkpoint(network, label_CD, labels, config, calibration, {}, {}))
    models = SimpleNamespace(clip=FakeEncoder(WIDTH), captioner=FakeCaptioner(), llm=ScriptedLLM())
    return Detector(folder, models=models, decoder=decoder)


@pytest.fixture(scope="module")
def client(
    tmp_path_factory: pytest.TempPathFactory, monitor: AccessMonitor
) -> Iterator[FileClient]:
    """A client of a server that decodes in a process with limits."""
    folder = tmp_path_factory.mktemp("server")
    with (
        DecodingProcess(CHILD_BYTES, seconds=5, file_seconds=8) as decoder,
        Server(folder, allowed_root=monitor.folder) as server,
    ):
        server.start_worker(make_detector(folder / "checkpoint", decoder))
        client = FileClient(server.url)
        yield client
        client.http.close()


@pytest.fixture(scope="module")
def monitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AccessMonitor]:
    monitor = AccessMonitor(tmp_path_factory.mktemp("secret"))
    yield monitor
    monitor.close()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, monitor: AccessMonitor) -> list[BrokenFile]:
    folder = tmp_path_factory.mktemp("corpus")
    return broken_files(folder, seed=20, secret=monitor.secret, url=monitor.url)


def find_faults(client: FileClient, monitor: AccessMonitor, file: BrokenFile) -> Iterator[str]:
    """Upload a file, and submit a playlist as a path too; yield what is wrong with the server."""
    began = time.monotonic()
    yield from response_faults(client, file, client.upload(file.name, file.content))
    if file.name.endswith(PLAYLISTS):
        path = monitor.folder / file.name
        path.write_bytes(file.content)
        yield from response_faults(client, file, client.submit_path(path))
    if time.monotonic() - began > RESPONSE_SECONDS:
        yield "took too long"
    yield from monitor.take_accesses()


def response_faults(
    client: FileClient, file: BrokenFile, response: httpx.Response
) -> Iterator[str]:
    """Yield what is wrong with a response to a file."""
    answer = response.json()
    if 400 <= response.status_code < 500:
        reason = answer["detail"]
    elif response.status_code == 200 and answer["state"] == "failed":
        reason = answer["error"]
    elif response.status_code == 200 and answer["state"] == "done":
        result = answer["result"]
        numbers = [*result["times"], *result["scores"], *chain(*result["probabilities"])]
        numbers += [result["duration"], result["fps"], result["anomaly_score"]]
        if not result["scores"] or not all(map(math.isfinite, numbers)):
            yield "has scores that are no numbers"
        if file.expected == "fails":
            yield f"is no video, but was taken for one of {result['num_frames']} frames"
        reason = " ".join(result["problems"])
    else:
        yield f"got status {response.status_code}, state {answer.get('state')}"
        return
    if answer.get("state") != "done" and (file.expected == "answered" or len(reason.split()) < 4):
        yield f"was refused: {reason!r}"
    if re.search(r"(?<!\w)/\w", reason) or len(reason) > 1000:
        yield f"reveals too much: {reason!r}"
    if answer.get("id"):
        client.http.delete(f"/v1/analyses/{answer['id']}")


def check(
    client: FileClient, monitor: AccessMonitor, corpus: Sequence[BrokenFile], folder: Path
) -> None:
    """Send files, and assert that the server answers correctly and works as before."""
    good = write_video(folder / "good.mp4", 60, size=(64, 48)).read_bytes()
    before = client.upload("good.mp4", good).json()
    assert before["state"] == "done"
    monitor.take_accesses()
    with MemoryGauge() as gauge:
        faults = [
            f"{file.name} {fault}"
            for file in corpus
            for fault in find_faults(client, monitor, file)
        ]
    assert not faults, "\n".join(faults)
    assert gauge.child_peak < CHILD_BYTES
    assert gauge.peak - gauge.before < GROWTH_BYTES
    after = client.upload("good.mp4", good).json()
    assert after["state"] == "done"
    assert after["result"] == before["result"]
    monitor.secret.read_bytes()
    with socket.create_connection(("127.0.0.1", int(monitor.url.rpartition(":")[2]))):
        accesses = monitor.take_accesses()
    assert accesses == ["opened the secret", "called the port"], "the monitor does not work"


def test_nastiest_files_get_a_reason_or_a_result(
    client: FileClient, monitor: AccessMonitor, corpus: list[BrokenFile], tmp_path: Path
) -> None:
    nastiest = [file for file in corpus if file.name in NASTIEST]
    assert len(nastiest) == len(NASTIEST)
    check(client, monitor, nastiest, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_all_broken_files_get_a_reason_or_a_result(
    client: FileClient, monitor: AccessMonitor, corpus: list[BrokenFile], tmp_path: Path
) -> None:
    assert len(corpus) >= 500
    check(client, monitor, corpus, tmp_path)
