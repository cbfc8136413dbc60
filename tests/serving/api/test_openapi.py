"""The API does what its OpenAPI document says, whatever it is asked, in whatever order."""

from __future__ import annotations

import io
import random
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2 as httpx
import pytest
import schemathesis
import uvicorn
from PIL import Image
from schemathesis.engine import events, from_schema

from exvad.detector.detector import Examination
from exvad.results.live import LiveAlert, LiveScores
from exvad.serving.api.application import create_api
from exvad.serving.queue.analyses import Queue
from exvad.serving.queue.streams import Streams
from exvad.serving.settings import ServerSettings
from exvad.serving.sources.fetch import Fetcher
from exvad.serving.workers.analysis_worker import Worker
from exvad.video.container import VideoError
from tests.helpers.served import MadeDetector
from tests.helpers.videos import write_video

# They refuse what no schema can tell: a file that is not there, a host that must not be asked.
UNFORESEEABLE = ["submit", "watch"]
# They ask for an id only, which may be any text: nothing that is sent can break their schema.
MOST_OF_URL = 36_000
VIDEO = "cameras/entrance.mp4"  # the example in the document
ID_ONLY = ["follow", "report", "video", "delete", "stream", "follow_stream", "stop"]


class TolerantDetector(MadeDetector):
    """Takes for the good clip what is no video, so that most of what is sent gets an answer."""

    def __init__(self, clip: Path) -> None:
        super().__init__()
        self._clip = clip

    def examine(self, path: str | Path, *arguments: Any) -> Examination:
        try:
            return super().examine(path, *arguments)
        except VideoError:
            return super().examine(self._clip, *arguments)


class MadeWatcher:
    """Takes up streams, tells an alert with a picture of each, and ends them."""

    def __init__(self, streams: Streams) -> None:
        self.streams = streams
        buffer = io.BytesIO()
        Image.new("RGB", (16, 16)).save(buffer, "jpeg")
        self.picture = buffer.getvalue()

    def run(self, stopped: threading.Event) -> None:
        while not stopped.wait(0.02):
            while (claim := self.streams.claim("made")) is not None:
                self.streams.begin(claim.number, "made", 0.5, ["Normal", "Arson"])
                scores = LiveScores(times=[0.5], scores=[0.9])
                self.streams.tell_scores(claim.number, "made", scores, 0.1)
                alert = LiveAlert(
                    number=1, state="began", start=0, end=0.5, label="Arson", peak=0.9
                )
                self.streams.tell_alert(claim.number, "made", alert)
                self.streams.keep_frame(claim.number, "made", 1, self.picture)
                self.streams.end(claim.number, "made")


class Server:
    """A server with workers that answer about everything, and whose URLs lead nowhere."""

    def __init__(self, folder: Path) -> None:
        (folder / "root" / "cameras").mkdir(parents=True)
        clip = write_video(folder / "root" / VIDEO, 48, size=(64, 48))
        clip.with_suffix(".ts").write_bytes(b"G")
        (folder / "secret").write_bytes(b"a secret of the test's own")
        settings = ServerSettings(
            spool=folder / "spool",
            allowed_root=folder / "root",
            webhook_secret=folder / "secret",
            max_bytes=100_000,
            max_waiting=1000,
            max_streams=1000,
        )
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self.http = uvicorn.Server(uvicorn.Config(create_api(settings), log_level="critical"))
        self.stopped = threading.Event()
        queue, streams = Queue(settings.database_path), Streams(settings.database_path)
        worker = Worker(TolerantDetector(clip), queue, settings)  # type: ignore[arg-type]
        self.threads = [
            threading.Thread(target=run, args=(self.stopped,), daemon=True)
            for run in (worker.run, MadeWatcher(streams).run)
        ]
        self.threads.append(
            threading.Thread(target=self.http.run, kwargs={"sockets": [listening]}, daemon=True)
        )
        for thread in self.threads:
            thread.start()

    def document(self) -> dict[str, Any]:
        """Return the OpenAPI document without what stands for all errors at once.

        Every status has to be documented where it occurs.
        """
        document: dict[str, Any] = httpx.get(f"{self.url}/openapi.json", trust_env=False).json()
        for operations in document["paths"].values():
            for operation in operations.values():
                operation["responses"].pop("4XX", None)
        return document

    def end(self) -> None:
        self.stopped.set()
        self.http.should_exit = True
        for thread in self.threads:
            thread.join(20)


class Sender:
    """Puts ids that exist into most requests that ask for one, and keeps URLs below 64 KiB.

    Nobody guesses an id, and HTTP servers cut off a longer URL before the API hears of it.

    Args:
        url: of the server.
    """

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, trust_env=False)
        self._random = random.Random(20)

    def prepared(self, case: Any) -> Any:
        """Return the case as it is sent."""
        categories = (case.query or {}).get("categories")
        if isinstance(categories, str) and len(quote(categories)) > MOST_OF_URL:
            case.query["categories"] = categories[: MOST_OF_URL // 12]
        asked = case.path_parameters
        if asked and "number" in asked and self._random.random() < 0.7:
            kind = case.operation.path.split("/")[2]
            asked["number"] = self._one_of(kind) or asked["number"]
            if "caption" in asked and self._random.random() < 0.5:
                asked["caption"] = 1
        return case

    def _one_of(self, kind: str) -> str | None:
        """Return the id of one that is there, mostly whatever others have left."""
        if kind == "analyses" and self._random.random() < 0.2:
            response = self._http.post("/v1/analyses?wait=20", json={"path": VIDEO})
            return str(response.json()["id"])
        items = self._http.get(f"/v1/{kind}?limit=9").json()["items"]
        return str(self._random.choice(items)["id"]) if items else None

    def close(self) -> None:
        self._http.close()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    async def loopback(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    # Every host has an address where the server does not go: nothing is asked but the server.
    monkeypatch.setattr(
        "exvad.serving.api.context.Fetcher", lambda settings: Fetcher(settings, resolver=loopback)
    )
    server = Server(tmp_path)
    yield server
    server.end()


def explore(
    server: Server, examples: int, steps: int
) -> tuple[Counter[tuple[str, int]], list[str]]:
    """Send cases of all phases; return how often which answers came, and what was wrong."""
    config = schemathesis.Config.from_dict(
        {
            "base-url": server.url,
            "seed": 20,
            "continue-on-failure": True,
            "request-timeout": 20,
            "cache": {"enabled": False},
            "suppress-health-check": ["all"],
            "generation": {
                "max-examples": examples,
                "deterministic": True,
                "database": "none",
                "no-shrink": True,
            },
            "phases": {"stateful": {"max-steps": steps}},
            "operations": [
                {
                    "include-operation-id": UNFORESEEABLE,
                    "checks": {"positive_data_acceptance": {"enabled": False}},
                },
                {"include-operation-id": ID_ONLY, "generation": {"mode": "positive"}},
            ],
        }
    )
    schema = schemathesis.openapi.from_dict(server.document(), config=config)
    sender = Sender(server.url)

    @schema.hooks.hook
    def map_case(_: Any, case: Any) -> Any:
        return sender.prepared(case)

    answers: Counter[tuple[str, int]] = Counter()
    wrong: dict[str, str] = {}  # each kind of failure once, with the first request that showed it
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError):
            wrong.setdefault(f"{event.label}: {event.value}", "")
        elif isinstance(event, events.FatalError):
            raise event.exception
        elif isinstance(event, events.ScenarioFinished):
            recorder = event.recorder
            for number, found in recorder.interactions.items():
                if found.response is not None:
                    label = recorder.cases[number].value.operation.label
                    answers[label, found.response.status_code] += 1
            for checks in recorder.checks.values():
                for check in checks:
                    if check.failure_info is not None:
                        info = check.failure_info
                        told = f"{info.failure.operation}: {check.name}: {info.failure}"
                        wrong.setdefault(told, info.code_sample[:2000])
    sender.close()
    return answers, [f"{told}\n{sent}" for told, sent in wrong.items()]


def test_a_few_hundred_requests_are_answered_as_documented(server: Server) -> None:
    answers, wrong = explore(server, examples=3, steps=3)
    assert not wrong, "\n\n".join(wrong)
    assert answers.total() > 300
    assert ("GET /v1/analyses/{number}/report", 200) in answers, "some were about an answer"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_thousands_of_requests_are_answered_as_documented(server: Server) -> None:
    answers, wrong = explore(server, examples=300, steps=8)
    assert not wrong, "\n\n".join(wrong)
    assert answers.total() > 3000
    done = {operation for operation, status in answers if status < 300}
    assert done == {operation for operation, _ in answers}, "each has been answered well at times"


def test_ranges_of_a_video_are_answered_as_documented(server: Server) -> None:
    operation = server.document()["paths"]["/v1/analyses/{number}/video"]["get"]
    with httpx.Client(base_url=server.url, trust_env=False) as http:
        number = http.post("/v1/analyses?wait=20", json={"path": VIDEO}).json()["id"]
        place = f"/v1/analyses/{number}/video"
        whole = http.get(place)
        for asked, status in {"bytes=0-9": 206, "bytes=99999999-": 416, "bytes=x": 400}.items():
            response = http.get(place, headers={"Range": asked})
            assert response.status_code == status
            kind = response.headers["content-type"].partition(";")[0]
            assert kind in operation["responses"][str(status)]["content"]
            if status == 206:
                assert response.content == whole.content[:10]
