"""Protocols of the frozen models: image and text encoder, captioner, language model.

N frames or texts · H, W pixels · D feature width
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exvad.encoders.answers import Answer


class ImageTextEncoder(Protocol):
    """Maps frames and texts into one feature space of width D: E_I and E_T of the paper."""

    width: int

    def encode_images(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode RGB frames, uint8 [N, H, W, 3], into features, float32 [N, D]."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode N texts into features, float32 [N, D]."""
        ...


@runtime_checkable
class ImageGroupEncoder(ImageTextEncoder, Protocol):
    """An encoder that prepares the next group of frames while it encodes one."""

    def encode_groups(self, groups: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.float32]]:
        """Yield what `encode_images` returns of each group of frames."""
        ...


class Captioner(Protocol):
    """Describes frames: Φ_C of equation 1."""

    def caption(self, frames: NDArray[np.uint8]) -> list[str]:
        """Return one caption for each RGB frame of uint8 [N, H, W, 3]."""
        ...


@runtime_checkable
class ClipCaptioner(Captioner, Protocol):
    """A captioner that also describes clips of several frames; a frame is a clip of one.

    Implementations inherit `caption`, which raises what their `caption_clips` raises.
    """

    def caption(self, frames: NDArray[np.uint8]) -> list[str]:
        """Return one caption for each RGB frame of uint8 [N, H, W, 3]."""
        return self.caption_clips(list(frames[:, None]))

    def caption_clips(self, clips: Sequence[NDArray[np.uint8]]) -> list[str]:
        """Return one caption for each clip of RGB frames, uint8 [f, H, W, 3] each."""
        ...


@runtime_checkable
class ClipAnswerer(Protocol):
    """A vision-language model that answers prompts about clips of several frames."""

    def answer(self, clips: Sequence[NDArray[np.uint8]], prompt: str) -> list[Answer]:
        """Return the model's answer to a prompt about each clip.

        Args:
            clips: RGB frames, uint8 [f, H, W, 3] each.
            prompt: what the model is asked about every clip.
        """
        ...


class LanguageModel(Protocol):
    """Completes prompts: Φ_LLM of equation 3."""

    def complete(self, prompts: Sequence[str]) -> list[Answer]:
        """Return the model's answer to each prompt."""
        ...


@runtime_checkable
class StreamingLanguageModel(LanguageModel, Protocol):
    """A language model that also reports partial answers while it generates them."""

    def stream(self, prompts: Sequence[str], on_text: Callable[[int, str], None]) -> list[Answer]:
        """Return the model's answer to each prompt and report partial answers on the way.

        Args:
            prompts: the prompts.
            on_text: called with the index of a prompt and its answer so far.
        """
        ...


class Models(Protocol):
    """The frozen models of Figure 2, in this process or elsewhere."""

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
