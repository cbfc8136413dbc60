"""Fake frozen models: fast, and deterministic across processes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from exvad.encoders.answers import Answer, CaptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.encoders.protocols import Captioner, ImageTextEncoder, LanguageModel


class FakeEncoder:
    """An image and text encoder that maps equal inputs to equal vectors and others far apart.

    Args:
        width: D.

    Attributes:
        text_batches: the texts of every call of `encode_texts`.
    """

    def __init__(self, width: int = 16) -> None:
        self.width = width
        self.text_batches: list[list[str]] = []

    def encode_images(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode RGB frames [N, H, W, 3] into features [N, D]."""
        return self._encode([frame.tobytes() for frame in frames])

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts into features [N, D], none of them of length 1."""
        self.text_batches.append(list(texts))
        return self._encode([text.encode() for text in texts])

    def _encode(self, contents: Sequence[bytes]) -> NDArray[np.float32]:
        features_ND = np.empty((len(contents), self.width), np.float32)
        for row, content in enumerate(contents):
            seed = int.from_bytes(hashlib.sha256(content).digest()[:8], "big")
            features_ND[row] = np.random.default_rng(seed).normal(size=self.width)
        return features_ND


class ScriptedLLM:
    """A language model with prepared answers.

    Args:
        rounds: the answers of the first call, of the second call, …

    Attributes:
        prompts: the prompts of every call.
    """

    def __init__(self, *rounds: Sequence[str | Answer]) -> None:
        self.rounds = list(rounds)
        self.prompts: list[list[str]] = []

    def complete(self, prompts: Sequence[str]) -> list[Answer]:
        """Return the answers of this call; fail if the test prepared none."""
        assert len(self.prompts) < len(self.rounds), f"unexpected call with {prompts}"
        answers = self.rounds[len(self.prompts)]
        self.prompts.append(list(prompts))
        assert len(answers) == len(prompts), f"{len(answers)} answers for {prompts}"
        return [item if isinstance(item, Answer) else Answer(item) for item in answers]


class FakeCaptioner:
    """A captioner that names the mean brightness of a frame.

    Attributes:
        num_frames: number of frames captioned so far.
    """

    def __init__(self) -> None:
        self.num_frames = 0

    def caption(self, frames: NDArray[np.uint8]) -> list[str]:
        """Return one caption for each frame of [N, H, W, 3]."""
        self.num_frames += len(frames)
        return [f"a picture of brightness {int(frame.mean())}" for frame in frames]


class RefusingCaptioner:
    """A captioner that gives no captions."""

    def caption(self, frames: NDArray[np.uint8]) -> list[str]:
        """Refuse the frames."""
        raise CaptionError("no caption: refused: too violent")


class FrozenModels(NamedTuple):
    """Frozen models, some of them fakes."""

    clip: ImageTextEncoder
    captioner: Captioner
    llm: LanguageModel
