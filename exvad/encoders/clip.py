"""CLIP's image and text encoder, E_I and E_T, by open_clip.

N frames or texts · H, W pixels · C color channels · L tokens · D feature width
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

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
        batch_size: frames or texts per forward pass.

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
        import torch

        features = []
        with torch.inference_mode():
            for start in range(0, len(frames), self.batch_size):
                pixels_NCHW = self.preprocess(frames[start : start + self.batch_size], self.device)
                features.append(self.network.encode_image(pixels_NCHW.to(self.dtype)).float().cpu())
        return torch.cat(features).numpy() if features else np.empty((0, self.width), np.float32)

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts, each truncated to the context length, into features, float32 [N, D]."""
        import torch

        features = []
        with torch.inference_mode():
            for start in range(0, len(texts), self.batch_size):
                tokens_NL = self.tokenize(list(texts[start : start + self.batch_size]))
                features.append(self.network.encode_text(tokens_NL.to(self.device)).float().cpu())
        return torch.cat(features).numpy() if features else np.empty((0, self.width), np.float32)

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
        return f"{LOCAL_DIR}{Path(model.removeprefix(LOCAL_DIR)).expanduser()}"
    folder = resolve_model(model)
    return model if folder == model and not Path(folder).is_dir() else f"{LOCAL_DIR}{folder}"


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
