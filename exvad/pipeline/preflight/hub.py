"""Models on the Hugging Face hub: what the cache holds, and whether the hub lets them be read.

Nothing of a model is downloaded but the heads of answers and the list of its files.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import httpx2
from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub import try_to_load_from_cache as find_in_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from exvad.encoders.model_files import ModelKind, cached_folder, find_file_problems
from exvad.pipeline.preflight.findings import Finding, gib

TIMEOUT_SECONDS = 5.0
WEIGHT_SUFFIXES = (".safetensors", ".bin")
TOKEN_ADVICE = (
    "accept the licence on {endpoint}/{repository}, then set HF_TOKEN to a token of that account "
    "(on every node) or run `hf auth login`"
)


def check_repository(what: str, repository: str, kind: ModelKind) -> Finding:
    """Look for a model in the cache, and on the hub if the cache does not hold all of it.

    Args:
        what: the setting that names the model.
        repository: its name on the hub.
        kind: what the model is, which says which files it needs.
    """
    config = "open_clip_config.json" if kind == "clip" else "config.json"
    try:
        folder = cached_folder(repository, config)
    except ValueError as error:
        return Finding(what, False, str(error))
    problems = [] if folder is None else find_file_problems(folder, kind)
    if folder is not None and not problems:
        return Finding(what, True, f"{repository}: in the cache")
    gap = f"the cache lacks files ({'; '.join(problems)})" if problems else "not in the cache"
    return _ask_hub(what, repository, config, gap)


def check_weights_file(what: str, repository: str, names: Sequence[str]) -> Finding:
    """Look for a file of weights in the cache, and on the hub if it is not there.

    Args:
        what: the setting that names the weights.
        repository: where they are on the hub.
        names: names of the file; any of them is enough.
    """
    if any(isinstance(find_in_cache(repository, name), str) for name in names):
        return Finding(what, True, f"{repository}: in the cache")
    return _ask_hub(what, repository, names[0], "not in the cache")


def _ask_hub(what: str, repository: str, file_name: str, gap: str) -> Finding:
    endpoint = constants.ENDPOINT
    token_advice = TOKEN_ADVICE.format(endpoint=endpoint, repository=repository)
    try:
        # The list of a gated model's files is public; its files are not.
        get_hf_file_metadata(hf_hub_url(repository, file_name), timeout=TIMEOUT_SECONDS)
        info = HfApi().model_info(repository, timeout=TIMEOUT_SECONDS, files_metadata=True)
    except GatedRepoError:
        problem = f"the hub refuses access to this gated model: {token_advice}"
    except RepositoryNotFoundError:
        problem = f"{endpoint} has no such model, or hides it: check the name, or {token_advice}"
    except EntryNotFoundError:
        problem = f"the model has no {file_name} on the hub: name another model"
    except HfHubHTTPError as error:
        refused = error.response.status_code in (401, 403)
        advice = token_advice if refused else "try again later"
        problem = f"the hub answers {error.response.status_code}: {advice}"
    except OfflineModeIsEnabled:
        problem = (
            "HF_HUB_OFFLINE forbids to ask the hub: unset it, or copy the model into the cache "
            "or into a folder"
        )
    except (httpx2.HTTPError, OSError) as error:
        # Those of a connection begin with a number, such as [Errno -2].
        reason = re.sub(r"\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
        problem = f"{repository}: {gap}, and {endpoint} can't be reached ({reason})"
        advice = f"allow network access, or name a folder with the model, {what}=/models/…"
        return Finding(what, False, f"{problem}: {advice}", problem)
    else:
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
        return _room_for_download(what, repository, gap, sizes)
    return Finding(what, False, f"{repository}: {gap}, and {problem}")


def _room_for_download(what: str, repository: str, gap: str, sizes: dict[str, int]) -> Finding:
    """Compare the size of the weights with the room in the cache."""
    by_suffix = (
        sum(size for name, size in sizes.items() if name.endswith(suffix) and "/" not in name)
        for suffix in WEIGHT_SUFFIXES
    )
    size = next((total for total in by_suffix if total), 0)
    cache = Path(constants.HF_HUB_CACHE)
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if size > free:
        advice = f"{gib(free)} are free in {cache}: make room, or set HF_HOME to a larger disk"
        return Finding(
            what, False, f"{repository}: {gap}; its weights have {gib(size)}, but {advice}"
        )
    return Finding(
        what, True, f"{repository}: {gap}, will be downloaded from the hub ({gib(size)})"
    )
