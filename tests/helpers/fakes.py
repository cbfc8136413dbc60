"""Stand-ins for the frozen models that several tests share: quick, and the same in every run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class FakeEncoder:
    """Maps equal texts and equal pictures to equal vectors and different ones far apart.

    Args:
        width: D.

    Attributes:
        batches: the texts of every call.
    """

    def __init__(self, width: int = 16) -> None:
        self.width = width
        self.batches: list[list[str]] = []

    def encode_images(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode RGB pictures [N, H, W, 3] into features [N, D]."""
        return self._rows([frame.tobytes() for frame in frames])

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts into features [N, D], none of them of length 1."""
        self.batches.append(list(texts))
        return self._rows([text.encode() for text in texts])

    def _rows(self, contents: Sequence[bytes]) -> NDArray[np.float32]:
        rows_ND = np.empty((len(contents), self.width), np.float32)
        for row, content in enumerate(contents):
            seed = int.from_bytes(hashlib.sha256(content).digest()[:8], "big")
            rows_ND[row] = np.random.default_rng(seed).normal(size=self.width)
        return rows_ND


class ScriptedLLM:
    """A language model that gives prepared answers, one list per call.

    Args:
        rounds: the answers of the first call, of the second one, …

    Attributes:
        asked: the prompts of every call.
    """

    def __init__(self, *rounds: Sequence[str]) -> None:
        self.rounds = list(rounds)
        self.asked: list[list[str]] = []

    def complete(self, prompts: Sequence[str]) -> list[str]:
        """Return the answers of this call; fails where the test expected no such call."""
        assert len(self.asked) < len(self.rounds), f"asked once too often: {prompts}"
        answers = self.rounds[len(self.asked)]
        self.asked.append(list(prompts))
        assert len(answers) == len(prompts), f"{len(answers)} answers for {prompts}"
        return list(answers)


class FakeCaptioner:
    """Names the mean brightness of a picture.

    Attributes:
        seen: how many pictures it was given.
    """

    def __init__(self) -> None:
        self.seen = 0

    def caption(self, frames: NDArray[np.uint8]) -> list[str]:
        """Write one caption for each picture of [N, H, W, 3]."""
        self.seen += len(frames)
        return [f"a picture of brightness {int(frame.mean())}" for frame in frames]
