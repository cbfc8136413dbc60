"""The API responds as its OpenAPI document says, to any request, in any order."""

from __future__ import annotations

import io
import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2 as httpx
import pytest
import schemathesis
from fastapi.testclient import TestClient
from PIL import Image
from schemathesis.engine import events, from_schema

from exvad.detector.detector import TimedAnalysis
from exvad.results.live import LiveAlert, LiveScores
from exvad.serving.queue.streams import StreamQueue
from exvad.serving.recording.ring import Limits, RecordingRing
from exvad.serving.sources.fetch import Fetcher
from exvad.video.container import VideoError
from exvad.video.footage.recorder import Fragment
from tests.helpers.fake_detector import FakeDetector
from tests.helpers.recordings import record
from tests.helpers.server import Server
from tests.helpers.videos import write_video

VIDEO = "cameras/entrance.mp4"  # the example in the document
HOLDER = "the test"
LIMITS = Limits(hours=1, max_bytes=2**30, min_free_bytes=0)
NUM_OPERATIONS = 27
MAX_QUOTED_LENGTH = 12_000  # of each long value: HTTP servers cut URLs at 64 KiB

# Operations that refuse requests for reasons that no schema can express: a file that does not
# exist, a host that the server may not contact, an event after the end of a video.
REFUSING_WELL_FORMED = ["create_analysis", "create_stream", "review_analysis"]
# Operations whose only parameter is an id. Any text is a valid id, so no request is invalid.
WITH_ONLY_AN_ID = [
    "follow_analysis", "get_report", "get_video", "delete_analysis", "get_stream",
    "follow_stream", "delete_stream", "delete_review",
]  # fmt: skip


class TolerantDetector(FakeDetector):
    """A detector that analyzes a valid clip in place of a broken video.

    Most generated uploads are no videos, but their analyses should succeed.

    Args:
        clip: the valid clip.
    """

    def __init__(self, clip: Path) -> None:
        super().__init__()
        self._clip = clip

    def analyze_timed(self, path: str | Path, *arguments: Any) -> TimedAnalysis:
        """Analyze a video; see `Detector.analyze_timed`."""
        try:
            return super().analyze_timed(path, *arguments)
        except VideoError:
            return super().analyze_timed(self._clip, *arguments)


class FakeWatcher:
    """A watcher that publishes scores and an alert with a frame for each stream, and ends it.

    Args:
        streams: the queue of streams.
        recordings: the folder of their recordings.
        fragment: what is recorded of each stream.
    """

    def __init__(self, streams: StreamQueue, recordings: Path, fragment: Fragment) -> None:
        self._streams, self._recordings, self._fragment = streams, recordings, fragment
        buffer = io.BytesIO()
        Image.new("RGB", (16, 16)).save(buffer, "jpeg")
        self._frame = buffer.getvalue()

    def run(self, stopped: threading.Event) -> None:
        """Watch all streams until `stopped` is set."""
        scores = LiveScores(times=[0.5], scores=[0.9])
        alert = LiveAlert(number=1, state="began", start=0, end=0.5, label="Arson", peak=0.9)
        while not stopped.wait(0.02):
            while (claim := self._streams.claim(HOLDER)) is not None:
                stream_id = claim.stream_id
                self._streams.record_detector(stream_id, HOLDER, 0.5, ["Normal", "Arson"])
                self._streams.publish_scores(stream_id, HOLDER, scores, 0.1)
                self._streams.publish_alert(stream_id, HOLDER, alert)
                self._streams.store_frame(stream_id, HOLDER, 1, self._frame)
                RecordingRing(self._recordings / stream_id, LIMITS).append(self._fragment)
                self._streams.end(stream_id, HOLDER)


class CaseEditor:
    """Edits generated requests so that the server can respond as documented.

    Most requests get an id that exists, because a generator never finds one. URLs get shorter than
    64 KiB, because HTTP servers cut longer ones.

    Args:
        url: URL of the server.
    """

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, trust_env=False)
        self._random = random.Random(20)

    def edit(self, case: Any) -> Any:
        """Return the request to send."""
        for name in ("categories", "look_for"):
            text = (case.query or {}).get(name)
            if isinstance(text, str) and len(quote(text)) > MAX_QUOTED_LENGTH:
                case.query[name] = text[: MAX_QUOTED_LENGTH // 12]
        normal = (case.query or {}).get("normal")
        if isinstance(normal, list) and len(quote(str(normal))) > MAX_QUOTED_LENGTH:
            case.query["normal"] = normal[:2]
        parameters = case.path_parameters or {}
        for name, resource in (("analysis_id", "analyses"), ("stream_id", "streams")):
            if name in parameters and self._random.random() < 0.7:
                parameters[name] = self._existing_id(resource) or parameters[name]
                if "caption" in parameters and self._random.random() < 0.5:
                    parameters["caption"] = 1
        return case

    def _existing_id(self, resource: str) -> str | None:
        """Return the id of a new analysis, or of an existing analysis or stream; None if none."""
        if resource == "analyses" and self._random.random() < 0.2:
            response = self._http.post("/v1/analyses?wait=20", json={"path": VIDEO})
            return str(response.json()["id"])
        items = self._http.get(f"/v1/{resource}?limit=9").json()["items"]
        return str(self._random.choice(items)["id"]) if items else None

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server with workers that respond to all requests, and that contacts no other host."""

    async def resolve_to_loopback(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    monkeypatch.setattr(
        "exvad.serving.api.context.Fetcher",
        lambda settings: Fetcher(settings, resolver=resolve_to_loopback),
    )
    (tmp_path / "root" / "cameras").mkdir(parents=True)
    clip = write_video(tmp_path / "root" / VIDEO, 48, size=(64, 48))
    clip.with_suffix(".ts").write_bytes(b"G")
    fragment = record(write_video(tmp_path / "recorded.ts", 25))[0][0]
    (tmp_path / "secret").write_bytes(b"a secret of the test's own")
    with Server(
        tmp_path,
        allowed_root=tmp_path / "root",
        webhook_secret=tmp_path / "secret",
        max_bytes=100_000,
        max_waiting=1000,
        max_streams=1000,
    ) as server:
        server.start_worker(TolerantDetector(clip))
        streams = StreamQueue(server.settings.database_path)
        server.start_thread(FakeWatcher(streams, server.settings.recordings, fragment).run)
        yield server


def read_document(server: Server) -> dict[str, Any]:
    """Return the OpenAPI document without the response that stands for all errors at once.

    Every status must be documented at the operations that respond with it.
    """
    document: dict[str, Any] = httpx.get(f"{server.url}/openapi.json", trust_env=False).json()
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("4XX", None)
    return document


def explore(
    server: Server, max_examples: int, max_steps: int
) -> tuple[Counter[tuple[str, int]], list[str]]:
    """Send generated requests to all operations, one by one and in sequences.

    Args:
        server: the server.
        max_examples: number of requests to each operation.
        max_steps: length of a sequence.

    Returns:
        Number of responses by operation and status, and the failures.
    """
    config = schemathesis.Config.from_dict(
        {
            "base-url": server.url,
            "seed": 20,
            "continue-on-failure": True,
            "request-timeout": 20,
            "cache": {"enabled": False},
            "suppress-health-check": ["all"],
            "generation": {
                "max-examples": max_examples,
                "deterministic": True,
                "database": "none",
                "no-shrink": True,
            },
            "phases": {"stateful": {"max-steps": max_steps}},
            # 413: an invalid body may be too large as well.
            "checks": {
                "negative_data_rejection": {
                    "expected-statuses": [
                        400,
                        401,
                        403,
                        404,
                        405,
                        406,
                        409,
                        413,
                        415,
                        422,
                        429,
                        503,
                    ]
                }
            },
            "operations": [
                {
                    "include-operation-id": REFUSING_WELL_FORMED,
                    "checks": {"positive_data_acceptance": {"enabled": False}},
                },
                {"include-operation-id": WITH_ONLY_AN_ID, "generation": {"mode": "positive"}},
                {  # An upload that is no video has an analysis here, but no frames.
                    "include-operation-id": ["get_frame"],
                    "checks": {"ensure_resource_availability": {"enabled": False}},
                },
            ],
        }
    )
    schema = schemathesis.openapi.from_dict(read_document(server), config=config)
    editor = CaseEditor(server.url)

    @schema.hooks.hook
    def map_case(_: Any, case: Any) -> Any:
        return editor.edit(case)

    responses: Counter[tuple[str, int]] = Counter()
    failures: dict[str, str] = {}  # failure → the first request that caused it
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError):
            failures.setdefault(f"{event.label}: {event.value}", "")
        elif isinstance(event, events.FatalError):
            raise event.exception
        elif isinstance(event, events.ScenarioFinished):
            recorder = event.recorder
            for case_id, interaction in recorder.interactions.items():
                if interaction.response is not None:
                    label = recorder.cases[case_id].value.operation.label
                    responses[label, interaction.response.status_code] += 1
            for checks in recorder.checks.values():
                for check in checks:
                    if check.failure_info is not None:
                        info = check.failure_info
                        failure = f"{info.failure.operation}: {check.name}: {info.failure}"
                        failures.setdefault(failure, info.code_sample[:2000])
    editor.close()
    return responses, [f"{failure}\n{request}" for failure, request in failures.items()]


def test_openapi_document_has_unique_operation_ids(idle_client: TestClient) -> None:
    document = idle_client.get("/openapi.json").json()
    operation_ids = [
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
    ]
    assert len(operation_ids) == len(set(operation_ids)) == NUM_OPERATIONS


def test_openapi_links_name_existing_operations_and_parameters(idle_client: TestClient) -> None:
    paths = idle_client.get("/openapi.json").json()["paths"].values()
    operations = [operation for path in paths for operation in path.values()]
    parameters = {
        operation["operationId"]: {parameter["name"] for parameter in operation["parameters"]}
        for operation in operations
        if "parameters" in operation
    }
    links = [
        link
        for operation in operations
        for response in operation["responses"].values()
        for link in response.get("links", {}).values()
    ]
    assert links
    for link in links:
        assert link["parameters"].keys() <= parameters[link["operationId"]], link


def test_hundreds_of_requests_are_answered_as_documented(server: Server) -> None:
    responses, failures = explore(server, max_examples=3, max_steps=3)
    assert not failures, "\n\n".join(failures)
    assert responses.total() > 300
    report = ("GET /v1/analyses/{analysis_id}/report", 200)
    assert report in responses, "no request was about an analysis with a result"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_thousands_of_requests_are_answered_as_documented(server: Server) -> None:
    responses, failures = explore(server, max_examples=200, max_steps=8)
    assert not failures, "\n\n".join(failures)
    assert responses.total() > 3000
    succeeded = {operation for operation, status in responses if status < 300}
    assert succeeded == {operation for operation, _ in responses}, "an operation never succeeded"


def test_ranges_of_a_video_are_answered_as_documented(server: Server) -> None:
    operation = read_document(server)["paths"]["/v1/analyses/{analysis_id}/video"]["get"]
    with httpx.Client(base_url=server.url, trust_env=False) as http:
        analysis_id = http.post("/v1/analyses?wait=20", json={"path": VIDEO}).json()["id"]
        path = f"/v1/analyses/{analysis_id}/video"
        video = http.get(path)
        for byte_range, status in {
            "bytes=0-9": 206,
            "bytes=99999999-": 416,
            "bytes=x": 200,
        }.items():
            response = http.get(path, headers={"Range": byte_range})
            assert response.status_code == status
            media_type = response.headers["content-type"].partition(";")[0]
            assert media_type in operation["responses"][str(status)]["content"]
            if status == 206:
                assert response.content == video.content[:10]
