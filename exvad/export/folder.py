"""The folder of an export: the files of the parts, their description, and an example program."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from exvad.checkpoints.checkpoint import load_checkpoint
from exvad.data.atomic import write_json_atomic, write_text_atomic
from exvad.data.storage.errors import is_full, reason_of
from exvad.data.storage.homes import expand_home
from exvad.data.storage.writable import check_new_folder, write_probe
from exvad.encoders.loading import load_clip
from exvad.export.agreement import head_difference, image_encoder_difference, require_agreement
from exvad.export.description import DESCRIPTION, ExportedPart, describe
from exvad.export.graphs import (
    ExportError,
    Graph,
    head_graph,
    image_encoder_graph,
    write_onnx,
)
from exvad.export.runtimes import (
    SUFFIXES,
    Format,
    Run,
    convert_to_openvino,
    open_runtime,
    require_packages,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from exvad.checkpoints.checkpoint import Checkpoint
    from exvad.encoders.clip import ClipEncoder

Part = Literal["clip", "head"]
PARTS: tuple[Part, ...] = ("clip", "head")
GUIDES = ("README.md", "example.py")


def parse_parts(names: str) -> tuple[Part, ...]:
    """Return the parts that a list names, separated by commas.

    Raises:
        ExportError: one of them is no part.
    """
    wanted = [name.strip() for name in names.split(",")]
    unknown = [name for name in wanted if name not in PARTS]
    if unknown:
        raise ExportError(f"no part is named {unknown[0]!r}: there are {' and '.join(PARTS)}")
    return tuple(part for part in PARTS if part in wanted)


def export_checkpoint(
    checkpoint_folder: Path,
    folder: Path,
    parts: Sequence[Part] = PARTS,
    file_format: Format = "onnx",
) -> list[ExportedPart]:
    """Write a trained detector for programs without exvad; the folder appears once it is complete.

    Every file is run on random input. If its answers are not those of torch, nothing is written.

    Args:
        checkpoint_folder: folder of the checkpoint.
        folder: the new folder; it may exist if it is empty.
        parts: what to write.
        file_format: `onnx` or `openvino`.

    Returns:
        The written files, in order.

    Raises:
        ExportError: packages are missing, the folder is not empty or cannot be written, a part
            cannot be expressed in the format, or its answers differ.
        CheckpointError: the checkpoint does not exist or is damaged.
        OtherVersionError: a version of exvad with another format wrote the checkpoint.
        ModelUnavailableError: CLIP's weights cannot be found.
    """
    require_packages(file_format)
    folder = expand_home(folder).absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportError(f"{folder} exists and is no empty folder: name another one with --to")
    try:
        check_new_folder(folder)
    except ValueError as error:
        raise ExportError(str(error)) from None
    checkpoint = load_checkpoint(checkpoint_folder)
    if checkpoint.system is not None:
        raise ExportError(
            f"{checkpoint_folder} holds {checkpoint.system.title}: only the network of Ex-VAD can "
            "be exported"
        )
    encoder = _load_clip(checkpoint, "head" in parts) if "clip" in parts else None
    with _complete_folder(folder) as draft:
        exported = []
        for graph, difference in _graphs(checkpoint, encoder, parts):
            path = _write(graph, draft, file_format)
            part = ExportedPart(graph, path.name, difference(open_runtime(path)))
            require_agreement(graph.name, part.difference)
            exported.append(part)
        preprocessing = None if encoder is None else encoder.preprocess
        write_json_atomic(draft / DESCRIPTION, describe(checkpoint, exported, preprocessing))
        for name in GUIDES:
            source = resources.files("exvad") / "assets" / "export" / name
            write_text_atomic(draft / name, source.read_text("utf-8"))
    return exported


def _load_clip(checkpoint: Checkpoint, with_head: bool) -> ClipEncoder:
    """Load CLIP in float32, which every runtime computes in."""
    config = checkpoint.config
    clip = config.clip.model_copy(update={"dtype": "float32"})
    encoder = load_clip(config.model_copy(update={"device": "cpu", "clip": clip}))
    width = checkpoint.network.visual_width
    if with_head and encoder.width != width:
        raise ExportError(
            f"the checkpoint was trained with features of width {width}, and {clip.model} gives "
            f"{encoder.width}: export the head alone with --parts head"
        )
    return encoder


def _graphs(
    checkpoint: Checkpoint, encoder: ClipEncoder | None, parts: Sequence[Part]
) -> Iterator[tuple[Graph, Callable[[Run], float]]]:
    """Yield each part with the function that compares its file with torch."""
    if encoder is not None:
        yield image_encoder_graph(encoder), partial(image_encoder_difference, encoder)
    if "head" in parts:
        yield head_graph(checkpoint), partial(head_difference, checkpoint)


def _write(graph: Graph, folder: Path, file_format: Format) -> Path:
    """Write a part into a folder; return its file.

    Raises:
        OSError: the disk is full.
    """
    path = folder / f"{graph.name}{SUFFIXES[file_format]}"
    onnx = path if file_format == "onnx" else folder / "onnx" / f"{graph.name}.onnx"
    try:
        onnx.parent.mkdir(exist_ok=True)
        write_onnx(graph, onnx)
        if file_format == "openvino":
            convert_to_openvino(onnx, path)
    except (OSError, RuntimeError):
        write_probe(folder)  # the packages don't say that the disk is full
        raise
    write_probe(folder)  # OpenVINO takes weights that are cut off for written
    if file_format == "openvino":
        shutil.rmtree(onnx.parent)
    return path


@contextmanager
def _complete_folder(folder: Path) -> Iterator[Path]:
    """Yield a hidden folder that gets the name of `folder` if the block succeeds.

    Raises:
        ExportError: the disk is full, the parent is read-only, and so on.
    """
    draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    try:
        draft.mkdir(parents=True)
        yield draft
        draft.rename(folder)
    except OSError as error:
        advice = "; make room there and run the same command again" if is_full(error) else ""
        raise ExportError(f"{folder} can't be written: {reason_of(error)}{advice}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
