"""Features from elsewhere: `.npy` and `.npz` files → the store, so that nobody must run an encoder.

T snippets · D feature width · m phrases
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.store.store import Store

if TYPE_CHECKING:
    from exvad.data.manifest import Manifest
    from exvad.data.records import Video

Array = np.ndarray[Any, Any]
_CROP = re.compile(r"^(?P<video>.+)__(?P<crop>\d{1,2})$")
_BATCH = 64
UNKNOWN_FPS = 30.0


class ImportFeaturesError(ValueError):
    """Files of features can't be used: names them and says what is wrong."""


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Args:
        videos: videos that got features.
        crops: crops per video.
        width: D.
        missing: videos of the manifest without a file.
    """

    videos: int
    crops: int
    width: int
    missing: tuple[str, ...]


def import_visual(folder: str | Path, manifest: Manifest, store: Store, stride: int) -> Imported:
    """Read image features into the vision stage of a store.

    A video's file is `<video>.npy`, or one per crop `<video>__<crop>.npy`, at any depth of the
    folder; `<video>` is the video's id or the last part of it. It holds [T, D], a row per snippet.
    What the store already has is left as it is.

    Args:
        folder: where the files are.
        manifest: which videos there are.
        store: where the features go.
        stride: frames per snippet.

    Raises:
        ImportFeaturesError: there is no such folder or no file of any video, two files are of the
            same crop of a video, some crops of a video are missing, or an array is not [T, D],
            not finite, of another width, or of another length than its video's other crops.
    """
    files = _files_of_videos(Path(folder), manifest)
    crops = max(len(own) for own in files.values())
    uneven = [video for video, own in files.items() if set(own) != set(range(crops))]
    if uneven:
        raise ImportFeaturesError(
            f"{folder}: {', '.join(uneven[:5])} lack crops that other videos have "
            f"(0 to {crops - 1}): a file is <video>__<crop>.npy"
        )
    stage = store.stage("vision", {"imported": Path(folder).name, "stride": stride, "crops": crops})
    done = stage.keys()
    width: int | None = stage.width
    rows: list[dict[str, Any]] = []
    for video in manifest.videos:
        length: int | None = None
        for crop, path in sorted(files.get(video.video_id, {}).items()):
            visual_TD = read_matrix(path, width)
            width = visual_TD.shape[1]
            if length not in (None, len(visual_TD)):
                raise ImportFeaturesError(
                    f"{path}: {len(visual_TD)} snippets, the video's crop 0 has {length}"
                )
            length = len(visual_TD)
            if (video.video_id, 0, crop) not in done:
                rows.append(_vision_row(video, crop, visual_TD, stride))
        if len(rows) >= _BATCH:
            stage.append(rows)
            rows = []
    if rows:
        stage.append(rows)
    assert width is not None, "there is at least one file"
    missing = tuple(v.video_id for v in manifest.videos if v.video_id not in files)
    return Imported(len(files), crops, width, missing)


def import_text(source: str | Path, manifest: Manifest, store: Store) -> Imported:
    """Read one text feature per video, F_T, into the language stage of a store.

    Args:
        source: an `.npz` file with an array [D] for each video id, or a folder of `<video>.npy`.
        manifest: which videos there are.
        store: where the features go; its vision stage is already there.

    Raises:
        ImportFeaturesError: no video has a feature, or an array is not [D], not finite, or not as
            wide as the image features.
    """
    width = store.read_stage("vision").width
    stage = store.stage("language", {"imported": Path(source).name})
    done = {key[0] for key in stage.keys()}  # noqa: SIM118 - a method of the stage
    known = {video.video_id: video for video in manifest.videos}
    rows, found = [], set()
    for video_id, text_D, where in _vectors_of_videos(Path(source), manifest):
        _check_matrix(text_D[None], width, where)
        found.add(video_id)
        if video_id not in done and video_id in known:
            rows.append(
                {
                    "video_id": video_id, "captions": [], "caption_snippets": [],
                    "cleaned_captions": [], "changed": 0, "explanation": "", "record": "{}",
                    "text": text_D, "caption_text": np.empty((0, len(text_D)), np.float32),
                    "llm": "imported", "prompt": "imported",
                }
            )  # fmt: skip
    if not found & set(known):
        raise ImportFeaturesError(f"{source}: holds no text feature of any video of the data set")
    for start in range(0, len(rows), _BATCH):
        stage.append(rows[start : start + _BATCH])
    missing = tuple(video for video in known if video not in found)
    return Imported(len(found & set(known)), 1, width or 0, missing)


def read_matrix(path: Path, width: int | None = None) -> Array:
    """Read an array [T, D] from an `.npy` file, never unpickling.

    Raises:
        ImportFeaturesError: the file is no such array, holds NaN or infinities, or has another
            width than `width`.
    """
    try:
        matrix_TD = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ImportFeaturesError(f"{path}: no array that can be read ({error})") from None
    _check_matrix(matrix_TD, width, str(path))
    return np.asarray(matrix_TD, np.float32)


def _check_matrix(matrix_TD: Array, width: int | None, where: str) -> None:
    if matrix_TD.ndim != 2 or not matrix_TD.size:
        raise ImportFeaturesError(f"{where}: shape {matrix_TD.shape}, not [T, D]")
    if not np.issubdtype(matrix_TD.dtype, np.floating):
        raise ImportFeaturesError(f"{where}: numbers of type {matrix_TD.dtype}, not floating point")
    if not np.isfinite(matrix_TD).all():
        raise ImportFeaturesError(f"{where}: holds NaN or infinite values")
    if width not in (None, matrix_TD.shape[1]):
        raise ImportFeaturesError(f"{where}: features {matrix_TD.shape[1]} wide, others {width}")


def _files_of_videos(folder: Path, manifest: Manifest) -> dict[str, dict[int, Path]]:
    if not folder.is_dir():
        raise ImportFeaturesError(f"{folder}: there is no such folder")
    names = _names(manifest)
    files: dict[str, dict[int, Path]] = {}
    for path in sorted(folder.rglob("*.npy")):
        crop, stem = 0, path.stem
        # A video's own name may end like a crop's: a whole name counts before a split one.
        if stem not in names and (match := _CROP.match(stem)):
            stem, crop = match["video"], int(match["crop"])
        video = names.get(stem)
        if video is None:
            continue
        other = files.setdefault(video, {}).setdefault(crop, path)
        if other != path:
            raise ImportFeaturesError(f"{other} and {path}: both are crop {crop} of {video}")
    if not files:
        raise ImportFeaturesError(
            f"{folder}: holds no features of any video; a file is <video>.npy or "
            f"<video>__<crop>.npy, and a video is, for instance, {next(iter(names))}"
        )
    return files


def _names(manifest: Manifest) -> Mapping[str, str]:
    """Return the names a video goes by, its id and the last part of it, where that is unique."""
    names = {video.video_id: video.video_id for video in manifest.videos}
    short: dict[str, list[str]] = {}
    for video in manifest.videos:
        short.setdefault(Path(video.video_id).name, []).append(video.video_id)
        short.setdefault(Path(video.path).stem, []).append(video.video_id)
    for name, ids in short.items():
        if len(set(ids)) == 1:
            names.setdefault(name, ids[0])
    return names


def _vectors_of_videos(source: Path, manifest: Manifest) -> Iterator[tuple[str, Array, str]]:
    if source.is_dir():
        for video, own in _files_of_videos(source, manifest).items():
            matrix = np.load(own[0], allow_pickle=False)
            yield video, np.asarray(matrix, np.float32).reshape(-1), str(own[0])
        return
    try:
        with np.load(source, allow_pickle=False) as arrays:
            for name in arrays.files:
                yield name, np.asarray(arrays[name], np.float32).reshape(-1), f"{source}[{name}]"
    except (OSError, ValueError, EOFError) as error:
        raise ImportFeaturesError(f"{source}: no .npz file that can be read ({error})") from None


def _vision_row(video: Video, crop: int, visual_TD: Array, stride: int) -> dict[str, Any]:
    fps = video.fps or UNKNOWN_FPS
    return {
        "video_id": video.video_id,
        "chunk": 0,
        "crop": crop,
        "first_snippet": 0,
        "num_chunks": 1,
        "visual": visual_TD,
        "times": np.arange(len(visual_TD)) * stride / fps,
        "caption_snippets": [],
        "captions": [],
        "num_frames": video.num_frames or len(visual_TD) * stride,
        "fps": fps,
    }
