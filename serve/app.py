"""Ray Serve deployment of a checkpoint: `serve run serve.app:app`.

EXVAD_CHECKPOINT names the checkpoint's folder; without it the newest run's is served.
"""

# No postponed annotations here: FastAPI resolves them on a copy of the class that Ray makes.

import os
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Header, HTTPException, Request
from ray import serve

from exvad.analyze import newest_demo_checkpoint
from exvad.data.video import VideoError
from exvad.results import Analysis

MAX_BYTES = 512 * 2**20

api = FastAPI(title="exvad", summary="When something abnormal happened, what it was, and why.")


@serve.deployment(max_ongoing_requests=2)
@serve.ingress(api)
class AnalysisService:
    """Answers about one video per request; the frozen models are loaded once.

    Args:
        checkpoint: the checkpoint's folder.
    """

    def __init__(self, checkpoint: str) -> None:
        from exvad.detector import Detector

        self.detector = Detector(checkpoint)

    @api.get("/healthz")
    def healthy(self) -> dict[str, str]:
        """Say that the replica answers, and with which model."""
        return {"status": "ok", "model": self.detector.checkpoint.name}

    @api.post("/v1/analyses")
    async def analyze(
        self, request: Request, x_filename: Annotated[str, Header()] = "video"
    ) -> Analysis:
        """Analyze the video file that is the request's body."""
        import asyncio
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / (Path(x_filename).name or "video")
            size = 0
            with path.open("wb") as file:
                async for part in request.stream():
                    size += len(part)
                    if size > MAX_BYTES:
                        raise HTTPException(413, f"the video is larger than {MAX_BYTES} bytes")
                    file.write(part)
            try:
                return await asyncio.to_thread(self.detector.analyze, path)
            except VideoError as error:
                raise HTTPException(422, f"{path.name}: {error.reason}") from error
            except ValueError as error:
                raise HTTPException(422, str(error)) from error


def build() -> serve.Application:
    """Return the application for the configured checkpoint."""
    checkpoint = os.environ.get("EXVAD_CHECKPOINT") or str(newest_demo_checkpoint().resolve())
    return AnalysisService.bind(checkpoint)  # type: ignore[attr-defined]


def __getattr__(name: str) -> serve.Application:
    """Build `app` when Ray Serve asks for it, not when the module is imported."""
    if name == "app":
        return build()
    raise AttributeError(f"module 'serve.app' has no attribute {name!r}")
