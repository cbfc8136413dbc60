"""The deployment that answers: several workers on one trained network, kept up to date."""

# No postponed annotations here: Ray Serve reads those of deployments.

import threading
import time
from pathlib import Path
from typing import Any

from ray import serve

from exvad.checkpoints.checkpoint import Checkpoint
from exvad.checkpoints.registry import resolve_checkpoint, version_of
from exvad.serving.queue.analyses import Queue
from exvad.serving.queue.streams import Streams
from exvad.serving.settings import ServerSettings
from exvad.serving.sources.fetch import Fetcher
from exvad.serving.workers.analysis_worker import Worker
from exvad.serving.workers.remote_models import (
    RemoteCaptioner,
    RemoteClip,
    RemoteDecoder,
    RemoteLLM,
    RemoteModels,
)
from exvad.serving.workers.stream_watcher import Watcher
from exvad.serving.workers.webhook_sender import Sender, read_secret


@serve.deployment(name="Analyst")
class Analyst:
    """Takes analyses from the queue, several at once, and answers them with the parts' help.

    Where the checkpoint is named by an alias of the model registry, the replica asks now and then
    whether it has moved; analyses under way end with the network they began with.

    Args:
        settings: of the server.
        parts: handles of the deployments Decoder, Clip, Captioner and Explainer.
    """

    def __init__(self, settings: ServerSettings, parts: dict[str, Any]) -> None:
        self._settings, self._parts = settings, parts
        self._stopped = threading.Event()
        self._version = version_of(settings.checkpoint, settings.tracking_uri)
        folder = resolve_checkpoint(settings.checkpoint, settings.tracking_uri)
        self._detector = self._load(folder)
        queue = Queue(settings.database_path, settings.lease_seconds)
        self._workers = [
            Worker(self._detector, queue, settings, shown_name(settings, folder), greets=not number)
            for number in range(settings.analyst.at_once)
        ]
        self._threads = [
            threading.Thread(target=worker.run, args=(self._stopped,), daemon=True)
            for worker in self._workers
        ]
        streams = Streams(settings.database_path, settings.lease_seconds)
        self._watcher = Watcher(self._detector, streams, settings)
        self._threads.append(
            threading.Thread(target=self._watcher.run, args=(self._stopped,), daemon=True)
        )
        if self._version is not None:
            self._threads.append(threading.Thread(target=self._keep_up, daemon=True))
        if settings.webhook_secret is not None:
            sender = Sender(queue, Fetcher(settings), read_secret(settings.webhook_secret))
            self._threads.append(
                threading.Thread(target=sender.run, args=(self._stopped,), daemon=True)
            )
        for thread in self._threads:
            thread.start()

    def check_health(self) -> None:
        """Let Ray Serve replace a replica of which a part has died."""
        if not all(thread.is_alive() for thread in self._threads) or self._watcher.failed:
            raise RuntimeError("a thread of the analyst has died")

    def __del__(self) -> None:
        self._stopped.set()

    def _load(self, folder: Path) -> Any:
        from exvad.checkpoints.checkpoint import load_checkpoint
        from exvad.detector.detector import Detector

        width = int(load_checkpoint(folder).label_CD.shape[1])
        models = RemoteModels(
            RemoteClip(self._parts["Clip"], width),
            RemoteCaptioner(self._parts["Captioner"]),
            RemoteLLM(self._parts["Explainer"]),
        )
        return Detector(folder, models=models, decoder=RemoteDecoder(self._parts["Decoder"]))

    def _keep_up(self) -> None:
        """Load what the alias names now, whenever that is something else."""
        while not self._stopped.wait(self._settings.reload_seconds):
            try:
                named, place = self._settings.checkpoint, self._settings.tracking_uri
                version = version_of(named, place)
                if version == self._version:
                    continue
                folder = resolve_checkpoint(named, place)
                detector = self._load(folder)
            except ValueError as error:
                # The registry is away, or the new version is no checkpoint: the old one goes on.
                self._say(str(error))
                continue
            self._version = version
            if frozen(detector.checkpoint) != frozen(self._detector.checkpoint):
                self._say(f"version {version} needs other frozen models: restart the server")
                continue
            self._detector = detector
            for worker in self._workers:
                worker.use(detector, shown_name(self._settings, folder))
            self._watcher.use(detector)

    def _say(self, problem: str) -> None:
        for worker in self._workers:
            worker.about = worker.about.model_copy(
                update={"problem": problem, "problem_since": time.time()}
            )


def frozen(checkpoint: Checkpoint) -> tuple[Any, ...]:
    """Return what the other deployments were made for: a change of it needs new ones."""
    config = checkpoint.config
    return (config.clip, config.captioner, config.llm, config.device, checkpoint.labels.classes)


def shown_name(settings: ServerSettings, folder: Path) -> str:
    """Return how a checkpoint is called to those who ask: no path of the server's."""
    named = settings.checkpoint
    return named if named.startswith("models:/") else "/".join(folder.parts[-2:])
