"""Frozen foundation models behind three small protocols: image and text encoder, captioner, LLM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ImageTextEncoder(Protocol):
    """Maps pictures and texts into one space of width D: E_I and E_T of the paper."""

    width: int

    def encode_images(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode RGB pictures uint8 [N, H, W, 3] of one size into features [N, D]."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts into features [N, D]."""
        ...


class Captioner(Protocol):
    """Describes pictures: Φ_C of the paper's equation 1."""

    def caption(self, frames: NDArray[np.uint8]) -> list[str]:
        """Write one caption for each RGB picture of uint8 [N, H, W, 3]."""
        ...


class LanguageModel(Protocol):
    """Continues prompts: Φ_LLM of the paper's equation 3."""

    def complete(self, prompts: Sequence[str]) -> list[str]:
        """Return the model's answer to each prompt."""
        ...


@runtime_checkable
class Writer(LanguageModel, Protocol):
    """A language model that tells what it writes while it writes."""

    def write(self, prompts: Sequence[str], on_text: Callable[[int, str], None]) -> list[str]:
        """Return the answers; `on_text` is told a prompt's index and its answer so far."""
        ...


class Models(Protocol):
    """The frozen models of Figure 2, wherever they run."""

    @property
    def clip(self) -> ImageTextEncoder:
        """E_I and E_T."""
        ...

    @property
    def captioner(self) -> Captioner:
        """Φ_C."""
        ...

    @property
    def llm(self) -> LanguageModel:
        """Φ_LLM."""
        ...
