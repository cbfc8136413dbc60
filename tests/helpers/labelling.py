"""A labelling session with analyzed videos, without Ray and without models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from exvad.serving.labelling.session import Session, open_session
from exvad.serving.queue.analyses import AnalysisQueue
from exvad.serving.settings import ServerSettings
from exvad.serving.workers.analysis_worker import AnalysisWorker
from tests.helpers.api import open_client
from tests.helpers.fake_detector import FakeDetector


def event(start: float, end: float, label: str, decision: str = "confirmed") -> dict[str, Any]:
    """Return a reviewed event as a client sends it."""
    return {"start": start, "end": end, "label": label, "decision": decision}


def analyze_all(session: Session) -> None:
    """Analyze what waits in a session, in this thread."""
    queue = AnalysisQueue(session.settings.database_path)
    worker = AnalysisWorker(FakeDetector(), queue, session.settings)  # type: ignore[arg-type]
    while worker.work():
        pass


@contextmanager
def labelling(videos: Path, manifest: Path) -> Iterator[tuple[TestClient, dict[str, str]]]:
    """Open a session of a folder of videos, and analyze them.

    Yields:
        A client of its application, and name → id of each analysis.
    """
    session = open_session([str(videos)], manifest, ServerSettings())
    analyze_all(session)
    with open_client(session.settings) as client:
        items = client.get("/v1/analyses").json()["items"]
        yield client, {item["name"]: item["id"] for item in items}
