"""CLIP's image and text encoder, E_I and E_T, by open_clip.

N frames or texts · H, W pixels · C color channels · L tokens · D feature width
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.data.storage.homes import expand_home
from exvad.encoders.batching import halve_on_oom, prepare_ahead
from exvad.encoders.cpu_precision import with_fastest_cpu_precision
from exvad.encoders.devices import resolve_device, resolve_dtype
from exvad.encoders.image_preprocessing import Preprocessing
from exvad.encoders.model_files import ModelUnavailableError, resolve_model

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

LOCAL_DIR = "local-dir:"
QUICK_GELU = "-quickgelu"


class ClipEncoder:
    """A frozen open_clip model.

    Args:
        model: an open_clip name (`ViT-B-16-quickgelu`), `local-dir:FOLDER`, or `package:NAME`.
        pretrained: the weights of a named model (`openai`); empty for a folder.
        device: `auto` or a torch device.
        dtype: `float32`, `float16`, `bfloat16`, or `auto`: float16 on a GPU; on a CPU bfloat16
            where the processor computes it fast and the features agree, else float32.
        batch_size: frames or texts per forward pass; fewer where a GPU has no memory for them.

    Attributes:
        works_ahead: whether a thread prepares the next batch; a CPU needs its cores for this one.

    Raises:
        ModelUnavailableError: the weights cannot be found.
        ValueError: the named model and its weights have different activations.
    """

    def __init__(
        self,
        model: str,
        pretrained: str = "",
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int = 64,
    ) -> None:
        import open_clip

        self.device = resolve_device(device)
        self.works_ahead = self.device.type == "cuda"
        self.batch_size = batch_size
        name = open_clip_name(model)
        check_activation(name, pretrained)
        try:
            # Without required weights open_clip warns and returns a random network.
            network = open_clip.create_model(
                name, pretrained=pretrained or None, require_pretrained=True
            )
            self.tokenize = open_clip.get_tokenizer(name)
        except (OSError, RuntimeError, ValueError) as error:
            raise ModelUnavailableError(model, error) from error
        network = network.eval().requires_grad_(False)
        self.preprocess = Preprocessing.from_open_clip(open_clip.get_model_preprocess_cfg(network))
        if dtype == "auto" and self.device.type == "cpu":
            network = with_fastest_cpu_precision(network, self._probe())
            self.dtype = next(network.parameters()).dtype
        else:
            self.dtype = resolve_dtype(dtype, self.device)
        self.network = network.to(self.device, self.dtype)
        self.width = int(self.encode_texts(["a"]).shape[1])

    def encode_images(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode RGB frames, uint8 [N, H, W, 3] of one size, into features, float32 [N, D]."""
        (features_ND,) = self.encode_groups([frames])
        return features_ND

    def encode_groups(self, groups: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.float32]]:
        """Encode groups of frames, each with the same result as alone.

        On a GPU, the frames of the next batch are brought into memory that it can read while it
        encodes those of this one.

        Args:
            groups: RGB frames, uint8 [N, H, W, 3]; the frames of a group have one size.

        Yields:
            Features of each group, float32 [N, D].
        """
        previous: torch.Tensor | None = None
        for features_ND in self._launch(groups):
            # Reading a result waits for the GPU, which meanwhile has the next group to work on.
            if previous is not None:
                yield previous.cpu().numpy()
            previous = features_ND
        if previous is not None:
            yield previous.cpu().numpy()

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts, each truncated to the context length, into features, float32 [N, D]."""
        import torch

        if not texts:
            return np.empty((0, self.width), np.float32)
        rows: list[torch.Tensor] = []
        for start in range(0, len(texts), self.batch_size):
            rows += halve_on_oom(self._encode_texts, texts[start : start + self.batch_size])
        return torch.stack(rows).cpu().numpy()

    def _launch(self, groups: Iterable[NDArray[np.uint8]]) -> Iterator[torch.Tensor]:
        """Yield the features of each group, which the device may still be computing."""
        import torch

        batches = prepare_ahead(self._to_host_tensor, self._batches(groups), self.works_ahead)
        rows: list[torch.Tensor] = []
        for frames_NHWC, is_last in batches:
            if len(frames_NHWC):
                rows += halve_on_oom(self._encode_frames, frames_NHWC)
            if is_last:
                yield torch.stack(rows) if rows else torch.empty((0, self.width))
                rows = []

    def _batches(
        self, groups: Iterable[NDArray[np.uint8]]
    ) -> Iterator[tuple[NDArray[np.uint8], bool]]:
        """Yield batches of each group, and whether it is the last one of its group."""
        for frames in groups:
            for start in range(0, max(1, len(frames)), self.batch_size):
                end = start + self.batch_size
                yield frames[start:end], end >= len(frames)

    def _to_host_tensor(self, batch: tuple[NDArray[np.uint8], bool]) -> tuple[Any, bool]:
        """Return the frames of a batch as a tensor; for a GPU in memory that it reads itself."""
        from torch.utils.dlpack import from_dlpack

        # Not torch.from_numpy, which warns of memory that is shared and read-only.
        frames_NHWC = from_dlpack(batch[0])
        return frames_NHWC.pin_memory() if self.device.type == "cuda" else frames_NHWC, batch[1]

    def _encode_frames(self, frames_NHWC: Any) -> list[torch.Tensor]:
        """Return the features of each frame of a tensor, float32 [D]."""
        import torch

        with torch.inference_mode():
            pixels_NCHW = self.preprocess(frames_NHWC, self.device)
            return list(self.network.encode_image(pixels_NCHW.to(self.dtype)).float())

    def _encode_texts(self, texts: Sequence[str]) -> list[torch.Tensor]:
        """Return the features of each text, float32 [D]."""
        import torch

        with torch.inference_mode():
            tokens_NL = self.tokenize(list(texts)).to(self.device)
            return list(self.network.encode_text(tokens_NL).float())

    def _probe(self) -> torch.Tensor:
        """Return preprocessed frames of smooth noise, [4, 3, height, width]."""
        coarse = np.random.default_rng(0).integers(0, 256, (4, 24, 32, 3), np.uint8)
        return self.preprocess(coarse, self.device)


def open_clip_name(model: str) -> str:
    """Return the name by which open_clip finds a configured model.

    Args:
        model: an open_clip name, `local-dir:FOLDER` (`~` is expanded), a folder, or
            `package:NAME`.
    """
    if model.startswith(LOCAL_DIR):
        return f"{LOCAL_DIR}{expand_home(model.removeprefix(LOCAL_DIR))}"
    folder = resolve_model(model)
    return model if folder == model and not Path(folder).is_dir() else f"{LOCAL_DIR}{folder}"


def find_clip_width(model: str) -> int | None:
    """Return the width of a model's features, without its weights; None if that is unknown.

    Args:
        model: see `open_clip_name`.
    """
    import open_clip

    try:
        name = open_clip_name(model)
    except ModelUnavailableError:
        return None
    # A folder says its width when it is loaded, which downloads nothing.
    settings = None if name.startswith(LOCAL_DIR) else open_clip.get_model_config(name)
    return None if settings is None else int(settings["embed_dim"])


def check_activation(name: str, pretrained: str) -> None:
    """Refuse a named model whose activation is not the one that its weights were trained with.

    open_clip only warns, and the model then computes another function.

    Args:
        name: an open_clip name.
        pretrained: the tag of its weights.

    Raises:
        ValueError: one of the two uses QuickGELU and the other does not.
    """
    import open_clip

    # A folder holds its weights and their configuration; that it exists is not checked here.
    if not pretrained or name.startswith(LOCAL_DIR):
        return
    model = open_clip.get_model_config(name)
    if not model:
        return
    plain = name.removesuffix(QUICK_GELU)
    weights = open_clip.get_pretrained_cfg(name, pretrained) or open_clip.get_pretrained_cfg(
        plain, pretrained
    )
    if not weights:
        return
    trained_with = bool(weights.get("quick_gelu"))
    if trained_with != bool(model.get("quick_gelu")):
        right = f"{name}{QUICK_GELU}" if trained_with else plain
        raise ValueError(
            f"clip.model={name} does not fit the weights clip.pretrained={pretrained}, which were "
            f"trained with{'' if trained_with else 'out'} QuickGELU: set clip.model={right}"
        )
