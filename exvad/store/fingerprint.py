"""The fingerprint of a stage: the settings that determine its content, stored beside its rows.

A stage accepts rows of one fingerprint only, so features of different settings never mix.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from exvad.data.atomic import json_bytes
from exvad.data.versions import OtherVersionError
from exvad.store.parts import PartFolder

STAGE_FILE = "stage.json"
FORMAT = 2  # of a stage's folder; format 1 is that of exvad 0.1
START_OVER = "`exvad preprocess` or `demo` with --fresh to delete the content and start over"


class FingerprintError(ValueError):
    """A stage has the features of other settings; they are never mixed."""


def normalize_fingerprint(stage: str, fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """Return a fingerprint as it is read back from JSON, where tuples are lists, for comparison.

    Raises:
        ValueError: it contains something that has no JSON form.
    """
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(fingerprint), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"the fingerprint of stage {stage}: {error}") from error
    return plain


def claim_stage(
    folder: PartFolder, fingerprint: dict[str, Any], overwrite: bool, remedy: str = START_OVER
) -> None:
    """Write the fingerprint into a new stage folder, or compare it with the one stored there.

    Of several jobs that claim a new stage at the same time, one writes its fingerprint; the others
    compare theirs with it. With the fingerprint goes a random id, which tells the stage from one
    that was made anew with the same settings.

    Args:
        folder: the stage's folder.
        fingerprint: a normalized fingerprint.
        overwrite: replace a fingerprint that is stored there, even one of another version.
        remedy: the option that deletes the rows of other settings, and what it does.

    Raises:
        FingerprintError: another fingerprint is stored; the message names each difference.
        OtherVersionError: another version of exvad wrote the stage.
        ValueError: `stage.json` is damaged, or missing although there are rows.
    """
    content = json_bytes({"format": FORMAT, "fingerprint": fingerprint, "id": uuid.uuid4().hex})
    if overwrite:
        folder.remove([STAGE_FILE])
    stored = None if overwrite else read_fingerprint(folder)
    if stored is None:
        # The rows may be those of a job that has claimed the stage since it was looked at.
        if folder.part_names() and read_fingerprint(folder) is None:
            raise ValueError(
                f"{folder.path} has rows but no {STAGE_FILE}, so their settings are unknown. "
                "Use --fresh to delete them and start over."
            )
        if folder.create_bytes(STAGE_FILE, content):
            return
        stored = read_fingerprint(folder) or {}
    if stored != fingerprint:
        raise FingerprintError(_describe_difference(folder, stored, fingerprint, remedy))


def read_fingerprint(folder: PartFolder) -> dict[str, Any] | None:
    """Return the fingerprint of a stage folder, or None if there is none.

    Raises:
        OtherVersionError: another version of exvad wrote the stage.
        ValueError: `stage.json` is damaged or of an unknown format.
    """
    data = folder.read_bytes(STAGE_FILE)
    if data is None:
        return None
    file = folder.file_path(STAGE_FILE)
    try:
        content = json.loads(data)
        version, fingerprint = content["format"], content["fingerprint"]
        if not isinstance(fingerprint, dict):
            raise TypeError("the fingerprint is not an object")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{file} is damaged ({error!r}). Restore it, or run {START_OVER}."
        ) from error
    if version == 1:
        raise OtherVersionError(
            folder.path, "0.1", "use another folder, or delete its content with --fresh"
        )
    if version != FORMAT:
        raise ValueError(
            f"{file} is of format {version}; this version of exvad reads format {FORMAT}. Use "
            "another folder, or start over with --fresh."
        )
    return fingerprint


def read_stage_id(folder: PartFolder) -> str:
    """Return the id of a stage, another one each time it was started over; "" without one.

    Args:
        folder: the stage's folder, which has a readable fingerprint.
    """
    data = folder.read_bytes(STAGE_FILE)
    return "" if data is None else str(json.loads(data).get("id", ""))


def _describe_difference(
    folder: PartFolder, stored: dict[str, Any], new: dict[str, Any], remedy: str
) -> str:
    before, after = dict(_leaves(stored)), dict(_leaves(new))
    differences = [
        f"  {field}: {before.get(field, '(absent)')} → {after.get(field, '(absent)')}"
        for field in sorted({*before, *after})
        if before.get(field) != after.get(field)
    ]
    return "\n".join(
        [
            f"{folder.path} was made with other settings, and the two cannot be mixed:",
            *differences,
            f"Use the old settings, use another folder, or run {remedy}.",
        ]
    )


def _leaves(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, item in value.items():
        if isinstance(item, dict) and item:
            yield from _leaves(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(item, ensure_ascii=False)
