"""The application of Ray Serve that serves a checkpoint.

`serve run serve.app:app` and `import_path: serve.app:app` build it with `from_args`. The settings
are the `args` of `serve run` or of a configuration file of Ray Serve. Without `args`, they are read
from the YAML file that EXVAD_SERVE names. Without either, the defaults apply: the checkpoint of the
newest run is served to clients on this machine; without any, detection without training is.
EXVAD_CHECKPOINT names another checkpoint.
"""

# No postponed annotations here: FastAPI resolves them on a copy of the class that Ray makes.

import os
from pathlib import Path
from typing import Any

import ray
from ray import serve

from exvad.checkpoints.local_tracking import SQLITE
from exvad.checkpoints.registry import find_newest_checkpoint, is_folder, resolve_tracking_uri
from exvad.checkpoints.zero_shot import ZERO_SHOT
from exvad.data.storage.places import is_uri
from exvad.pipeline.placement import check_placement
from exvad.pipeline.preflight.models import require_clip
from exvad.pipeline.progress.terminal import console
from exvad.serving.api.application import create_api
from exvad.serving.api.keys import ApiKeys
from exvad.serving.deployments.analyst import AnalystDeployment
from exvad.serving.deployments.explainer import build_explainer
from exvad.serving.deployments.gpus import demands, find_gpus, share_gpus
from exvad.serving.deployments.models import (
    CaptionerDeployment,
    ClipDeployment,
    DecoderDeployment,
)
from exvad.serving.deployments.one_node import choose_node, on_node
from exvad.serving.deployments.scaling import actor_options, scale
from exvad.serving.deployments.served import Served, read_served
from exvad.serving.labelling.reviewed_manifest import check_manifest
from exvad.serving.language.ray_engine import require_vllm
from exvad.serving.queue.database import check_database, check_folder
from exvad.serving.settings import ServerSettings, load_settings, parse_settings
from exvad.serving.workers.webhook_sender import read_secret
from exvad.video.sandbox import DecodingProcess

FRONT_CPUS = 0.1
CLIP_SETTING = "clip: {model: local-dir:FOLDER} in a YAML file that --checkpoint names"
FRONT_REQUESTS = 128  # in addition to the followers
FRONT_SHUTDOWN_SECONDS = 3


def from_args(args: dict[str, Any]) -> serve.Application:
    """Build the application for the `args` of `serve run` or of a configuration file.

    Args:
        args: setting → value; if empty, the settings are read from the file that EXVAD_SERVE names.

    Raises:
        ValueError: a setting is unknown or has a bad value; see also `build_application`.
    """
    return build_application(parse_settings(args, "args") if args else None)


def build_application(settings: ServerSettings | None = None) -> serve.Application:
    """Build the application, which does not need a running Ray.

    Args:
        settings: settings of the server; None to read the file that EXVAD_SERVE names.

    Raises:
        OtherVersionError: another version of exvad wrote the database or the checkpoint.
        ValueError: there is no such checkpoint, or a file that the settings name can't be read.
    """
    return assemble_application(*prepare_application(settings or load_settings()))


def prepare_application(settings: ServerSettings) -> tuple[ServerSettings, Served]:
    """Look at everything that the application needs, before Ray runs.

    Args:
        settings: settings of the server.

    Returns:
        The settings with absolute paths, and what is served.

    Raises:
        OtherVersionError: another version of exvad wrote the database or the checkpoint.
        ValueError: there is no such checkpoint, a file that the settings name can't be read, the
            language model needs vLLM and it is not installed, or decoding can't be confined as the
            settings demand.
    """
    settings = _resolve(settings)
    _check_files(settings)
    served = read_served(settings)
    if served.zero_shot is not None:
        require_clip(served.config, CLIP_SETTING)
    if served.config.llm.backend == "vllm":
        require_vllm(served.config)
    with DecodingProcess(settings.decode_bytes, mode=settings.sandbox) as process:
        console.print(f"sandbox: {process.confinement()}", highlight=False, soft_wrap=True)
    return settings, served


def assemble_application(settings: ServerSettings, served: Served) -> serve.Application:
    """Build the application for the GPUs of the running Ray, or else of this machine.

    Args:
        settings: settings of the server; see `prepare_application`.
        served: what is served.

    Raises:
        PlacementError: the cluster is too small for the replicas.
        ValueError: the models do not fit the GPUs.
    """
    config, classes = served.config, served.classes
    settings = share_gpus(config, settings, find_gpus())
    reserved = demands(config, settings, FRONT_CPUS)
    if ray.is_initialized():
        check_placement("the server", reserved)
    node = on_node(choose_node(reserved, settings.node))
    handles = {
        "Decoder": scale(DecoderDeployment, settings.decoder, node).bind(settings),
        "Clip": scale(ClipDeployment, settings.clip, node).bind(config),
        "Captioner": scale(CaptionerDeployment, settings.captioner, node).bind(config),
        "Explainer": build_explainer(config, classes, settings.explainer, node),
    }
    # The analysts take work from the queue. They get no requests to scale by.
    analyst = AnalystDeployment.options(  # type: ignore[attr-defined]
        num_replicas=settings.analyst.max_replicas,
        ray_actor_options=actor_options(settings.analyst, node),
    ).bind(settings, handles, served.zero_shot)
    # The front holds no model, so that it answers while videos are analyzed. It is bound to the
    # analyst only to deploy both together.
    front = serve.deployment(
        serve.ingress(lambda: create_api(settings))(),
        name="Front",
        # Followers must neither use up the requests of other clients nor delay a shutdown.
        max_ongoing_requests=settings.max_followers + FRONT_REQUESTS,
        graceful_shutdown_timeout_s=FRONT_SHUTDOWN_SECONDS,
        ray_actor_options={"num_cpus": FRONT_CPUS, **node},
    )
    return front.bind(analyst)


def _resolve(settings: ServerSettings) -> ServerSettings:
    """Return the settings with absolute paths, as replicas run in another folder.

    References to a bucket or to MLflow stay: each replica resolves them on its own node.
    """
    reference = os.environ.get("EXVAD_CHECKPOINT") or settings.checkpoint
    reference = reference or str(find_newest_checkpoint() or ZERO_SHOT)
    uri = settings.tracking_uri
    if is_folder(reference):
        reference = reference if reference == ZERO_SHOT else str(Path(reference).resolve())
    elif not is_uri(reference):
        uri = resolve_tracking_uri(uri)
    files = ("manifest", "api_keys", "webhook_secret", "allowed_root")
    paths = {name: getattr(settings, name) for name in files}
    update = {
        **{name: path.absolute() for name, path in paths.items() if path is not None},
        "checkpoint": reference,
        "tracking_uri": uri,
        "spool": settings.spool.resolve(),
        "database": f"{SQLITE}{settings.database_path.resolve()}",
    }
    return settings.model_copy(update=update)


def _check_files(settings: ServerSettings) -> None:
    """Check the files that the settings name, so that errors appear here and not in a replica."""
    check_folder(settings.spool)
    check_database(settings.database_path)
    if settings.manifest is not None:
        check_manifest(settings.manifest, settings.spool)
    if settings.public_url and settings.api_keys is None:
        raise ValueError(
            "public_url: other machines reach the server through it: set api_keys in the settings"
        )
    if settings.webhook_secret is not None:
        read_secret(settings.webhook_secret)
    ApiKeys(settings.api_keys)
    if settings.allowed_root is not None and not settings.allowed_root.is_dir():
        raise ValueError(f"allowed_root: {settings.allowed_root} is no folder")
