"""The application of Ray Serve that serves a checkpoint; `serve run serve.app:app` builds it.

The settings are the `args` of a configuration file of Ray Serve, or those of the YAML file that
EXVAD_SERVE names; without either, the newest run's checkpoint is served to this machine.
EXVAD_CHECKPOINT names another checkpoint.
"""

# No postponed annotations here: FastAPI resolves them on a copy of the class that Ray makes.

import os
from typing import Any

from ray import serve

from exvad.checkpoints.checkpoint import load_checkpoint
from exvad.checkpoints.registry import (
    REGISTRY,
    SQLITE,
    newest_demo_checkpoint,
    resolve_checkpoint,
    tracking_place,
)
from exvad.serving.api.application import create_api
from exvad.serving.api.keys import Keys
from exvad.serving.deployments.analyst import Analyst
from exvad.serving.deployments.models import CaptionerPart, ClipPart, DecoderPart, ExplainerPart
from exvad.serving.settings import Replicas, ServerSettings, load_settings, parse_settings
from exvad.serving.workers.webhook_sender import read_secret


def build(settings: ServerSettings | None = None) -> serve.Application:
    """Return the application for these settings, or those that EXVAD_SERVE names.

    Raises:
        ValueError: there is no such checkpoint, or the keys or the webhooks' secret can't be read.
    """
    settings = settings or load_settings()
    named = os.environ.get("EXVAD_CHECKPOINT") or settings.checkpoint
    if not named:
        named = str(newest_demo_checkpoint())
    place = settings.tracking_uri
    if named.startswith(REGISTRY):
        place = tracking_place(place)
    folder = resolve_checkpoint(named, place)
    settings = settings.model_copy(
        update={
            # Replicas run in another folder. An alias stays one: it may move.
            "checkpoint": named if "@" in named else str(folder.resolve()),
            "tracking_uri": place,
            "spool": settings.spool.resolve(),
            "database": f"{SQLITE}{settings.database_path.resolve()}",
        }
    )
    if settings.webhook_secret is not None:
        read_secret(settings.webhook_secret)  # complains here rather than in a replica
    Keys(settings.api_keys)
    if settings.allowed_root is not None and not settings.allowed_root.is_dir():
        raise ValueError(f"allowed_root: {settings.allowed_root} is no folder")
    checkpoint = load_checkpoint(folder)
    config, classes = checkpoint.config, checkpoint.labels.classes
    parts = {
        "Decoder": _sized(DecoderPart, settings.decoder).bind(settings),
        "Clip": _sized(ClipPart, settings.clip).bind(config),
        "Captioner": _sized(CaptionerPart, settings.captioner).bind(config),
        "Explainer": _sized(ExplainerPart, settings.explainer).bind(config, classes),
    }
    # Nobody calls the analysts, they take work from the queue: their number is fixed.
    analyst = Analyst.options(  # type: ignore[attr-defined]
        num_replicas=settings.analyst.max_replicas,
        ray_actor_options=_resources(settings.analyst),
    ).bind(settings, parts)
    # The front holds no model, so that it answers while videos are analyzed; it is bound to the
    # analyst only so that both are deployed together.
    front = serve.deployment(
        serve.ingress(lambda: create_api(settings))(),
        name="Front",
        # Those who only wait must not keep the others out, nor a stop waiting for them.
        max_ongoing_requests=settings.max_followers + 128,
        graceful_shutdown_timeout_s=3,
        ray_actor_options={"num_cpus": 0.1},
    )
    return front.bind(analyst)


def from_args(args: dict[str, Any]) -> serve.Application:
    """Return the application for the `args` of `serve run` or of a configuration file.

    Args:
        args: settings of the server; empty for those that EXVAD_SERVE names.

    Raises:
        ValueError: see `build`; or a setting is unknown or has a bad value.
    """
    return build(parse_settings(args, "args") if args else None)


def _sized(part: Any, replicas: Replicas) -> Any:
    return part.options(
        max_ongoing_requests=max(replicas.at_once, 1) * 2,
        autoscaling_config={
            "min_replicas": replicas.min_replicas,
            "max_replicas": replicas.max_replicas,
            "target_ongoing_requests": replicas.at_once,
        },
        ray_actor_options=_resources(replicas),
    )


def _resources(replicas: Replicas) -> dict[str, float]:
    return {"num_cpus": replicas.cpus, "num_gpus": replicas.gpus}
