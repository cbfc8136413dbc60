"""What the server serves: a trained checkpoint, or detection without training.

It is read where the server is started. Replicas may run on other nodes and in other folders: they
get what small files say, and resolve the reference of a checkpoint themselves.
"""

# No postponed annotations here, as in the other modules of this folder.

from dataclasses import dataclass
from pathlib import PurePath

from exvad.aegm.prompts import with_prompt_text
from exvad.checkpoints.checkpoint import load_checkpoint
from exvad.checkpoints.registry import REGISTRY, local_checkpoint
from exvad.checkpoints.zero_shot import memory_classes, read_zero_shot
from exvad.config import Config, override_config, override_models
from exvad.data.storage.places import is_uri, resolve_place
from exvad.serving.settings import ServerSettings
from exvad.zero_shot.scene_memory import SceneMemory


@dataclass(frozen=True)
class ZeroShot:
    """Detection without training, without the files that describe it.

    Args:
        config: its configuration.
        scenes: the memory of scenes.
    """

    config: Config
    scenes: SceneMemory


@dataclass(frozen=True)
class Served:
    """What the deployments of the frozen models need of what is served.

    Args:
        config: its configuration, with the settings' frozen models.
        classes: class names, the normal class first.
        zero_shot: detection without training; None for a checkpoint.
    """

    config: Config
    classes: tuple[str, ...]
    zero_shot: ZeroShot | None = None


def read_served(settings: ServerSettings) -> Served:
    """Read what the settings name; nothing stays on the disk.

    Args:
        settings: settings of the server, with a reference to what is served.

    Raises:
        OtherVersionError: another version of exvad wrote the checkpoint.
        ValueError: there is no such checkpoint or memory of scenes, or a setting is not allowed.
    """
    zero_shot = read_zero_shot(settings.checkpoint)
    if zero_shot is not None:
        return _read_zero_shot(zero_shot, settings)
    with local_checkpoint(settings.checkpoint, settings.tracking_uri) as folder:
        checkpoint = load_checkpoint(folder)
    return Served(override_models(checkpoint.config, settings.models), checkpoint.classes)


def _read_zero_shot(zero_shot: Config, settings: ServerSettings) -> Served:
    config = override_models(zero_shot, settings.models)
    if zero_shot.zero_shot.uses_models:
        zero_shot = with_prompt_text(zero_shot)
    else:
        # Their deployments start in any case. These are small and need no download.
        unused = {"captioner.model": "package:captioner", "llm.model": "package:llm"}
        backends = {"captioner.backend": "transformers", "llm.backend": "transformers"}
        config = override_config(config, {**unused, **backends})
    scenes = SceneMemory.read(zero_shot.zero_shot.memory)
    return Served(config, memory_classes(zero_shot, scenes), ZeroShot(zero_shot, scenes))


def public_name(reference: str) -> str:
    """Return the name of a checkpoint that clients see, which reveals no path of the server.

    Args:
        reference: the reference to the checkpoint.
    """
    if reference.startswith(REGISTRY):
        return reference
    path = resolve_place(reference).path if is_uri(reference) else reference
    return "/".join(PurePath(path).parts[-2:])
