"""Where the files of a frozen model are, what is missing of them, and the error for that."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from exvad.data.storage.homes import expand_home
from exvad.data.storage.packaged import PACKAGE_PREFIX

ModelKind = Literal["clip", "captioner", "llm"]

# Weights in the order in which open_clip and transformers prefer them.
CLIP_WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
    "model.safetensors",
    "pytorch_model.bin",
)
WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
TOKENIZERS = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer.model.v3",
    "tekken.json",
    "spiece.model",
    "vocab.json",
    "vocab.txt",
)
PROCESSORS = ("processor_config.json", "preprocessor_config.json")


def resolve_model(name: str) -> str:
    """Return the hub name or the folder of a model.

    Args:
        name: a hub name, a folder (`~` is expanded), or `package:NAME` for weights that ship with
            exvad.

    Raises:
        ValueError: no weights of that name ship with exvad.
    """
    if not name.startswith(PACKAGE_PREFIX):
        return str(expand_home(name)) if name.startswith("~") else name
    packaged_weights = resources.files("exvad") / "assets" / "weights"
    folder = packaged_weights / name.removeprefix(PACKAGE_PREFIX)
    if not folder.is_dir():
        shipped = sorted(entry.name for entry in packaged_weights.iterdir() if entry.is_dir())
        raise ValueError(f"no model {name!r} ships with exvad; there are: {', '.join(shipped)}")
    return str(folder)


def cached_folder(repository: str, file_name: str) -> Path | None:
    """Return the folder of the cached files of a repository, or None if that file is not cached.

    Args:
        repository: its name on the Hugging Face hub.
        file_name: a file of the repository.

    Raises:
        ValueError: the name can't be that of a repository.
    """
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        path = try_to_load_from_cache(repository, file_name)
    except HFValidationError:
        raise ValueError(
            f"{repository}: there is no such folder, and no model of the hub has such a name"
        ) from None
    return Path(path).parent if isinstance(path, str) else None


class ModelUnavailableError(ValueError):
    """A foundation model cannot be loaded; the message names it and says what to do.

    Args:
        name: the configured name of the model.
        cause: the error of the library that tried to load it.
    """

    def __init__(self, name: str, cause: Exception) -> None:
        super().__init__(
            f"can't load model {name!r} ({type(cause).__name__}: {str(cause).splitlines()[0]}). "
            "Name a folder that contains the model, or allow network access to its hub; "
            "the small models of the demo preset need neither."
        )


def find_file_problems(folder: Path, kind: ModelKind) -> list[str]:
    """Return what is missing or damaged in the folder of a model, as parts of a sentence.

    The configuration and the tokenizer are parsed. Of each file of weights the head is read, which
    shows a copy that was cut off. Nothing is loaded.

    Args:
        folder: the folder of the model.
        kind: `clip` for a folder of open_clip, else a folder of transformers.
    """
    problems: list[str] = []
    config = _read_json(folder, "open_clip_config.json" if kind == "clip" else "config.json")
    needs_tokenizer = kind != "clip"
    if isinstance(config, str):
        problems.append(config)
    elif kind == "clip":
        model = config.get("model_cfg")
        if not isinstance(model, dict):
            problems.append("open_clip_config.json has no model_cfg")
        else:
            needs_tokenizer = bool(model.get("text_cfg", {}).get("hf_tokenizer_name"))
    if needs_tokenizer:
        problems += _tokenizer_problems(folder)
    if kind == "captioner" and not any((folder / name).is_file() for name in PROCESSORS):
        problems.append(f"{' or '.join(PROCESSORS)} is missing")
    return problems + _weight_problems(folder, CLIP_WEIGHTS if kind == "clip" else WEIGHTS)


def _tokenizer_problems(folder: Path) -> list[str]:
    names = [name for name in TOKENIZERS if (folder / name).is_file()]
    if not names:
        return ["tokenizer.json (or tokenizer.model, vocab.json) is missing"]
    content = _read_json(folder, names[0]) if names[0].endswith(".json") else {}
    return [content] if isinstance(content, str) else []


def _weight_problems(folder: Path, names: tuple[str, ...]) -> list[str]:
    """Return what is wrong with the first kind of weights that the folder has."""
    name = next((name for name in names if (folder / name).is_file()), None)
    if name is None:
        return [f"weights are missing: {names[0]}"]
    if not name.endswith(".index.json"):
        return _head_problems(folder / name)
    index = _read_json(folder, name)
    if isinstance(index, str):
        return [index]
    shards = sorted(set(map(str, index.get("weight_map", {}).values())))
    if not shards:
        return [f"{name} names no weights"]
    missing = [shard for shard in shards if not (folder / shard).is_file()]
    if missing:
        return [f"weights are missing, which {name} names: {', '.join(missing)}"]
    return [problem for shard in shards for problem in _head_problems(folder / shard)]


def _head_problems(path: Path) -> list[str]:
    """Return what is wrong with a file of weights, judged by its head and its size."""
    from safetensors import SafetensorError, safe_open

    try:
        with path.open("rb") as file:
            head = file.read(64)
        if head.startswith(b"version https://git-lfs"):
            return [f"{path.name} is only a Git LFS pointer: fetch it with `git lfs pull`"]
        if path.suffix == ".safetensors":
            with safe_open(path, framework="numpy"):
                return []
    except (OSError, SafetensorError) as error:
        return [f"{path.name} can't be read ({error}): copy it again"]
    return [] if head else [f"{path.name} is empty: copy it again"]


def _read_json(folder: Path, name: str) -> dict[str, Any] | str:
    """Return the content of a JSON file, or what is wrong with it."""
    try:
        content = json.loads((folder / name).read_bytes())
    except FileNotFoundError:
        return f"{name} is missing"
    except (OSError, ValueError) as error:
        return f"{name} can't be read ({error})"
    return content if isinstance(content, dict) else f"{name} holds no JSON object"
