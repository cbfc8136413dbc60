"""Import features from `.npy` and `.npz` files into a store, so that no encoder has to run.

T snippets · D feature width
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.data.storage.arrays import read_array, read_arrays
from exvad.store.store import Stage, Store

if TYPE_CHECKING:
    from exvad.data.manifest import Manifest
    from exvad.data.records import Video

Array = np.ndarray[Any, Any]

UNKNOWN_FPS = 30.0
LARGEST = float(np.finfo(np.float16).max)
# Below, the largest value of a file has fewer than the ten bits that float16 has elsewhere.
SMALLEST = float(np.finfo(np.float16).tiny)
_CROP = re.compile(r"^(?P<video>.+)__(?P<crop>\d{1,2})$")
_BATCH = 64  # rows per part file


class ImportFeaturesError(ValueError):
    """Feature files cannot be imported; the message names the file and the problem."""


@dataclass(frozen=True)
class ImportSummary:
    """The result of an import.

    Args:
        videos: number of videos that have features.
        crops: crops per video.
        width: D.
        missing: videos of the manifest without a file.
    """

    videos: int
    crops: int
    width: int
    missing: tuple[str, ...]


def import_visual(
    folder: str | Path, manifest: Manifest, store: Store, stride: int
) -> ImportSummary:
    """Import image features into the vision stage of a store.

    The file of a video is `<video>.npy`, or `<video>__<crop>.npy` for each crop, at any depth of
    the folder; `<video>` is the video's id or the last part of it. It has one row per snippet,
    [T, D]. Rows that are already in the store are kept.

    Args:
        folder: the folder of the files.
        manifest: the data set.
        store: the store to write to.
        stride: frames per snippet.

    Raises:
        ImportFeaturesError: there is no such folder or no file of any video, two files are of the
            same crop of a video, some crops of a video are missing, or an array is not [T, D],
            not finite, of another width, of another length than its video's other crops, has a row
            of zeros, or numbers that float16 can't hold. Nothing is written then.
    """
    files = _find_files(Path(folder), manifest)
    crops = _count_crops(files, folder)
    first_width: int | None = None
    for crop_files in files.values():  # twice, so that one bad file leaves no half an import
        for _, visual_TD in _read_crops(crop_files, first_width):
            first_width = visual_TD.shape[1]
    stage = store.stage("vision", {"imported": Path(folder).name, "stride": stride, "crops": crops})
    stored = stage.keys()
    width = stage.width
    rows: list[dict[str, Any]] = []
    for video in manifest.videos:
        for crop, visual_TD in _read_crops(files.get(video.video_id, {}), width):
            width = visual_TD.shape[1]
            if (video.video_id, 0, crop) not in stored:
                rows.append(_vision_row(video, crop, visual_TD, stride))
        if len(rows) >= _BATCH:
            stage.append(rows)
            rows = []
    stage.append(rows)
    assert width is not None, "there is at least one file"
    missing = tuple(video.video_id for video in manifest.videos if video.video_id not in files)
    return ImportSummary(len(files), crops, width, missing)


def import_text(source: str | Path, manifest: Manifest, store: Store) -> ImportSummary:
    """Import one text feature per video, F_T, into the language stage of a store.

    Args:
        source: see `read_texts`.
        manifest: the data set.
        store: the store to write to; it has a vision stage already.

    Raises:
        ImportFeaturesError: see `read_texts`; or the stored texts have another width.
    """
    store.read_stage("vision")
    # First, because a stage remembers the name of its source, which may be the wrong file.
    texts = read_texts(source, manifest)
    stage = _open_texts(source, texts, store)
    width = len(next(iter(texts.values())))
    stored = {key[0] for key in stage.keys()}  # noqa: SIM118 - a method of the stage
    rows = [_language_row(video, text_D) for video, text_D in texts.items() if video not in stored]
    for start in range(0, len(rows), _BATCH):
        stage.append(rows[start : start + _BATCH])
    missing = tuple(v.video_id for v in manifest.videos if v.video_id not in texts)
    return ImportSummary(len(texts), 1, width, missing)


def check_text(source: str | Path, manifest: Manifest, store: Store) -> None:
    """Refuse text features that `import_text` would refuse; nothing is written.

    Args:
        source: see `read_texts`.
        manifest: the data set.
        store: the store that they are for.

    Raises:
        ImportFeaturesError: see `import_text`.
        FingerprintError: the stored texts are of another source.
    """
    texts = read_texts(source, manifest)
    if store.has_stage("language"):
        _open_texts(source, texts, store)


def _open_texts(source: str | Path, texts: Mapping[str, Array], store: Store) -> Stage:
    """Open the language stage for texts of a source, which may be the first.

    Raises:
        ImportFeaturesError: the stored texts have another width.
        FingerprintError: the stored texts are of another source.
    """
    stage = store.stage("language", {"imported": Path(source).name})
    width = len(next(iter(texts.values())))
    if stage.width not in (None, width):
        raise ImportFeaturesError(f"{source}: features {width} wide, those stored {stage.width}")
    return stage


def read_texts(source: str | Path, manifest: Manifest) -> dict[str, Array]:
    """Read one text feature per video, float32 [D]; nothing is unpickled.

    Args:
        source: an `.npz` file with an array [D] for each video id, or a folder of `<video>.npy`.
        manifest: the data set; other videos are ignored.

    Returns:
        Video → feature.

    Raises:
        ImportFeaturesError: no video has a feature, or an array is not [D], not finite, of another
            width than the others, all zeros, or has numbers that float16 can't hold.
    """
    listed = {video.video_id for video in manifest.videos}
    texts: dict[str, Array] = {}
    width: int | None = None
    for video_id, array, where in _read_vectors(Path(source), manifest):
        if video_id not in listed:
            continue
        # A file of a snippet's rows may hold the one row of a video.
        text_1D = array[None] if array.ndim == 1 else array
        if text_1D.ndim != 2 or len(text_1D) != 1:
            raise ImportFeaturesError(
                f"{where}: shape {array.shape}, not [D]: a video has one text feature; several "
                "rows may be averaged"
            )
        if np.issubdtype(text_1D.dtype, np.integer):
            text_1D = text_1D.astype(np.float64)
        _check_matrix(text_1D, width, where)
        width = text_1D.shape[1]
        texts[video_id] = text_1D[0].astype(np.float32)
    if not texts:
        raise ImportFeaturesError(f"{source}: has no text feature of any video of the data set")
    return texts


def read_matrix(path: Path, width: int | None = None) -> Array:
    """Read an array [T, D] from an `.npy` file, float32; nothing is unpickled.

    Args:
        path: the file.
        width: the expected D; None for any.

    Raises:
        ImportFeaturesError: the file is no such array, contains NaN or infinities, a row of zeros
            or numbers that float16 can't hold, or has another width than `width`.
    """
    try:
        matrix_TD = read_array(path)
    except ValueError as error:
        raise ImportFeaturesError(f"{path}: not a readable array ({error})") from None
    _check_matrix(matrix_TD, width, str(path))
    return np.asarray(matrix_TD, np.float32)


def _find_files(folder: Path, manifest: Manifest) -> dict[str, dict[int, Path]]:
    """Return the feature files below a folder: video → crop → file."""
    if not folder.is_dir():
        raise ImportFeaturesError(f"{folder}: there is no such folder")
    video_of = _video_names(manifest)
    files: dict[str, dict[int, Path]] = {}
    for path in sorted(folder.rglob("*.npy")):
        crop, name = 0, path.stem
        # The name of a video may end like a crop: the whole name takes precedence.
        if name not in video_of and (match := _CROP.match(name)):
            name, crop = match["video"], int(match["crop"])
        video = video_of.get(name)
        if video is None:
            continue
        earlier = files.setdefault(video, {}).setdefault(crop, path)
        if earlier != path:
            raise ImportFeaturesError(f"{earlier} and {path}: both are crop {crop} of {video}")
    if not files:
        raise ImportFeaturesError(
            f"{folder}: has no features of any video; name a file <video>.npy or "
            f"<video>__<crop>.npy, where <video> is {next(iter(video_of))}, for example"
        )
    return files


def _video_names(manifest: Manifest) -> Mapping[str, str]:
    """Return the names of each video, name → id: its id, and if unique the last part of it."""
    names = {video.video_id: video.video_id for video in manifest.videos}
    ids_by_name: dict[str, set[str]] = {}
    for video in manifest.videos:
        for name in (Path(video.video_id).name, Path(video.path).stem):
            ids_by_name.setdefault(name, set()).add(video.video_id)
    for name, ids in ids_by_name.items():
        if len(ids) == 1:
            names.setdefault(name, next(iter(ids)))
    return names


def _count_crops(files: Mapping[str, Mapping[int, Path]], folder: str | Path) -> int:
    crops = max(len(crop_files) for crop_files in files.values())
    expected = set(range(crops))
    incomplete = [video for video, crop_files in files.items() if set(crop_files) != expected]
    if incomplete:
        raise ImportFeaturesError(
            f"{folder}: {', '.join(incomplete[:5])} lack crops that other videos have "
            f"(0 to {crops - 1}): a file is <video>__<crop>.npy"
        )
    return crops


def _read_crops(files: Mapping[int, Path], width: int | None) -> Iterator[tuple[int, Array]]:
    """Yield the crops of a video in order, each with its features [T, D]."""
    length: int | None = None
    for crop, path in sorted(files.items()):
        visual_TD = read_matrix(path, width)
        width = visual_TD.shape[1]
        if length not in (None, len(visual_TD)):
            raise ImportFeaturesError(
                f"{path}: {len(visual_TD)} snippets, the video's crop 0 has {length}"
            )
        length = len(visual_TD)
        yield crop, visual_TD


def _read_vectors(source: Path, manifest: Manifest) -> Iterator[tuple[str, Array, str]]:
    """Yield video id, array and origin of each text feature."""
    if source.is_dir():
        for video, crop_files in _find_files(source, manifest).items():
            path = crop_files.get(0) or next(iter(crop_files.values()))
            try:
                yield video, read_array(path), str(path)
            except ValueError as error:
                raise ImportFeaturesError(f"{path}: not a readable array ({error})") from None
        return
    try:
        vectors = read_arrays(source)
    except ValueError as error:
        raise ImportFeaturesError(f"{source}: not a readable .npz file ({error})") from None
    for name, array in vectors.items():
        yield name, array, f"{source}[{name}]"


def _check_matrix(matrix_TD: Array, width: int | None, where: str) -> None:
    if matrix_TD.ndim != 2 or not matrix_TD.size:
        raise ImportFeaturesError(f"{where}: shape {matrix_TD.shape}, not [T, D]")
    if not np.issubdtype(matrix_TD.dtype, np.floating):
        raise ImportFeaturesError(f"{where}: numbers of type {matrix_TD.dtype}, not floating point")
    if not np.isfinite(matrix_TD).all():
        raise ImportFeaturesError(f"{where}: contains NaN or infinite values")
    if width not in (None, matrix_TD.shape[1]):
        raise ImportFeaturesError(f"{where}: features {matrix_TD.shape[1]} wide, others {width}")
    if problem := _scale_problem(matrix_TD):
        raise ImportFeaturesError(f"{where}: {problem}")


def _scale_problem(matrix_TD: Array) -> str:
    """Describe what of an array float16 would not hold, or a row without a direction."""
    largest = max(float(matrix_TD.max()), -float(matrix_TD.min()))
    too_large, too_small = largest > LARGEST, 0 < largest < SMALLEST
    if too_large or too_small:
        verb, power = "divide", math.floor(math.log10(largest))
        if too_small:
            verb, power = "multiply", -power
        return (
            f"values from {matrix_TD.min():.3g} to {matrix_TD.max():.3g}; the store holds float16, "
            f"in which the largest of a file must be between {SMALLEST:.1e} and {LARGEST:g}: "
            f"{verb} all features of this kind by 1e{power}"
        )
    with np.errstate(under="ignore"):
        stored_TD = matrix_TD.astype(np.float16)
    empty_T = ~stored_TD.any(axis=1)
    if not empty_T.any():
        return ""
    return (
        f"row {int(empty_T.argmax())} (from 0) is all zeros"
        + (" in float16" if matrix_TD[empty_T].any() else "")
        + ", which no encoder gives: compute it again, or remove the video's files to leave it out"
    )


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


def _language_row(video_id: str, text_D: Array) -> dict[str, Any]:
    return {
        "video_id": video_id,
        "captions": [],
        "caption_snippets": [],
        "cleaned_captions": [],
        "changed": 0,
        "explanation": "",
        "record": "{}",
        "text": text_D,
        "caption_text": np.empty((0, len(text_D)), np.float32),
        "llm": "imported",
        "prompt": "imported",
    }
