"""What made a stage of the feature store, kept beside it so that two makings never mix."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from exvad.data.atomic import json_bytes
from exvad.store.parts import Folder

STAGE_FILE = "stage.json"
FORMAT = 1  # of the folder: raised when a schema changes, so that old stores are named as such


class FingerprintError(ValueError):
    """A stage holds what other settings made; mixing the two is refused."""


def normalised(stage: str, fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """The fingerprint as it comes back from JSON, so that comparing is fair (tuples are lists).

    Raises:
        ValueError: it holds something JSON has no form for.
    """
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(fingerprint), allow_nan=False))
    except (TypeError, ValueError) as problem:
        raise ValueError(f"the fingerprint of stage {stage}: {problem}") from problem
    return plain


def claim(folder: Folder, fingerprint: dict[str, Any], overwrite: bool) -> None:
    """Write the fingerprint into a new stage folder, or check that it is the one written there.

    Args:
        folder: the stage's folder.
        fingerprint: a normalised fingerprint.
        overwrite: replace whatever is written there.

    Raises:
        FingerprintError: another one is written there; each differing field is named.
        ValueError: the file is damaged, or there are parts without it.
    """
    found = None if overwrite else read_fingerprint(folder)
    if found is None:
        if folder.part_names():
            raise ValueError(
                f"{folder.path} holds rows but no {STAGE_FILE}, so nothing tells what made them. "
                "Use --fresh to delete them and start afresh."
            )
        folder.write_bytes(STAGE_FILE, json_bytes({"format": FORMAT, "fingerprint": fingerprint}))
    elif found != fingerprint:
        raise FingerprintError(_difference(folder, found, fingerprint))


def read_fingerprint(folder: Folder) -> dict[str, Any] | None:
    """The fingerprint of a stage folder, or None where there is none.

    Raises:
        ValueError: the file is damaged or of another format.
    """
    data = folder.read_bytes(STAGE_FILE)
    if data is None:
        return None
    try:
        content = json.loads(data)
        version, fingerprint = content["format"], content["fingerprint"]
        if not isinstance(fingerprint, dict):
            raise TypeError("the fingerprint is not an object")
    except (ValueError, KeyError, TypeError) as problem:
        raise ValueError(
            f"{folder.file(STAGE_FILE)} is damaged ({problem!r}). Restore it, or start afresh "
            "with --fresh."
        ) from problem
    if version != FORMAT:
        raise ValueError(
            f"{folder.file(STAGE_FILE)} is of format {version}; this version of exvad reads "
            f"format {FORMAT}. Start afresh with --fresh or in another folder."
        )
    return fingerprint


def _difference(folder: Folder, old: dict[str, Any], new: dict[str, Any]) -> str:
    before, after = dict(_leaves(old)), dict(_leaves(new))
    lines = [
        f"  {field}: {before.get(field, '(absent)')} → {after.get(field, '(absent)')}"
        for field in sorted({*before, *after})
        if before.get(field) != after.get(field)
    ]
    return "\n".join(
        [
            f"{folder.path} was made with other settings, and mixing the two is refused:",
            *lines,
            "Go back to the old settings, use another folder, or use --fresh to delete what is "
            "there and start afresh.",
        ]
    )


def _leaves(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, item in value.items():
        if isinstance(item, dict) and item:
            yield from _leaves(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(item, ensure_ascii=False)
