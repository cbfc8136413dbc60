"""Whether the frozen models of a configuration can be loaded, looked at without loading them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from exvad.config.suggestions import did_you_mean
from exvad.data.storage.homes import expand_home
from exvad.data.storage.packaged import PACKAGE_PREFIX
from exvad.data.world.activities import CLASSES
from exvad.encoders.clip import LOCAL_DIR, check_activation, open_clip_name
from exvad.encoders.model_files import ModelKind, find_file_problems, resolve_model
from exvad.pipeline.preflight.backends import check_endpoint, check_vllm
from exvad.pipeline.preflight.findings import Finding
from exvad.pipeline.preflight.hub import check_repository, check_weights_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exvad.config import Config

HUB_SCHEMA = "hf-hub:"

Check = Callable[[], Finding]


def model_checks(
    config: Config, kinds: Sequence[ModelKind], waits_for_endpoints: bool
) -> list[tuple[str, Check]]:
    """Return the checks of models, each with the name of its setting.

    Args:
        config: the models and their backends.
        kinds: which models are needed.
        waits_for_endpoints: whether an endpoint that does not answer yet is waited for.
    """
    checks: list[tuple[str, Check]] = []
    for kind in kinds:
        if kind == "clip":
            checks.append(
                ("clip.model", partial(check_clip, config.clip.model, config.clip.pretrained))
            )
            continue
        section = config.captioner if kind == "captioner" else config.llm
        what = f"{kind}.model"
        if section.backend == "openai":
            endpoint = partial(
                check_endpoint, kind, section.model, section.endpoint, waits_for_endpoints
            )
            checks.append((f"{kind}.endpoint", endpoint))
            continue
        checks.append((what, partial(check_transformers, what, section.model, kind)))
        if section.backend == "vllm":
            checks.append((f"{kind}.engine", partial(check_vllm, kind, section.engine.python)))
    return checks


def check_transformers(what: str, model: str, kind: ModelKind) -> Finding:
    """Check a captioner or a language model of transformers or vLLM.

    Args:
        what: the setting that names the model.
        model: hub name, folder, or `package:NAME`.
        kind: what the model is.
    """
    try:
        location = resolve_model(model)
    except ValueError as error:
        return Finding(what, False, str(error))
    if Path(location).is_dir():
        return _check_folder(what, model, Path(location), kind)
    if location.startswith(("/", ".")):
        return Finding(what, False, f"{model}: there is no such folder")
    return check_repository(what, location, kind)


def check_clip(model: str, pretrained: str) -> Finding:
    """Check the image and text encoder.

    Args:
        model: an open_clip name, `local-dir:FOLDER`, a folder, or `package:NAME`.
        pretrained: open_clip's name of the weights, for a named model.
    """
    what = "clip.model"
    try:
        name = open_clip_name(model)
    except ValueError as error:
        return Finding(what, False, str(error))
    if name.startswith(LOCAL_DIR):
        folder = Path(name.removeprefix(LOCAL_DIR))
        if not folder.is_dir():
            return Finding(what, False, f"{model}: there is no such folder")
        return _check_folder(what, model, folder, "clip")
    if name.startswith(HUB_SCHEMA):
        return check_repository(what, name.removeprefix(HUB_SCHEMA), "clip")
    if name.startswith(("/", ".")):
        return Finding(what, False, f"{model}: there is no such folder")
    return _check_named_clip(what, name, pretrained)


def shipped_models_note(config: Config) -> str:
    """Return a sentence if the demo's models would describe other videos; empty otherwise.

    Args:
        config: `data.kind` and the captioner and the language model.
    """
    if config.data.kind == "world":
        return ""
    captioner, llm = config.captioner, config.llm
    sections = [("captioner", captioner.backend, captioner.model), ("llm", llm.backend, llm.model)]
    shipped = [
        f"{name}.model={model}"
        for name, backend, model in sections
        if backend != "openai" and model.startswith(PACKAGE_PREFIX)
    ]
    if not shipped:
        return ""
    return (
        f"{' and '.join(shipped)}: what ships with exvad knows the demo's rendered world and its "
        f"classes only ({', '.join(CLASSES)}), and says nothing true of other videos: take the "
        "models of a preset for real videos, or name others"
    )


def require_clip(config: Config, setting: str) -> None:
    """Refuse detection without training if CLIP can't be had, before loading tries the hub long.

    Args:
        config: names the CLIP.
        setting: how the command that was used names a folder of open_clip.

    Raises:
        ValueError: the weights are neither in a folder, nor in the cache, nor on the hub.
    """
    finding = check_clip(config.clip.model, config.clip.pretrained)
    if not finding.ok:
        raise ValueError(
            "without a checkpoint, exvad needs CLIP, which can't be loaded: "
            f"{finding.problem or finding.detail}; name a folder of open_clip with {setting}, or a "
            "checkpoint with --checkpoint, such as that of exvad demo, which downloads nothing"
        )


def _check_folder(what: str, model: str, folder: Path, kind: ModelKind) -> Finding:
    problems = find_file_problems(folder, kind)
    if problems:
        return Finding(what, False, f"{model}: {'; '.join(problems)} (in {folder})")
    limits = ", for the demo's world only" if model.startswith(PACKAGE_PREFIX) else ""
    return Finding(what, True, f"{model}: complete{limits}")


def _check_named_clip(what: str, name: str, pretrained: str) -> Finding:
    import open_clip
    from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME

    if name not in open_clip.list_models():
        closest = did_you_mean(name, open_clip.list_models())
        hint = f"did you mean {closest}?" if closest else "see open_clip.list_models()"
        return Finding(what, False, f"open_clip knows no model {name!r}: {hint}")
    if Path(pretrained).is_file():
        return Finding(what, True, f"{name} with the weights {pretrained}")
    try:
        check_activation(name, pretrained)
    except ValueError as error:
        return Finding(what, False, str(error))
    weights = open_clip.get_pretrained_cfg(name, pretrained)
    if not weights:
        known = ", ".join(open_clip.list_pretrained_tags_by_model(name)) or "none"
        return Finding(
            what,
            False,
            f"{name} has no weights {pretrained!r}: set clip.pretrained to one of {known}",
        )
    repository, _, file_name = str(weights.get("hf_hub", "")).rpartition("/")
    if repository:
        names = (file_name,) if file_name else (HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME)
        return check_weights_file(what, repository, names)
    url = str(weights.get("url", ""))
    cached = expand_home("~/.cache/clip") / url.rpartition("/")[2]
    state = "in the cache" if cached.is_file() else f"not in the cache, will be read from {url}"
    return Finding(what, True, f"{name} {pretrained}: {state}")
