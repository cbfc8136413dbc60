"""The deployment that analyzes videos and watches streams with the trained network."""

# No postponed annotations here: Ray Serve evaluates the annotations of deployments.

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle

from exvad.checkpoints.checkpoint import load_checkpoint
from exvad.checkpoints.registry import local_checkpoint, registered_version
from exvad.checkpoints.zero_shot import AnyCheckpoint
from exvad.detector.detector import Detector
from exvad.serving.deployments.remote_models import (
    RemoteCaptioner,
    RemoteClip,
    RemoteDecoder,
    RemoteLLM,
    RemoteModels,
    call,
)
from exvad.serving.deployments.served import ZeroShot, public_name
from exvad.serving.queue.analyses import AnalysisQueue
from exvad.serving.queue.streams import StreamQueue
from exvad.serving.settings import ServerSettings
from exvad.serving.sources.fetch import Fetcher
from exvad.serving.workers.analysis_worker import AnalysisWorker
from exvad.serving.workers.stream_watcher import StreamWatcher
from exvad.serving.workers.webhook_sender import WebhookSender, read_secret


@serve.deployment(name="Analyst")
class AnalystDeployment:
    """Runs the workers: several analyses at once, all streams, and the webhooks.

    If an alias of the model registry names the checkpoint, the replica checks regularly which
    version the alias stands for, and loads a new one. Running analyses end with the old network.

    Args:
        settings: settings of the server.
        handles: handles of the deployments Decoder, Clip, Captioner and Explainer.
        zero_shot: detection without training; None to serve the settings' checkpoint.
    """

    def __init__(
        self,
        settings: ServerSettings,
        handles: dict[str, DeploymentHandle],
        zero_shot: ZeroShot | None = None,
    ) -> None:
        self._settings, self._handles = settings, handles
        self._stopped = threading.Event()
        self._version = registered_version(settings.checkpoint, settings.tracking_uri)
        # Ray Serve calls this inside an event loop, where no answer of a handle can be waited for.
        with ThreadPoolExecutor(1) as loader:
            loading = (
                loader.submit(self._load_detector)
                if zero_shot is None
                else loader.submit(self._build_zero_shot, zero_shot)
            )
        self._detector = loading.result()
        queue = AnalysisQueue(settings.database_path, settings.lease_seconds)
        streams = StreamQueue(settings.database_path, settings.lease_seconds)
        name = public_name(settings.checkpoint)
        self._workers = [
            AnalysisWorker(self._detector, queue, settings, name, sends_heartbeats=index == 0)
            for index in range(settings.analyst.concurrency)
        ]
        self._watcher = StreamWatcher(self._detector, streams, settings)
        jobs = [*(worker.run for worker in self._workers), self._watcher.run]
        if self._version is not None:
            jobs.append(self._follow_alias)
        if settings.webhook_secret is not None:
            secret = read_secret(settings.webhook_secret)
            jobs.append(WebhookSender(queue, Fetcher(settings), secret).run)
        self._threads = [
            threading.Thread(target=job, args=(self._stopped,), daemon=True) for job in jobs
        ]
        for thread in self._threads:
            thread.start()

    def check_health(self) -> None:
        """Raise an error if a thread has crashed, so that Ray Serve replaces the replica."""
        if not all(thread.is_alive() for thread in self._threads) or self._watcher.failed:
            raise RuntimeError("a thread of the analyst has crashed")

    def __del__(self) -> None:
        self._stopped.set()

    def _load_detector(self) -> Detector:
        """Load what the settings' checkpoint stands for now, on the node of this replica."""
        settings = self._settings
        with local_checkpoint(settings.checkpoint, settings.tracking_uri) as folder:
            width = int(load_checkpoint(folder).label_CD.shape[1])
            return Detector(folder, models=self._models(width), decoder=self._decoder())

    def _build_zero_shot(self, zero_shot: ZeroShot) -> Detector:
        models = self._models(int(call(self._handles["Clip"], "encode_texts", ["a"]).shape[1]))
        return Detector(
            zero_shot.config, models=models, decoder=self._decoder(), scenes=zero_shot.scenes
        )

    def _models(self, width: int) -> RemoteModels:
        return RemoteModels(
            RemoteClip(self._handles["Clip"], width),
            RemoteCaptioner(self._handles["Captioner"]),
            RemoteLLM(self._handles["Explainer"]),
        )

    def _decoder(self) -> RemoteDecoder:
        return RemoteDecoder(self._handles["Decoder"])

    def _follow_alias(self, stopped: threading.Event) -> None:
        """Load the version that the alias stands for, whenever that is a new one."""
        reference, uri = self._settings.checkpoint, self._settings.tracking_uri
        while not stopped.wait(self._settings.reload_seconds):
            try:
                version = registered_version(reference, uri)
                if version == self._version:
                    continue
                detector = self._load_detector()
            except ValueError as error:
                # The registry is unreachable, or the version is no checkpoint: keep the old one.
                self._report_problem(str(error))
                continue
            self._version = version
            if frozen_parts(detector.checkpoint) != frozen_parts(self._detector.checkpoint):
                self._report_problem(
                    f"version {version} needs other frozen models: restart the server"
                )
                continue
            self._detector = detector
            name = public_name(reference)
            for worker in self._workers:
                worker.set_detector(detector, name)
            self._watcher.set_detector(detector)

    def _report_problem(self, problem: str) -> None:
        for worker in self._workers:
            worker.report_problem(problem)


def frozen_parts(checkpoint: AnyCheckpoint) -> tuple[Any, ...]:
    """Return the parts of a checkpoint that the other deployments depend on."""
    config = checkpoint.config
    return (config.clip, config.captioner, config.llm, config.device, checkpoint.classes)
