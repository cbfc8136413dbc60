"""The frozen models and the decoder as the detector sees them, while they run elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exvad.video.chunks import Chunk, VideoInfo
    from exvad.video.decoding import DecodedChunk

PATIENCE = 120.0  # seconds without any replica, such as while a dead one is replaced
PAUSE = 0.5
T = TypeVar("T")


class UnreachableError(RuntimeError):
    """A deployment has had no replica for too long: nobody's video is at fault."""


def call(handle: Any, method: str, *arguments: Any) -> Any:
    """Ask a deployment and wait; asked again where a replica dies before it has answered.

    Raises:
        UnreachableError: there is no replica that answers.
        ValueError: what the deployment itself raised, without Ray's wrapping.
    """
    return _asked(method, lambda: getattr(handle, method).remote(*arguments).result())


def _asked(method: str, ask: Callable[[], T]) -> T:
    from ray.exceptions import RayActorError, RayTaskError
    from ray.serve.exceptions import RayServeException

    until = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except RayTaskError as error:
            raise error.cause from None
        except (RayActorError, RayServeException) as error:
            if time.monotonic() > until:
                raise UnreachableError(f"{method}: {error}") from error
            time.sleep(PAUSE)


def call_writing(handle: Any, prompts: list[str], on_text: Callable[[int, str], None]) -> list[str]:
    """Have prompts answered and tell of the answers so far; see `call`."""

    def ask() -> list[str]:
        answers: list[str] = []
        for answers in handle.options(stream=True).write.remote(prompts):
            for index, text in enumerate(answers):
                on_text(index, text)
        return answers

    return _asked("write", ask)


class RemoteClip:
    """E_I and E_T behind a handle.

    Args:
        handle: of the deployment.
        width: D.
    """

    def __init__(self, handle: Any, width: int) -> None:
        self._handle = handle
        self.width = width

    def encode_images(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode RGB pictures uint8 [N, H, W, 3] of one size into features [N, D]."""
        features: NDArray[np.float32] = call(self._handle, "encode_images", frames)
        return features

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts into features [N, D]."""
        features: NDArray[np.float32] = call(self._handle, "encode_texts", list(texts))
        return features


class RemoteCaptioner:
    """Φ_C behind a handle.

    Args:
        handle: of the deployment.
    """

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def caption(self, frames: NDArray[np.uint8]) -> list[str]:
        """Write one caption for each RGB picture of uint8 [N, H, W, 3]."""
        return list(call(self._handle, "caption", frames))


class RemoteLLM:
    """Φ_LLM behind a handle.

    Args:
        handle: of the deployment.
    """

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def complete(self, prompts: Sequence[str]) -> list[str]:
        """Return the model's answer to each prompt."""
        return list(call(self._handle, "complete", list(prompts)))

    def write(self, prompts: Sequence[str], on_text: Callable[[int, str], None]) -> list[str]:
        """Return the answers, and tell of them while they are written."""
        return call_writing(self._handle, list(prompts), on_text)


class RemoteDecoder:
    """A decoder behind a handle.

    Args:
        handle: of the deployment.
    """

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def plan(
        self, video_id: str, path: str | Path, stride: int, snippets_per_chunk: int
    ) -> tuple[VideoInfo, list[Chunk]]:
        """Cut a video into chunks; see `exvad.video.chunks.plan_chunks`."""
        found: tuple[VideoInfo, list[Chunk]] = call(
            self._handle, "plan", video_id, str(path), stride, snippets_per_chunk
        )
        return found

    def decode(self, chunk: Chunk, short_side: int | None = None) -> DecodedChunk:
        """Decode a chunk; see `exvad.video.decoding.decode_chunk`."""
        decoded: DecodedChunk = call(self._handle, "decode", chunk, short_side)
        return decoded


@dataclass(frozen=True)
class RemoteModels:
    """The frozen models of Figure 2 behind handles."""

    clip: RemoteClip
    captioner: RemoteCaptioner
    llm: RemoteLLM
