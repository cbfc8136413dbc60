"""Ray Serve deployment of a checkpoint: `serve run serve.app:app`.

EXVAD_SERVE names a YAML file of settings (serve/settings.py); without it the newest run's
checkpoint is served to this machine. EXVAD_CHECKPOINT names another checkpoint.
"""

# No postponed annotations here: FastAPI resolves them on a copy of the class that Ray makes.

import os
import threading
from pathlib import Path

from ray import serve

from exvad.analyze import newest_demo_checkpoint
from exvad.load import resolve_checkpoint
from serve.api import create_api
from serve.fetch import Fetcher
from serve.queue import Queue
from serve.settings import ServerSettings, load_settings
from serve.webhooks import Sender, read_secret


@serve.deployment
class Analyst:
    """Takes analyses from the queue; the models are loaded once per replica.

    Args:
        settings: of the server.
    """

    def __init__(self, settings: ServerSettings) -> None:
        from exvad.detector import Detector
        from serve.worker import Worker

        queue = Queue(settings.spool / "queue.sqlite", settings.lease_seconds)
        shown = Path(settings.checkpoint).name
        worker = Worker(Detector(settings.checkpoint), queue, settings, shown)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=worker.run, args=(self._stopped,), daemon=True)
        self._thread.start()
        if settings.webhook_secret is not None:
            sender = Sender(queue, Fetcher(settings), read_secret(settings.webhook_secret))
            threading.Thread(target=sender.run, args=(self._stopped,), daemon=True).start()

    def check_health(self) -> None:
        """Let Ray Serve replace a replica whose work has died."""
        if not self._thread.is_alive():
            raise RuntimeError("the analyzing thread has died")

    def __del__(self) -> None:
        self._stopped.set()


def build(settings: ServerSettings | None = None) -> serve.Application:
    """Return the application for these settings, or those that EXVAD_SERVE names."""
    settings = settings or load_settings()
    checkpoint = os.environ.get("EXVAD_CHECKPOINT") or settings.checkpoint
    settings = settings.model_copy(
        update={
            "checkpoint": str(
                resolve_checkpoint(checkpoint) if checkpoint else newest_demo_checkpoint().resolve()
            ),
            "spool": settings.spool.resolve(),
        }
    )
    if settings.webhook_secret is not None:
        read_secret(settings.webhook_secret)  # complains here rather than in a replica
    analyst = Analyst.options(  # type: ignore[attr-defined]
        num_replicas=settings.workers,
        ray_actor_options={"num_cpus": settings.worker_cpus, "num_gpus": settings.worker_gpus},
    ).bind(settings)
    # The front holds no model, so that it answers while videos are analyzed; it is bound to the
    # analyst only so that both are deployed together.
    front = serve.deployment(
        serve.ingress(lambda: create_api(settings))(),
        name="Front",
        max_ongoing_requests=256,
        ray_actor_options={"num_cpus": 0.1},
    )
    return front.bind(analyst)


def __getattr__(name: str) -> serve.Application:
    """Build `app` when Ray Serve asks for it, not when the module is imported."""
    if name == "app":
        return build()
    raise AttributeError(f"module 'serve.app' has no attribute {name!r}")
