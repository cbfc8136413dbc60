"""Hundreds of broken and hostile files over HTTP: each gets an answer or a reason, and no more."""

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
import uvicorn

from exvad.checkpoints.checkpoint import Checkpoint, save_checkpoint
from exvad.config import load_config
from exvad.detector.detector import Detector
from exvad.inference.calibration import Calibration
from exvad.inference.network import build_network
from exvad.laam.phrases import LabelPhrases
from exvad.serving.api.application import create_api
from exvad.serving.queue.analyses import Queue
from exvad.serving.settings import ServerSettings
from exvad.serving.workers.analysis_worker import Worker
from exvad.video.sandbox import DecodingProcess
from tests.helpers.broken_files import BrokenFile, broken_files
from tests.helpers.fakes import FakeCaptioner, FakeEncoder, ScriptedLLM
from tests.helpers.videos import write_video

MIB = 2**20
CHILD_BYTES = 1024 * MIB  # address space of the decoding process, and so the most it can hold
GROWTH_BYTES = 400 * MIB  # what the server, its worker and the test may need beside
ANSWER_SECONDS = 20
IN_OPEN = 0x20
WIDTH = 16
LISTS = (".m3u8", ".ffconcat", ".mpd", ".sdp", ".idx")  # FFmpeg goes by these names, too
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


class Watch:
    """Tells whether somebody opened a secret video or called a port of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secret = write_video(folder / "secret.ts", 40)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._inotify = self._libc.inotify_init1(os.O_NONBLOCK)
        told = self._libc.inotify_add_watch(self._inotify, os.fsencode(folder), IN_OPEN)
        assert self._inotify >= 0, "inotify is there"
        assert told >= 0, "the folder can be watched"
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(128)
        self._listener.setblocking(False)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def seen(self) -> list[str]:
        """Return what happened since the last time."""
        found = []
        with contextlib.suppress(BlockingIOError):
            if self.secret.name.encode() in os.read(self._inotify, 2**16):
                found.append("opened the secret")
        with contextlib.suppress(BlockingIOError):
            caller, _ = self._listener.accept()
            caller.close()
            found.append("called the port")
        return found

    def close(self) -> None:
        os.close(self._inotify)
        self._listener.close()


class Gauge:
    """Measures the memory of this process and of those it started, while it runs."""

    def __init__(self) -> None:
        self._own = psutil.Process()
        self.before = self._own.memory_info().rss
        self.most = self.most_of_a_child = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Gauge:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.02):
            self.most = max(self.most, self._own.memory_info().rss)
            for child in self._own.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    self.most_of_a_child = max(self.most_of_a_child, child.memory_info().rss)


class Server:
    """A server on a port of its own, with a detector that decodes in a process of its own."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.settings = ServerSettings(spool=folder / "spool", allowed_root=root)
        self.box = DecodingProcess(CHILD_BYTES, seconds=5, file_seconds=8)
        self.stopped = threading.Event()
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        self.http = uvicorn.Server(uvicorn.Config(create_api(self.settings), log_level="error"))
        queue = Queue(self.settings.spool / "queue.sqlite")
        worker = Worker(small_detector(folder / "checkpoint", self.box), queue, self.settings)
        self.threads = [
            threading.Thread(target=self.http.run, kwargs={"sockets": [listening]}, daemon=True),
            threading.Thread(target=worker.run, args=(self.stopped,), daemon=True),
        ]
        for thread in self.threads:
            thread.start()
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=60, trust_env=False
        )

    def send(self, name: str, content: bytes) -> httpx.Response:
        query: dict[str, str | int] = {"name": name, "wait": ANSWER_SECONDS}
        return self.client.post("/v1/analyses", params=query, content=content)

    def name(self, path: Path) -> httpx.Response:
        return self.client.post(
            "/v1/analyses", params={"wait": ANSWER_SECONDS}, json={"path": path.name}
        )

    def end(self) -> None:
        self.client.close()
        self.stopped.set()
        self.http.should_exit = True
        for thread in self.threads:
            thread.join(20)
        self.box.close()


def small_detector(folder: Path, box: DecodingProcess) -> Detector:
    """A real detector whose frozen models are fakes."""
    config = load_config("demo", ["model.text=none"])
    labels = LabelPhrases(phrases={"Normal": ["a"], "Arson": ["b"]}, origin="test")
    torch.manual_seed(0)
    label_CD = torch.randn(2, WIDTH)
    network = build_network(config, WIDTH, 2)
    calibration = Calibration(branch="classifier", threshold=0.5)
    save_checkpoint(folder, Checkpoint(network, label_CD, labels, config, calibration, {}, {}))
    models = SimpleNamespace(clip=FakeEncoder(WIDTH), captioner=FakeCaptioner(), llm=ScriptedLLM())
    return Detector(folder, models=models, decoder=box)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, watch: Watch) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"), watch.folder)
    yield server
    server.end()


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    watch = Watch(tmp_path_factory.mktemp("secret"))
    yield watch
    watch.close()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, watch: Watch) -> list[BrokenFile]:
    folder = tmp_path_factory.mktemp("corpus")
    return broken_files(folder, seed=20, secret=watch.secret, url=watch.url)


def complaints(server: Server, watch: Watch, file: BrokenFile) -> Iterator[str]:
    """Send a file, or name it where it lies; tell what is wrong with what comes back."""
    began = time.monotonic()
    yield from wrong_with(server, file, server.send(file.name, file.content))
    if file.name.endswith(LISTS):
        path = watch.folder / file.name
        path.write_bytes(file.content)
        yield from wrong_with(server, file, server.name(path))
    if time.monotonic() - began > ANSWER_SECONDS:
        yield "took too long"
    yield from watch.seen()


def wrong_with(server: Server, file: BrokenFile, response: httpx.Response) -> Iterator[str]:
    told = response.json()
    if 400 <= response.status_code < 500:
        reason = told["detail"]
    elif response.status_code == 200 and told["state"] == "failed":
        reason = told["error"]
    elif response.status_code == 200 and told["state"] == "done":
        result = told["result"]
        numbers = [*result["times"], *result["scores"], *chain(*result["probabilities"])]
        numbers += [result["duration"], result["fps"], result["anomaly_score"]]
        if not result["scores"] or not all(map(math.isfinite, numbers)):
            yield "has scores that are no numbers"
        if file.fate == "fails":
            yield f"is none, but was taken for a video of {result['num_frames']} frames"
        reason = " ".join(result["problems"])
    else:
        yield f"got status {response.status_code}, state {told.get('state')}"
        return
    if told.get("state") != "done" and (file.fate == "answered" or len(reason.split()) < 4):
        yield f"was refused: {reason!r}"
    if re.search(r"(?<!\w)/\w", reason) or len(reason) > 1000:
        yield f"tells too much: {reason!r}"
    if told.get("id"):
        server.client.delete(f"/v1/analyses/{told['id']}")


def check(server: Server, watch: Watch, corpus: Sequence[BrokenFile], folder: Path) -> None:
    """Send all files, and make sure that they did no harm."""
    good = write_video(folder / "good.mp4", 60, size=(64, 48)).read_bytes()
    before = server.send("good.mp4", good).json()
    assert before["state"] == "done"
    watch.seen()
    with Gauge() as gauge:
        wrong = [
            f"{file.name} {each}" for file in corpus for each in complaints(server, watch, file)
        ]
    assert not wrong, "\n".join(wrong)
    assert gauge.most_of_a_child < CHILD_BYTES
    assert gauge.most - gauge.before < GROWTH_BYTES
    after = server.send("good.mp4", good).json()
    assert after["state"] == "done"
    assert after["result"] == before["result"]
    watch.secret.read_bytes()
    with socket.create_connection(("127.0.0.1", int(watch.url.rpartition(":")[2]))):
        assert watch.seen() == ["opened the secret", "called the port"], "it would have seen it"


def test_the_nastiest_files_get_a_reason_or_an_answer(
    server: Server, watch: Watch, corpus: list[BrokenFile], tmp_path: Path
) -> None:
    nastiest = [file for file in corpus if file.name in NASTIEST]
    assert len(nastiest) == len(NASTIEST)
    check(server, watch, nastiest, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_broken_file_gets_a_reason_or_an_answer(
    server: Server, watch: Watch, corpus: list[BrokenFile], tmp_path: Path
) -> None:
    assert len(corpus) >= 500
    check(server, watch, corpus, tmp_path)
